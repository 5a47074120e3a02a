//! A child process with a process group of its own, which ends with it.

use std::process::Stdio;

use millrace_core::SourceError;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};

use super::Stderr;

/// A child and its group. Dropping it kills the group.
pub(super) struct Process {
    pub(super) child: Child,
    group: Option<Pid>,
}

impl Process {
    pub(super) fn start(command: &[String], stderr: Stderr) -> Result<Self, SourceError> {
        let (program, arguments) = command.split_first().unwrap_or((const { &String::new() }, &[]));
        let stderr = match stderr {
            Stderr::Discard => Stdio::null(),
            Stderr::Log | Stderr::Events => Stdio::piped(),
        };
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| SourceError::failed(format!("cannot start `{program}`"), error))?;
        let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        Ok(Self { child, group })
    }

    /// Sends a signal to the whole group. One that is gone already needs none.
    pub(super) fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            let _ = kill_process_group(group, signal);
        }
    }

    /// The child has ended and its number may be given to another process: what is left of its group is not ours
    /// to stop any more.
    pub(super) fn release(&mut self) {
        self.group = None;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}
