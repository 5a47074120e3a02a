//! Printing: what `print!`, `println!`, `eprint!` and `eprintln!` are in this crate.
//!
//! The standard macros panic when nobody reads any longer, as behind `millrace check … | head`. These shadow them
//! for every module that is declared after this one, so that no command has to think of it: a reader that went away
//! ends the process quietly with the exit code of a tool that SIGPIPE ended; any other failure is told. Nobody is
//! left to be told that standard error is closed.

use std::io::{ErrorKind, StdoutLock, Write};

/// What a shell shows for a tool that SIGPIPE (13) ended.
const NOBODY_READS: i32 = 128 + 13;

/// What printing fails with when it is not for want of a reader: a full disk behind a redirection.
const FAILED: i32 = 2;

macro_rules! print {
    ($($text:tt)*) => { $crate::output::print(format_args!($($text)*)) };
}

macro_rules! println {
    () => { $crate::output::print(format_args!("\n")) };
    ($($text:tt)*) => { $crate::output::print(format_args!("{}\n", format_args!($($text)*))) };
}

macro_rules! eprint {
    ($($text:tt)*) => { $crate::output::complain(format_args!($($text)*)) };
}

macro_rules! eprintln {
    ($($text:tt)*) => { $crate::output::complain(format_args!("{}\n", format_args!($($text)*))) };
}

/// Standard output; writing to it fails only in a way that ends the process.
pub(crate) struct Output(StdoutLock<'static>);

/// Standard output, for what is not text or comes from somebody else's function.
pub(crate) fn output() -> Output {
    Output(std::io::stdout().lock())
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.0.write(bytes);
        self.or_end(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let flushed = self.0.flush();
        self.or_end(flushed)
    }
}

impl Output {
    fn or_end<T>(&self, result: std::io::Result<T>) -> std::io::Result<T> {
        match result {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(NOBODY_READS),
            Err(error) if error.kind() != ErrorKind::Interrupted => {
                eprintln!("millrace: cannot write to standard output: {error}");
                std::process::exit(FAILED)
            }
            result => result,
        }
    }
}

/// Behind `print!`. Flushed at once: what fails at the end of the process fails unseen.
pub(crate) fn print(text: std::fmt::Arguments<'_>) {
    let mut output = output();
    drop(output.write_fmt(text).and_then(|()| output.flush()));
}

/// Behind `eprint!`.
pub(crate) fn complain(text: std::fmt::Arguments<'_>) {
    drop(std::io::stderr().lock().write_fmt(text));
}
