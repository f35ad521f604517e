//! The pipes of a program: input and output, never blocked by it.

use std::io::{self, PipeReader, Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, ChildStdin, ExitStatus};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, ioctl_fionbio};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use super::{OUTPUT_MAX, TICK};

/// How much is read at once.
const CHUNK: usize = 16 * 1024;
/// How many chunks a pipe can hold: 1 MiB, unless the program is privileged.
const CHUNKS: usize = 64;

/// Our ends of the program's pipes, none of which can block us.
pub(super) struct Pipes {
    input: Option<ChildStdin>,
    unwritten: Vec<u8>,
    /// Whether the input stays open behind a message, for another one.
    stays: bool,
    /// The output that comes first: all of it, or what is not about errors.
    pub(super) output: Outflow,
    /// The output about errors, if it has a pipe of its own.
    pub(super) errors: Outflow,
}

/// Why [`Pipes::exchange`] returned.
pub(super) enum Exchanged {
    /// The program has ended, and has been waited for.
    Ended(ExitStatus),
    /// There was enough of what the caller waits for.
    Enough,
    /// The time is up.
    TimeUp,
}

impl Pipes {
    /// The pipes of a program that gets one message, and prints into one pipe.
    pub(super) fn for_one(message: &[u8], output: PipeReader) -> Self {
        Self {
            input: None,
            unwritten: message.to_vec(),
            stays: false,
            output: Outflow::new(Some(output), OUTPUT_MAX),
            errors: Outflow::new(None, 0),
        }
    }

    /// The pipes of a program that gets no message, and is listened to only about errors.
    pub(super) fn for_none(output: PipeReader, errors: PipeReader) -> Self {
        Self { stays: false, ..Self::for_many(output, 0, errors) }
    }

    /// The pipes of a program that gets one message after the other. `output_max` bytes of its
    /// output are kept.
    pub(super) fn for_many(output: PipeReader, output_max: usize, errors: PipeReader) -> Self {
        Self {
            input: None,
            unwritten: Vec::new(),
            stays: true,
            output: Outflow::new(Some(output), output_max),
            errors: Outflow::new(Some(errors), OUTPUT_MAX),
        }
    }

    /// Takes the input of the program.
    pub(super) fn connect(&mut self, child: &mut Child) -> io::Result<()> {
        self.input = child.stdin.take();
        self.input.as_ref().map_or(Ok(()), |input| Ok(ioctl_fionbio(input, true)?))
    }

    /// The next message. Nothing of the one before is left: what was said about it later is
    /// dropped.
    pub(super) fn give(&mut self, message: &[u8]) {
        self.errors.catch_up();
        self.errors.forget();
        self.output.forget();
        self.unwritten = message.to_vec();
    }

    /// Forgets what was printed so far.
    pub(super) fn forget_answer(&mut self) {
        self.output.forget();
    }

    /// Ends the input.
    pub(super) fn close(&mut self) {
        self.input = None;
    }

    /// Whether the message was written as a whole.
    pub(super) const fn is_written(&self) -> bool {
        self.unwritten.is_empty()
    }

    /// Whether the program has closed an end that it needs for another message.
    pub(super) const fn is_broken(&self) -> bool {
        self.input.is_none() || self.output.pipe.is_none()
    }

    /// Whether the program has both ends open and has printed nothing that nobody asked for.
    pub(super) fn are_quiet(&self) -> bool {
        let (Some(input), Some(output)) = (&self.input, &self.output.pipe) else { return false };
        // Without flags, only errors are reported: the program no longer reads.
        let mut awaited =
            [PollFd::new(input, PollFlags::empty()), PollFd::new(output, PollFlags::IN)];
        poll(&mut awaited, Some(&Timespec::default())) == Ok(0)
    }

    /// Writes the message and reads the output until the program has ended, there is enough, or the
    /// time is up. The kernel reports the end on `end`, if it can.
    pub(super) fn exchange(
        &mut self,
        child: &mut Child,
        end: Option<&OwnedFd>,
        limit: Duration,
        is_enough: impl Fn(&Self) -> bool,
    ) -> io::Result<Exchanged> {
        let started = Instant::now();
        let nap = if end.is_some() { limit } else { TICK };
        loop {
            if is_enough(self) {
                return Ok(Exchanged::Enough);
            }
            if let Some(status) = child.try_wait()? {
                self.input = None;
                return Ok(Exchanged::Ended(status));
            }
            let left = limit.saturating_sub(started.elapsed());
            if left.is_zero() {
                return Ok(Exchanged::TimeUp);
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
            if (ended && self.has_output_ended()) || left.is_zero() {
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
        while !self.has_output_ended() {
            let left = limit.saturating_sub(started.elapsed());
            if left.is_zero() || self.step(None, left).is_err() {
                self.output.pipe = None;
                self.errors.pipe = None;
            }
        }
    }

    const fn has_output_ended(&self) -> bool {
        self.output.pipe.is_none() && self.errors.pipe.is_none()
    }

    /// Waits until a pipe is ready, or the program has ended, but not longer than `limit`; then
    /// writes and reads what is possible.
    fn step(&mut self, end: Option<&OwnedFd>, limit: Duration) -> io::Result<()> {
        let is_writing = !self.stays || !self.is_written();
        let input = self.input.iter().filter(|_| is_writing);
        let input = input.map(|input| PollFd::new(input, PollFlags::OUT));
        let outputs = self.output.pipe.iter().chain(&self.errors.pipe);
        let outputs = outputs.map(|output| PollFd::new(output, PollFlags::IN));
        let end = end.into_iter().map(|end| PollFd::new(end, PollFlags::IN));
        let mut awaited: Vec<PollFd<'_>> = input.chain(outputs).chain(end).collect();
        match poll(&mut awaited, Timespec::try_from(limit).ok().as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        self.write();
        self.output.read();
        self.errors.read();
        Ok(())
    }

    /// Writes once, and closes the pipe when the message is written and none will follow, or when
    /// the program has closed its end.
    fn write(&mut self) {
        let Some(input) = &mut self.input else { return };
        match input.write(&self.unwritten) {
            Ok(written) => drop(self.unwritten.drain(..written)),
            Err(error) if is_transient(&error) => return,
            Err(_) => self.input = None,
        }
        if self.is_written() && !self.stays {
            self.input = None;
        }
    }
}

/// Our end of a pipe that the program prints into, and the beginning of what it printed.
pub(super) struct Outflow {
    pipe: Option<PipeReader>,
    pub(super) kept: Vec<u8>,
    pub(super) is_cut: bool,
    most: usize,
}

impl Outflow {
    const fn new(pipe: Option<PipeReader>, most: usize) -> Self {
        Self { pipe, kept: Vec::new(), is_cut: false, most }
    }

    /// Reads what was printed until now. If it never ends, a full pipe is enough.
    pub(super) fn catch_up(&mut self) {
        let _ = (0..CHUNKS).take_while(|_| self.read()).count();
    }

    /// Forgets what was printed.
    fn forget(&mut self) {
        self.kept.clear();
        self.is_cut = false;
    }

    /// Reads once, and returns whether anything was there.
    fn read(&mut self) -> bool {
        let Some(pipe) = &mut self.pipe else { return false };
        let mut buffer = [0; CHUNK];
        let count = match pipe.read(&mut buffer) {
            Ok(count) => count,
            Err(error) if is_transient(&error) => return false,
            Err(_) => 0,
        };
        if count == 0 {
            self.pipe = None;
        }
        let room = self.most.saturating_sub(self.kept.len());
        self.is_cut |= count > room;
        self.kept.extend(buffer.iter().take(count.min(room)));
        count > 0
    }
}

/// Whether a program has ended, without reaping it. If the system cannot say, it has.
pub(super) fn has_ended(child: &Child) -> bool {
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
            let mut pipes = Pipes::for_one(b"", output);
            pipes.connect(&mut child).unwrap();
            let exchanged = pipes.exchange(&mut child, None, hour, |_| false).unwrap();
            let Exchanged::Ended(status) = exchanged else { panic!("it ends") };
            ended.send((status.code(), pipes.output.pipe.is_some())).unwrap();
        });
        let noticed = end.recv_timeout(Duration::from_secs(60));
        fs::write(&fifo, "").unwrap();
        assert_eq!(noticed, Ok((Some(3), true)));
    }
}
