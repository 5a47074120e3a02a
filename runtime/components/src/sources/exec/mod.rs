//! The output of a command, one event a line.
//!
//! - While the channel is full nothing is read, so the command waits in its own writes; Flume kills it and loses
//!   lines. What cannot be committed when the agent stops is counted as dropped: a command cannot repeat itself.
//! - The command leads a process group of its own, and all of the group is stopped with the source: `SIGTERM`
//!   first, `SIGKILL` two seconds later.
//! - A line ends with a line feed, a carriage return before it is cut off, too. The last line needs none.
//! - Several texts are the program and its arguments as they are. A single text is split at white space; single
//!   quotes keep everything, double quotes keep everything but `\"` and `\\`, and outside of quotes a backslash
//!   keeps the next character. With `shell` the text is passed on whole.

use std::time::Duration;

use async_trait::async_trait;
use millrace_config::{Diagnostic, Diagnostics, OptionKind, OptionSpec, Section};
use millrace_core::{BuildContext, Headers, Source, SourceContext, SourceError, SourceFactory};

use super::line_batch::LineBatch;
use crate::charset::Charset;
use run::{Ending, Run};
use words::words;

mod process;
mod run;
mod words;

const OPTIONS: &[OptionSpec] = &[
    OptionSpec::required(
        "command",
        OptionKind::Texts,
        "The command: one text, or the program and its arguments",
    ),
    OptionSpec::optional(
        "shell",
        OptionKind::Text,
        "Runs the command through a shell, such as `/bin/sh -c`, as its last argument",
    ),
    OptionSpec::with_default(
        "restart",
        OptionKind::Boolean,
        "#false",
        "Starts the command again when it has ended",
    ),
    OptionSpec::with_default(
        "restart-throttle",
        OptionKind::Duration,
        "10s",
        "Pause before it is started again",
    ),
    OptionSpec::with_default(
        "stderr",
        OptionKind::Choice(&["discard", "log", "events"]),
        "discard",
        "What becomes of its error output; as events its lines get the header `stream` with `stderr`, the others `stdout`",
    ),
    OptionSpec::with_default(
        "batch-size",
        OptionKind::Integer { min: 1, max: 1_000_000 },
        "20",
        "Most lines committed together",
    ),
    OptionSpec::with_default(
        "batch-timeout",
        OptionKind::Duration,
        "3s",
        "Longest time a line waits for its batch to fill",
    ),
    OptionSpec::with_default("charset", OptionKind::Text, "UTF-8", "Character set of the output"),
    OptionSpec::with_default(
        "line-max",
        OptionKind::Size,
        "1MiB",
        "Longest line; what is longer becomes several events",
    ),
];

pub(super) const FACTORY: SourceFactory = SourceFactory {
    name: "exec",
    summary: "Runs a command and makes an event of every line it writes",
    options: OPTIONS,
    open: false,
    example: "exec \"kernel\" channel=\"durable\" { command \"dmesg\" \"--follow\"; restart }",
    build,
};

fn build(section: &Section, _cx: &BuildContext) -> Result<Box<dyn Source>, Diagnostics> {
    let given: Vec<&str> = section.texts("command").iter().map(|text| text.value.as_str()).collect();
    let split = |text: &str, option: &str| {
        words(text).map_err(|reason| {
            Diagnostics::from(Diagnostic::error("components::bad-command", section.span_of(option), reason))
        })
    };
    let command = match (section.optional_text("shell"), given.as_slice()) {
        (Some(shell), _) => {
            let mut command = split(shell, "shell")?;
            command.push(given.join(" "));
            command
        }
        (None, [text]) => split(text, "command")?,
        (None, several) => several.iter().map(|&word| word.to_owned()).collect(),
    };
    if command.first().is_none_or(String::is_empty) {
        let reason = "the command is empty";
        return Err(Diagnostic::error("components::bad-command", section.span_of("command"), reason).into());
    }
    Ok(Box::new(ExecSource {
        command,
        restart: section.boolean("restart").then(|| section.duration("restart-throttle")),
        stderr: match section.text("stderr") {
            "log" => Stderr::Log,
            "events" => Stderr::Events,
            _ => Stderr::Discard,
        },
        events_max: section.count("batch-size"),
        wait_max: section.duration("batch-timeout"),
        line_bytes_max: usize::try_from(section.size("line-max")).unwrap_or(usize::MAX).max(1),
        charset: Charset::option(section, "charset")?,
    }))
}

struct ExecSource {
    command: Vec<String>,
    /// The pause before the next run. None: one run only.
    restart: Option<Duration>,
    stderr: Stderr,
    events_max: usize,
    wait_max: Duration,
    line_bytes_max: usize,
    charset: Charset,
}

/// What becomes of the error output.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Stderr {
    Discard,
    Log,
    Events,
}

#[async_trait]
impl Source for ExecSource {
    fn may_end(&self) -> bool {
        self.restart.is_none()
    }

    async fn run(self: Box<Self>, cx: SourceContext) -> Result<(), SourceError> {
        loop {
            let ended = self.once(&cx).await;
            match (ended, self.restart) {
                (Ok(Ending::Stopped), _) => return Ok(()),
                (Ok(Ending::Exited(_)), None) => return Ok(()),
                (Err(error), None) => return Err(error),
                (Err(error @ SourceError::Process(_)), _) => return Err(error),
                (Ok(Ending::Exited(_)), Some(_)) => {}
                (Err(error), Some(_)) => {
                    tracing::warn!(source = %cx.name, %error, "command failed");
                    cx.health.failed(cx.clock.now(), &error);
                }
            }
            tokio::select! {
                () = cx.shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep(self.restart.unwrap_or_default()) => {}
            }
        }
    }
}

impl ExecSource {
    async fn once(&self, cx: &SourceContext) -> Result<Ending, SourceError> {
        let waiting = LineBatch::new(self.events_max, self.wait_max, self.line_bytes_max, self.charset);
        let stream = |name: &'static str| match self.stderr {
            Stderr::Events => [("stream".into(), name.into())].into_iter().collect(),
            _ => Headers::default(),
        };
        let run = Run::start(&self.command, self.stderr, waiting, [stream("stdout"), stream("stderr")])?;
        let ending = run.run(cx).await?;
        if let Ending::Exited(status) = &ending {
            if status.success() {
                tracing::info!(source = %cx.name, "command has ended");
            } else {
                tracing::warn!(source = %cx.name, %status, "command has ended");
                cx.health.failed(cx.clock.now(), &format!("command ended with {status}"));
            }
        }
        Ok(ending)
    }
}

#[cfg(test)]
mod tests;
