//! What wakes those who wait for their peers: it is rung once, and then never falls silent.

use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Mutex, PoisonError};

/// A pipe into which nobody ever writes. When its other end is closed, all who watch it see that.
pub(super) struct Bell {
    reader: PipeReader,
    writer: Mutex<Option<PipeWriter>>,
}

impl Bell {
    /// A bell that was not rung.
    pub(super) fn new() -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        Ok(Self { reader, writer: Mutex::new(Some(writer)) })
    }

    /// Wakes all who wait, and all who are going to.
    pub(super) fn ring(&self) {
        drop(self.writer.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}
