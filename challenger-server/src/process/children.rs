//! The children of this process: those that it started, and orphans.
//!
//! Process 1 of a container becomes the parent of every process whose own parent has ended, such as
//! what a helper leaves behind, and nobody else can wait for them. Each would remain as a zombie.

use std::fs;
use std::io;
use std::ops::{Deref, DerefMut};
use std::process::{Child, Command};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

/// The children that we started and wait for ourselves. A process ID that was used again may be
/// there twice.
static STARTED: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// Threads hold it for reading while they start a child, several at the same time. While it is held
/// for writing, each child that is not in [`STARTED`] is an orphan.
static STARTING: RwLock<()> = RwLock::new(());

fn started() -> MutexGuard<'static, Vec<Pid>> {
    STARTED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A child that we started. Only its owner waits for it, as long as this exists.
pub(super) struct Started(Child);

impl Started {
    /// Starts a program.
    pub(super) fn spawn(command: &mut Command) -> io::Result<Self> {
        let _starting = STARTING.read().unwrap_or_else(PoisonError::into_inner);
        let child = command.spawn()?;
        started().push(Pid::from_child(&child));
        Ok(Self(child))
    }
}

impl Deref for Started {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for Started {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let (mut started, pid) = (started(), Pid::from_child(&self.0));
        if let Some(index) = started.iter().position(|it| *it == pid) {
            started.swap_remove(index);
        }
    }
}

/// Waits for all children that have ended, except for those that deliver messages, whose status
/// counts. For a program that is process 1 and starts no other processes, after each SIGCHLD.
///
/// It needs `/proc`, which is there in every container. The system has no call that looks at an
/// ended child, and says which one it is, without taking its status.
pub fn reap_orphans() {
    let _nobody_starts = STARTING.write().unwrap_or_else(PoisonError::into_inner);
    let started = started();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    for pid in numbers.filter_map(Pid::from_raw).filter(|pid| !started.contains(pid)) {
        // An error means that it is not a child of ours.
        let _ = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
    }
}
