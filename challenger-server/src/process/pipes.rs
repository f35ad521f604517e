//! The pipes of a program: input and output, never blocked by it.

use std::io::{self, PipeReader, Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, ChildStdin, ExitStatus};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, ioctl_fionbio};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use super::{OUTPUT_MAX, TICK};

/// Our ends of the program's pipes, none of which can block us.
pub(super) struct Pipes<'a> {
    message: &'a [u8],
    input: Option<ChildStdin>,
    output: Option<PipeReader>,
    pub(super) printed: Vec<u8>,
    pub(super) is_cut: bool,
}

impl<'a> Pipes<'a> {
    pub(super) fn new(message: &'a [u8], output: PipeReader) -> Self {
        let printed = Vec::with_capacity(OUTPUT_MAX);
        Self { message, input: None, output: Some(output), printed, is_cut: false }
    }

    /// Writes the message and reads the output until the program has ended, or until the time is
    /// up (`None`). The kernel reports the end on `end`, if it can.
    pub(super) fn exchange(
        &mut self,
        child: &mut Child,
        end: Option<&OwnedFd>,
        limit: Duration,
    ) -> io::Result<Option<ExitStatus>> {
        let started = Instant::now();
        self.input = child.stdin.take();
        if let Some(input) = &self.input {
            ioctl_fionbio(input, true)?;
        }
        let nap = if end.is_some() { limit } else { TICK };
        loop {
            if let Some(status) = child.try_wait()? {
                self.input = None;
                return Ok(Some(status));
            }
            let left = limit.saturating_sub(started.elapsed());
            if left.is_zero() {
                return Ok(None);
            }
            self.step(end, left.min(nap))?;
        }
    }

    /// Reads on until the program has ended and its output is closed, so that its children have
    /// ended as well, or until the time is up. The program is not waited for: its process ID
    /// remains that of its group, which can still be killed.
    pub(super) fn wait_for_end(&mut self, child: &Child, end: Option<&OwnedFd>, limit: Duration) {
        let started = Instant::now();
        loop {
            let ended = has_ended(child);
            let left = limit.saturating_sub(started.elapsed());
            if (ended && self.output.is_none()) || left.is_zero() {
                return;
            }
            let (awaited, nap) = match end {
                _ if ended => (None, left),
                Some(end) => (Some(end), left),
                None => (None, left.min(TICK)),
            };
            if self.step(awaited, nap).is_err() {
                return;
            }
        }
    }

    /// Reads what is left of the output, until it ends or the time is up.
    pub(super) fn drain(&mut self, limit: Duration) {
        let started = Instant::now();
        while self.output.is_some() {
            let left = limit.saturating_sub(started.elapsed());
            if left.is_zero() || self.step(None, left).is_err() {
                self.output = None;
            }
        }
    }

    /// Waits until a pipe is ready, or the program has ended, but not longer than `limit`; then
    /// writes and reads what is possible.
    fn step(&mut self, end: Option<&OwnedFd>, limit: Duration) -> io::Result<()> {
        let input = self.input.iter().map(|input| PollFd::new(input, PollFlags::OUT));
        let output = self.output.iter().map(|output| PollFd::new(output, PollFlags::IN));
        let end = end.into_iter().map(|end| PollFd::new(end, PollFlags::IN));
        let mut awaited: Vec<PollFd<'_>> = input.chain(output).chain(end).collect();
        match poll(&mut awaited, Timespec::try_from(limit).ok().as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        self.write();
        self.read();
        Ok(())
    }

    /// Writes once, and closes the pipe when the message is written or the program has closed its
    /// end, since it need not read.
    fn write(&mut self) {
        let Some(input) = &mut self.input else { return };
        match input.write(self.message) {
            Ok(written) => self.message = self.message.get(written..).unwrap_or_default(),
            Err(error) if is_transient(&error) => return,
            Err(_) => self.message = &[],
        }
        if self.message.is_empty() {
            self.input = None;
        }
    }

    /// Reads once, and keeps the beginning of the output.
    fn read(&mut self) {
        let Some(output) = &mut self.output else {
            return;
        };
        let mut buffer = [0; 16 * 1024];
        let count = match output.read(&mut buffer) {
            Ok(count) => count,
            Err(error) if is_transient(&error) => return,
            Err(_) => 0,
        };
        if count == 0 {
            self.output = None;
        }
        let room = OUTPUT_MAX.saturating_sub(self.printed.len());
        self.is_cut |= count > room;
        self.printed.extend(buffer.iter().take(count.min(room)));
    }
}

/// Whether a program has ended, without reaping it. If the system cannot say, it has.
fn has_ended(child: &Child) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(WaitId::Pid(Pid::from_child(child)), options), Ok(None))
}

fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::{fs, process, thread};

    use super::*;
    use crate::process::HelperCommand;

    #[test]
    fn an_end_that_the_kernel_does_not_tell_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        assert!(process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        // Its child keeps the output open, so that nothing else reveals the end, which is after the
        // first check.
        let hour = Duration::from_secs(3600);
        let shell = HelperCommand::new("sh", hour)
            .with_arguments(&["-c", "cat \"$0\" & sleep 0.2; exit 3"]);
        let (mut child, output) = shell.start(fifo.to_str().unwrap(), &[]).unwrap();
        let (ended, end) = mpsc::channel();
        thread::spawn(move || {
            let mut pipes = Pipes::new(b"", output);
            let status = pipes.exchange(&mut child, None, hour).unwrap();
            ended.send((status.and_then(|it| it.code()), pipes.output.is_some())).unwrap();
        });
        let noticed = end.recv_timeout(Duration::from_secs(60));
        fs::write(&fifo, "").unwrap();
        assert_eq!(noticed, Ok((Some(3), true)));
    }
}
