//! Lines from the agent's own standard input.
//!
//! Nothing is read ahead of what the channels have taken beyond one block, and a source that stops takes no line
//! with it that is still in the pipe. Standard input stays in blocking mode, since it may be shared with other
//! programs: it is read only when the system says that there is something.

use std::{
    fs::File,
    io::{self, Read},
    os::fd::{AsFd, OwnedFd},
};

use async_trait::async_trait;
use bytes::BytesMut;
use millrace_config::{Diagnostics, OptionKind, OptionSpec, Section};
use millrace_core::{BuildContext, Headers, Source, SourceContext, SourceError, SourceFactory};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::{Interest, unix::AsyncFd};

use super::{line_batch::LineBatch, lines::LineCutter};
use crate::charset::Charset;

/// Bytes read at once.
const BLOCK_BYTES: usize = 64 << 10;

const OPTIONS: &[OptionSpec] = &[
    OptionSpec::with_default(
        "batch-size",
        OptionKind::Integer { min: 1, max: 1_000_000 },
        "1000",
        "Most lines committed together",
    ),
    OptionSpec::with_default(
        "batch-timeout",
        OptionKind::Duration,
        "100ms",
        "Longest time a line waits for its batch to fill",
    ),
    OptionSpec::with_default("charset", OptionKind::Text, "UTF-8", "Character set of the input"),
    OptionSpec::with_default(
        "line-max",
        OptionKind::Size,
        "1MiB",
        "Longest line; what is longer becomes several events",
    ),
];

pub(super) const FACTORY: SourceFactory = SourceFactory {
    name: "stdin",
    summary: "Reads lines from standard input until it ends",
    options: OPTIONS,
    open: false,
    example: "stdin \"lines\" channel=\"fast\"",
    build,
};

fn build(section: &Section, _cx: &BuildContext) -> Result<Box<dyn Source>, Diagnostics> {
    Ok(Box::new(StdinSource { input: None, waiting: line_batch(section)? }))
}

fn line_batch(section: &Section) -> Result<LineBatch, Diagnostics> {
    Ok(LineBatch::new(
        section.count("batch-size"),
        section.duration("batch-timeout"),
        usize::try_from(section.size("line-max")).unwrap_or(usize::MAX).max(1),
        Charset::option(section, "charset")?,
    ))
}

struct StdinSource {
    /// Something else than standard input.
    input: Option<OwnedFd>,
    waiting: LineBatch,
}

#[async_trait]
impl Source for StdinSource {
    async fn run(mut self: Box<Self>, cx: SourceContext) -> Result<(), SourceError> {
        let failed = |error| SourceError::failed("cannot read standard input", error);
        let own = || io::stdin().as_fd().try_clone_to_owned();
        let input = self.input.take().map_or_else(own, Ok).and_then(Input::new).map_err(failed)?;
        let mut lines = LineCutter::new();
        let headers = Headers::default();
        loop {
            let taken = tokio::select! {
                biased;
                () = cx.shutdown.cancelled() => break,
                () = self.waiting.due() => self.waiting.commit(&cx).await,
                read = input.read(lines.room()) => match read.map_err(failed)? {
                    0 => {
                        self.waiting.take_rest(&mut lines, &headers, &cx).await?;
                        return Ok(self.waiting.commit(&cx).await?);
                    }
                    _ => self.waiting.take_lines(&mut lines, &headers, &cx).await,
                },
            };
            if let Err(error) = taken
                && !cx.shutdown.is_cancelled()
            {
                return Err(error.into());
            }
        }
        // What was read cannot be given back: whole lines and the half one behind them.
        let _ = self.waiting.take_rest(&mut lines, &headers, &cx).await;
        let _ = self.waiting.commit(&cx).await;
        Ok(())
    }
}

/// A pipe, terminal or socket, or a file, which is always ready and cannot be waited for.
enum Input {
    Waits(AsyncFd<File>),
    Ready(File),
}

impl Input {
    fn new(input: OwnedFd) -> io::Result<Self> {
        // SAFETY: a `File` gives the same descriptor for as long as it lives and closes it only when dropped.
        match unsafe { AsyncFd::register_with_interest(File::from(input), Interest::READABLE) } {
            Ok(input) => Ok(Self::Waits(input)),
            Err(refused) => {
                let (input, error) = refused.into_parts();
                match error.raw_os_error() {
                    Some(code) if code == rustix::io::Errno::PERM.raw_os_error() => Ok(Self::Ready(input)),
                    _ => Err(error),
                }
            }
        }
    }

    /// Reads a block. 0: the end.
    ///
    /// # Cancel safety
    /// A dropped call has read nothing.
    async fn read(&self, into: &mut BytesMut) -> io::Result<usize> {
        match self {
            Self::Ready(input) => {
                tokio::task::yield_now().await;
                read_now(input, into)
            }
            Self::Waits(input) => loop {
                let mut ready = input.readable().await?;
                if is_readable(input.get_ref())? {
                    return read_now(input.get_ref(), into);
                }
                ready.clear_ready();
            },
        }
    }
}

fn read_now(mut input: &File, into: &mut BytesMut) -> io::Result<usize> {
    let before = into.len();
    into.resize(before + BLOCK_BYTES, 0);
    let read = input.read(into.get_mut(before..).unwrap_or_default());
    into.truncate(before + *read.as_ref().unwrap_or(&0));
    read
}

/// Whether a read would return at once. Readiness from the runtime may be out of date, and a read of a descriptor
/// in blocking mode would then hold up a whole thread of it.
fn is_readable(input: &File) -> io::Result<bool> {
    let mut asked = [PollFd::new(input, PollFlags::IN)];
    Ok(poll(&mut asked, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))? > 0)
}

#[cfg(test)]
mod tests {
    use std::{io::Write, os::fd::OwnedFd, path::Path};

    use millrace_testkit::{RecordingChannel, SourceRig, TestClock, build_context, eventually, section};

    use super::{FACTORY, StdinSource, line_batch};

    fn start(kdl: &str, input: impl Into<OwnedFd>, channel: RecordingChannel) -> SourceRig {
        let waiting = line_batch(&section(FACTORY.options, kdl)).unwrap();
        let source = StdinSource { input: Some(input.into()), waiting };
        let clock = std::sync::Arc::new(TestClock::at(0));
        let context = build_context(Path::new("unused"), clock.clone());
        SourceRig::with_source(Box::new(source), channel, clock, context)
    }

    #[tokio::test]
    async fn a_pipe_is_read_to_its_end_and_the_last_line_needs_no_line_feed() {
        let (output, mut input) = std::io::pipe().unwrap();
        let rig = start("stdin \"s\"", output, RecordingChannel::default());
        input.write_all(b"one\r\n\ntwo\n").unwrap();
        rig.channel.wait_for_events(3).await;
        input.write_all(b"half").unwrap();
        drop(input);
        let (channel, result) = rig.finished().await;
        result.unwrap();
        assert_eq!(channel.bodies(), ["one", "", "two", "half"]);
    }

    #[tokio::test]
    async fn a_file_can_be_standard_input_too() {
        let mut file = tempfile::tempfile().unwrap();
        let lines: Vec<String> = (0..50_000).map(|line| format!("line {line}")).collect();
        file.write_all(lines.join("\n").as_bytes()).unwrap();
        std::io::Seek::rewind(&mut file).unwrap();
        let (channel, result) = start("stdin \"s\"", file, RecordingChannel::default()).finished().await;
        result.unwrap();
        assert_eq!(channel.bodies(), lines);
        assert!(channel.batches().iter().all(|batch| batch.len() <= 1000));
        let empty = std::fs::File::open("/dev/null").unwrap();
        let (channel, result) = start("stdin \"s\"", empty, RecordingChannel::default()).finished().await;
        result.unwrap();
        assert!(channel.bodies().is_empty());
    }

    #[tokio::test]
    async fn lines_wait_for_a_full_channel_and_a_stop_loses_none_of_those_read() {
        let (output, mut input) = std::io::pipe().unwrap();
        let channel = RecordingChannel::default();
        channel.refuse_next(3);
        let rig = start("stdin \"s\" batch-size=2", output, channel);
        input.write_all(b"1\n2\n3\n4\nfi").unwrap();
        rig.channel.wait_for_events(4).await;
        input.write_all(b"ve").unwrap();
        let (channel, result) = rig.stop().await;
        result.unwrap();
        let bodies = channel.bodies();
        assert_eq!(bodies[..4], ["1", "2", "3", "4"]);
        assert!(bodies[4] == "fi" || bodies[4] == "five", "{bodies:?}");
    }

    #[tokio::test]
    async fn a_line_above_the_limit_becomes_several_events_and_bytes_stay() {
        let (output, mut input) = std::io::pipe().unwrap();
        let rig = start("stdin \"s\" line-max=\"4B\"", output, RecordingChannel::default());
        input.write_all(b"0123456789\n\xff\xfe\nabcd\n").unwrap();
        drop(input);
        let (channel, result) = rig.finished().await;
        result.unwrap();
        let bodies: Vec<Vec<u8>> = channel.events().iter().map(|event| event.body.to_vec()).collect();
        assert_eq!(bodies, [&b"0123"[..], b"4567", b"89", b"\xff\xfe", b"abcd"]);
    }

    #[tokio::test]
    async fn an_idle_input_does_not_hold_up_a_stop() {
        let (output, input) = std::io::pipe().unwrap();
        let rig = start("stdin \"s\"", output, RecordingChannel::default());
        eventually("start", || rig.channel.refusals_left() == 0).await;
        let (channel, result) = rig.stop().await;
        result.unwrap();
        assert!(channel.bodies().is_empty());
        drop(input);
    }
}
