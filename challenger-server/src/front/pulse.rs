//! How a front does, as another thread can find out: whether it answers, and how many come.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use socket2::Socket;

use super::PAUSE;
use super::table::Table;

/// A request that needs neither the database nor a helper.
const REQUEST: &[u8] = b"GET /config HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// How many come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Open connections.
    pub open: usize,
    /// Connections that were ended to make room for others, ever.
    pub evicted: u64,
    /// Newcomers that found no room, ever.
    pub turned_away: u64,
}

/// A handle to a front. It does not keep it running.
#[derive(Clone)]
pub struct Pulse {
    table: Arc<Table>,
    /// To the thread that accepts connections.
    own: Sender<Socket>,
}

impl Pulse {
    pub(super) fn new(table: Arc<Table>) -> (Self, Receiver<Socket>) {
        let (own, theirs) = mpsc::channel();
        (Self { table, own }, theirs)
    }

    /// How many come.
    pub fn traffic(&self) -> Traffic {
        self.table.traffic()
    }

    /// Makes a request, and returns whether it was answered in time. It passes through the thread
    /// that accepts connections and a thread of its own, as those of strangers do, but no number of
    /// strangers can keep it out. During a drain, which ends by itself, nothing is asked.
    pub fn answers(&self, within: Duration) -> bool {
        let until = Instant::now() + within;
        // What goes wrong may be over in a moment, such as too many open files.
        while !self.table.is_draining() {
            if self.ask(until).is_some() {
                return true;
            }
            if until.saturating_duration_since(Instant::now()) <= PAUSE {
                return self.table.is_draining();
            }
            thread::sleep(PAUSE);
        }
        true
    }

    fn ask(&self, until: Instant) -> Option<()> {
        let (mut ours, theirs) = UnixStream::pair().ok()?;
        theirs.set_nonblocking(true).ok()?;
        self.own.send(OwnedFd::from(theirs).into()).ok()?;
        ours.write_all(REQUEST).ok()?;
        let left = until.saturating_duration_since(Instant::now());
        ours.set_read_timeout(Some(left.max(PAUSE))).ok()?;
        let mut begins = [0; 13];
        ours.read_exact(&mut begins).ok()?;
        begins.starts_with(b"HTTP/1.1 200 ").then_some(())
    }
}
