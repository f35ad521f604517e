//! What the front needs of a socket, and reads and writes that end by a given time.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use socket2::Socket;

/// A connected socket of any kind. Shared between the thread that serves it and whoever may have to
/// end that, it is one file descriptor all the same.
pub(super) trait Stream: Send + Sync {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize>;
    fn write(&self, bytes: &[u8]) -> io::Result<usize>;
    fn set_read_timeout(&self, timeout: Duration) -> io::Result<()>;
    fn set_write_timeout(&self, timeout: Duration) -> io::Result<()>;
    fn shutdown(&self, how: Shutdown) -> io::Result<()>;
}

impl Stream for Socket {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        (&mut &*self).read(buffer)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        (&mut &*self).write(bytes)
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

/// Appends what comes next.
pub(super) fn read(stream: &dyn Stream, buffer: &mut Vec<u8>, deadline: Instant) -> Arrival {
    let mut bytes = [0; 8 * 1024];
    loop {
        let Some(left) = time_left(deadline) else {
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

/// Writes everything and says whether it could.
pub(super) fn write(stream: &dyn Stream, mut bytes: &[u8], deadline: Instant) -> bool {
    while !bytes.is_empty() {
        let Some(left) = time_left(deadline) else {
            return false;
        };
        match stream.set_write_timeout(left).and_then(|()| stream.write(bytes)) {
            Ok(0) => return false,
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(error) if is_passing(&error) => {}
            Err(_) => return false,
        }
    }
    true
}

/// `None` when there is none. A socket takes a timeout of zero for none at all.
fn time_left(deadline: Instant) -> Option<Duration> {
    deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
}

/// Whether to look at the deadline and try again.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::TimedOut | ErrorKind::WouldBlock)
}
