//! What the front needs of a socket, and reads and writes that end by a given time.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::ioctl_fionread;
use socket2::Socket;

use super::bell::Bell;

/// A connected socket of any kind. Shared between the thread that serves it and whoever may have to
/// end that, it is one file descriptor all the same.
pub(super) trait Stream: Send + Sync {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize>;
    /// Writes from several places as if they were one.
    fn write(&self, parts: &[IoSlice<'_>]) -> io::Result<usize>;
    fn set_read_timeout(&self, timeout: Duration) -> io::Result<()>;
    fn set_write_timeout(&self, timeout: Duration) -> io::Result<()>;
    fn shutdown(&self, how: Shutdown) -> io::Result<()>;
    /// Whether the other end was closed, or at least its half that sends. Whatever it sent before
    /// is still there to be read.
    fn has_left(&self) -> bool;
    /// Waits until there is something to read, the end included, or a bell rings.
    fn wait(&self, time: Duration, bell: Option<&Bell>) -> io::Result<Event>;
    /// How many bytes have come and were not read.
    fn unread(&self) -> io::Result<u64>;
}

/// What may happen while nothing is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The bell rang, and there is nothing to read.
    Bell,
    /// Nothing did.
    Nothing,
    /// There is something to read.
    Something,
}

impl Stream for Socket {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        (&mut &*self).read(buffer)
    }

    fn write(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        (&mut &*self).write_vectored(parts)
    }

    fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        Self::set_read_timeout(self, Some(timeout))
    }

    fn set_write_timeout(&self, timeout: Duration) -> io::Result<()> {
        Self::set_write_timeout(self, Some(timeout))
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        Self::shutdown(self, how)
    }

    fn has_left(&self) -> bool {
        let mut watched = [PollFd::new(self, PollFlags::RDHUP)];
        match poll(&mut watched, Some(&Timespec::default())) {
            Ok(_) => watched.iter().any(|it| !it.revents().is_empty()),
            // Not to be known.
            Err(_) => false,
        }
    }

    fn wait(&self, time: Duration, bell: Option<&Bell>) -> io::Result<Event> {
        wait_for(self, time, bell)
    }

    fn unread(&self) -> io::Result<u64> {
        Ok(ioctl_fionread(self)?)
    }
}

/// Waits until a socket can be read, or accepted from, or a bell rings.
pub(super) fn wait_for(
    socket: &impl AsFd,
    time: Duration,
    bell: Option<&Bell>,
) -> io::Result<Event> {
    // A closed bell has no bytes: it is at its end.
    let awaited = bell.map(|bell| PollFd::new(bell, PollFlags::IN));
    let mut awaited: Vec<PollFd<'_>> =
        [PollFd::new(socket, PollFlags::IN)].into_iter().chain(awaited).collect();
    let time = Timespec::try_from(time).unwrap_or(Timespec { tv_sec: i64::MAX, tv_nsec: 0 });
    poll(&mut awaited, Some(&time))?;
    let mut happened = awaited.iter().map(|it| !it.revents().is_empty());
    Ok(match (happened.next(), happened.next()) {
        (Some(true), _) => Event::Something,
        (_, Some(true)) => Event::Bell,
        _ => Event::Nothing,
    })
}

/// How a read ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// There are more bytes, this many.
    Bytes(usize),
    /// The deadline has passed.
    Late,
    /// Nothing will ever come.
    Never,
}

/// A time from now on. No deadline is longer than a day: points in time have an end.
pub(super) fn deadline(after: Duration) -> Instant {
    Instant::now() + after.min(Duration::from_secs(86_400))
}

/// Waits until there is something to read. Looks for it once more when the deadline has passed: the
/// wait may have been long in ending.
pub(super) fn wait(stream: &dyn Stream, deadline: Instant, bell: Option<&Bell>) -> Event {
    loop {
        let left = time_left(deadline, Instant::now());
        match stream.wait(left.unwrap_or_default(), bell) {
            Ok(Event::Nothing) if left.is_some() => {}
            Ok(event) => return event,
            Err(error) if is_passing(&error) => {}
            // The read will say what is wrong.
            Err(_) => return Event::Something,
        }
    }
}

/// Appends what comes next.
pub(super) fn read(stream: &dyn Stream, buffer: &mut Vec<u8>, deadline: Instant) -> Arrival {
    let mut bytes = [0; 8 * 1024];
    loop {
        let Some(left) = time_left(deadline, Instant::now()) else {
            return Arrival::Late;
        };
        let count = stream.set_read_timeout(left).and_then(|()| stream.read(&mut bytes));
        match count {
            Ok(0) => return Arrival::Never,
            Ok(count) => {
                buffer.extend(bytes.iter().take(count));
                return Arrival::Bytes(count);
            }
            Err(error) if is_passing(&error) => {}
            Err(_) => return Arrival::Never,
        }
    }
}

/// Writes everything and says whether it could. Head and body go together: a second write would
/// wait until the peer acknowledges the first. And neither is copied.
pub(super) fn write(stream: &dyn Stream, parts: [&[u8]; 2], deadline: Instant) -> bool {
    let mut parts = parts.map(IoSlice::new);
    let mut left = &mut parts[..];
    // Forgets those that are empty from the beginning.
    IoSlice::advance_slices(&mut left, 0);
    while !left.is_empty() {
        let Some(time) = time_left(deadline, Instant::now()) else {
            return false;
        };
        match stream.set_write_timeout(time).and_then(|()| stream.write(left)) {
            Ok(0) => return false,
            Ok(count) => IoSlice::advance_slices(&mut left, count),
            Err(error) if is_passing(&error) => {}
            Err(_) => return false,
        }
    }
    true
}

/// `None` when there is none. A socket takes a timeout of zero for none at all, and forgets what is
/// less than a microsecond.
fn time_left(deadline: Instant, now: Instant) -> Option<Duration> {
    let left = deadline.checked_duration_since(now).filter(|left| !left.is_zero());
    left.map(|left| left.max(Duration::from_micros(1)))
}

/// Whether to look at the deadline and try again.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::TimedOut | ErrorKind::WouldBlock)
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    use std::sync::Mutex;

    use super::*;

    /// Takes a few bytes at a time, and now and then none.
    #[derive(Default)]
    struct Sip {
        calls: Mutex<usize>,
        taken: Mutex<Vec<u8>>,
    }

    impl Stream for Sip {
        fn read(&self, _: &mut [u8]) -> io::Result<usize> {
            Ok(0)
        }

        fn write(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
            let mut calls = self.calls.lock().unwrap();
            *calls += 1;
            if calls.is_multiple_of(3) {
                return Err(ErrorKind::WouldBlock.into());
            }
            let offered = parts.iter().flat_map(|part| part.iter().copied());
            let mut taken = self.taken.lock().unwrap();
            let before = taken.len();
            taken.extend(offered.take(*calls));
            Ok(taken.len() - before)
        }

        fn set_read_timeout(&self, _: Duration) -> io::Result<()> {
            Ok(())
        }

        fn set_write_timeout(&self, _: Duration) -> io::Result<()> {
            Ok(())
        }

        fn shutdown(&self, _: Shutdown) -> io::Result<()> {
            Ok(())
        }

        fn has_left(&self) -> bool {
            false
        }

        fn wait(&self, _: Duration, _: Option<&Bell>) -> io::Result<Event> {
            Ok(Event::Something)
        }

        fn unread(&self) -> io::Result<u64> {
            Ok(0)
        }
    }

    #[test]
    fn time_that_is_left_is_never_taken_for_no_limit() {
        let now = Instant::now();
        for (nanoseconds, expected) in [(1, 1000), (999, 1000), (1000, 1000), (1001, 1001)] {
            let [left, expected] = [nanoseconds, expected].map(Duration::from_nanos);
            assert_eq!(time_left(now + left, now), Some(expected));
        }
        assert_eq!(time_left(now, now), None);
        assert_eq!(time_left(now, now + Duration::from_nanos(1)), None);
    }

    #[test]
    fn all_of_both_parts_is_written_in_order() {
        let late = deadline(Duration::from_secs(60));
        for (head, body) in [("", ""), ("h", ""), ("", "b"), ("head of an answer", "and its body")]
        {
            let sip = Sip::default();
            assert!(write(&sip, [head.as_bytes(), body.as_bytes()], late));
            assert_eq!(*sip.taken.lock().unwrap(), format!("{head}{body}").into_bytes());
        }
        assert!(!write(&Sip::default(), [b"head", b"body"], Instant::now()), "too late");
    }

    #[test]
    fn what_can_be_read_goes_before_the_bell() {
        let (peer, ours) = UnixStream::pair().unwrap();
        let (mut peer, ours) = (peer, Socket::from(OwnedFd::from(ours)));
        let bell = Bell::new().unwrap();
        let past = Instant::now();
        assert_eq!(wait(&ours, past, Some(&bell)), Event::Nothing);
        bell.ring();
        assert_eq!(wait(&ours, deadline(Duration::from_secs(60)), Some(&bell)), Event::Bell);
        assert_eq!(wait(&ours, past, None), Event::Nothing);
        assert_eq!(ours.unread().unwrap(), 0);
        peer.write_all(b"GET").unwrap();
        // Also when it is too late.
        for bell in [None, Some(&bell)] {
            assert_eq!(wait(&ours, past, bell), Event::Something);
        }
        assert_eq!(ours.unread().unwrap(), 3);
        drop(peer);
        assert_eq!(Stream::read(&ours, &mut [0; 3]).unwrap(), 3);
        // The end is to be read as well.
        assert_eq!(wait(&ours, past, Some(&bell)), Event::Something);
    }
}
