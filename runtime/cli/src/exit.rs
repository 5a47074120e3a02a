//! Exit codes: 0 good, 1 the answer is no, 2 misuse or an error on the way.

use std::process::ExitCode;

/// How a command ended when it ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Good,
    No,
}

/// The exit code of a result; an error is printed with its causes.
pub(crate) fn code(result: anyhow::Result<Answer>) -> ExitCode {
    match result {
        Ok(Answer::Good) => ExitCode::SUCCESS,
        Ok(Answer::No) => ExitCode::from(1),
        Err(error) => {
            eprintln!("millrace: {error:#}");
            ExitCode::from(2)
        }
    }
}
