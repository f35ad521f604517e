//! Notices that a listener was closed by its owner: tiny_http stops listening after any error,
//! including a panic, and does not report it.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::MetadataExt;
use std::thread;

use super::TICK;
use crate::this_process;

/// A listener that has another owner.
#[derive(Clone)]
pub(crate) struct Watch {
    path: String,
    /// Of the socket, since another one may get the same descriptor.
    inode: u64,
}

impl Watch {
    /// Watches a listener from now on.
    pub(super) fn new(listener: &impl AsFd) -> io::Result<Self> {
        let path = format!("/dev/fd/{}", listener.as_fd().as_raw_fd());
        fs::metadata(&path).map(|it| Self { path, inode: it.ino() })
    }

    pub(crate) fn is_open(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|it| it.ino() == self.inode)
    }

    /// Stops the service once the listener was closed: only a new start repairs that.
    pub(crate) fn stop_when_closed(self) -> io::Result<()> {
        let watch = move || {
            while self.is_open() {
                thread::sleep(TICK);
            }
            log::error!(error = "it accepts no more connections"; "engine failed");
            this_process::stop();
        };
        thread::Builder::new().name("watch".to_owned()).spawn(watch).map(drop)
    }
}
