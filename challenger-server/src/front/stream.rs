//! Reads and writes of a socket that end by a given time. The socket itself never blocks.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::ioctl_fionread;
use socket2::Socket;

use super::bell::Bell;

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The bell rang, and the socket is not ready.
    Bell,
    /// The time has passed.
    Nothing,
    /// The socket is ready; at its end it always is.
    Ready,
}

/// Waits until a socket is ready or a bell rings.
pub(super) fn wait_for(
    socket: &impl AsFd,
    ready: PollFlags,
    time: Duration,
    bell: Option<&Bell>,
) -> io::Result<Event> {
    // A closed bell has no bytes: it is at its end.
    let awaited = bell.map(|bell| PollFd::new(bell, PollFlags::IN));
    let mut awaited: Vec<PollFd<'_>> =
        [PollFd::new(socket, ready)].into_iter().chain(awaited).collect();
    let time = Timespec::try_from(time).unwrap_or(Timespec { tv_sec: i64::MAX, tv_nsec: 0 });
    poll(&mut awaited, Some(&time))?;
    let mut happened = awaited.iter().map(|it| !it.revents().is_empty());
    Ok(match (happened.next(), happened.next()) {
        (Some(true), _) => Event::Ready,
        (_, Some(true)) => Event::Bell,
        _ => Event::Nothing,
    })
}

/// Whether the other end was closed, or at least its half that sends. Bytes that it sent before are
/// still there to be read.
pub(super) fn has_left(socket: &Socket) -> bool {
    // An error means that it cannot be known.
    let event = wait_for(socket, PollFlags::RDHUP, Duration::ZERO, None);
    matches!(event, Ok(Event::Ready))
}

/// The number of bytes that have arrived and were not read.
pub(super) fn unread(socket: &Socket) -> u64 {
    ioctl_fionread(socket).unwrap_or_default()
}

/// How a read ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival<'a> {
    /// The bell rang, and there is nothing to read.
    Bell,
    /// There are more bytes.
    Bytes(&'a [u8]),
    /// The deadline has passed.
    Late,
    /// Nothing will ever come.
    Never,
}

/// Reads the next bytes. Looks for them even when the deadline has passed: the thread may have been
/// woken late.
pub(super) fn read<'a>(
    mut socket: &Socket,
    buffer: &'a mut [u8],
    until: Instant,
    bell: Option<&Bell>,
) -> Arrival<'a> {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        match wait_for(socket, PollFlags::IN, left, bell) {
            Ok(Event::Bell) => return Arrival::Bell,
            // If something is wrong, the read returns it.
            Ok(Event::Ready) | Err(_) => {}
            Ok(Event::Nothing) => return Arrival::Late,
        }
        match socket.read(buffer) {
            Ok(0) => return Arrival::Never,
            Ok(count) => return Arrival::Bytes(buffer.get(..count).unwrap_or_default()),
            Err(error) if is_passing(&error) && left.is_zero() => return Arrival::Late,
            Err(error) if is_passing(&error) => {}
            Err(_) => return Arrival::Never,
        }
    }
}

/// Writes everything and returns whether it could. Both parts go together: a second write would
/// wait until the peer acknowledges the first. And neither is copied.
pub(super) fn write(mut socket: &Socket, parts: [&[u8]; 2], until: Instant) -> bool {
    let mut parts = parts.map(IoSlice::new);
    let mut rest = &mut parts[..];
    // Forgets those that are empty from the beginning.
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        match socket.write_vectored(rest) {
            Ok(0) => return false,
            Ok(count) => IoSlice::advance_slices(&mut rest, count),
            // If something is wrong, the next write returns it.
            Err(error) if is_passing(&error) => {
                let _ = wait_for(socket, PollFlags::OUT, left, None);
            }
            Err(_) => return false,
        }
    }
    true
}

/// Says that nothing more will come, and lets the peer finish.
pub(super) fn linger(socket: &Socket, until: Instant, bytes_max: usize) {
    if socket.shutdown(Shutdown::Write).is_err() {
        return;
    }
    let (mut buffer, mut discarded) = ([0; 8 * 1024], 0);
    while let Arrival::Bytes(bytes) = read(socket, &mut buffer, until, None) {
        discarded += bytes.len();
        if discarded > bytes_max {
            return;
        }
    }
}

/// Whether to check the deadline and try again.
pub(super) fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::TimedOut | ErrorKind::WouldBlock)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use socket2::{Domain, Type};

    use super::*;

    /// A socket that never blocks, and the peer's, which does.
    fn pair() -> (Socket, Socket) {
        let (ours, peer) = Socket::pair(Domain::UNIX, Type::STREAM, None).unwrap();
        ours.set_nonblocking(true).unwrap();
        (ours, peer)
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[test]
    fn all_of_both_parts_is_written_in_order() {
        let large = "0123456789".repeat(100_000);
        for (head, body) in [
            ("", ""),
            ("h", ""),
            ("", "b"),
            ("head of an answer", "and its body"),
            (&large, &large),
        ] {
            let (ours, mut peer) = pair();
            ours.set_send_buffer_size(4096).unwrap();
            let reading = thread::spawn(move || {
                let mut text = String::new();
                peer.read_to_string(&mut text).unwrap();
                text
            });
            assert!(write(&ours, [head.as_bytes(), body.as_bytes()], soon()));
            drop(ours);
            assert!(reading.join().unwrap() == format!("{head}{body}"));
        }
    }

    #[test]
    fn a_write_ends_when_its_time_is_up_or_the_peer_has_gone() {
        let (ours, peer) = pair();
        assert!(!write(&ours, [b"head", b"body"], Instant::now()));
        let large = vec![b'x'; 10_000_000];
        assert!(!write(&ours, [&large, b""], Instant::now() + Duration::from_millis(1)));
        drop(peer);
        assert!(!write(&ours, [b"head", b"body"], soon()));
    }

    #[test]
    fn what_can_be_read_goes_before_the_bell_and_the_deadline() {
        let (ours, mut peer) = pair();
        let bell = Bell::new().unwrap();
        let mut buffer = [0; 8];
        let past = Instant::now();
        assert_eq!(read(&ours, &mut buffer, past, Some(&bell)), Arrival::Late);
        bell.ring();
        assert_eq!(read(&ours, &mut buffer, soon(), Some(&bell)), Arrival::Bell);
        assert_eq!(read(&ours, &mut buffer, past, None), Arrival::Late);
        assert_eq!(unread(&ours), 0);
        for until in [past, soon()] {
            peer.write_all(b"GET").unwrap();
            assert_eq!(unread(&ours), 3);
            assert_eq!(read(&ours, &mut buffer, until, Some(&bell)), Arrival::Bytes(b"GET"));
        }
        peer.write_all(b"GET").unwrap();
        assert!(!has_left(&ours));
        drop(peer);
        assert!(has_left(&ours));
        assert_eq!(read(&ours, &mut buffer, past, Some(&bell)), Arrival::Bytes(b"GET"));
        // The end is to be read as well.
        assert_eq!(read(&ours, &mut buffer, past, Some(&bell)), Arrival::Never);
    }
}
