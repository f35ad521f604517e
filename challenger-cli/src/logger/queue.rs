//! Lines on their way to a place that may not take them: a pipe that nobody reads, or a disk that
//! hangs. One thread waits for it. Everybody else goes on, and if lines get too many, those that
//! come are lost and counted.

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use challenger_server::logging;

use super::Output;

/// How many lines may wait.
const LINES_MAX: usize = 8192;

/// How much text may wait, in bytes.
const BYTES_MAX: usize = 1024 * 1024;

/// How long to wait at the end for lines to be written.
const PATIENCE: Duration = Duration::from_secs(2);

/// The lines that wait.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// There is something to do for the thread that writes.
    filled: Condvar,
    /// There is nothing left to do for it.
    drained: Condvar,
}

#[derive(Default)]
struct State {
    tasks: VecDeque<Task>,
    /// How long the lines are together.
    bytes: usize,
    /// How many lines were lost after the last that waits.
    lost: u64,
    /// Whether the last line could not be written, so that a report of it cannot be, either.
    is_broken: bool,
    /// Whether the thread waits for something to do.
    is_idle: bool,
}

/// What the thread has to do.
enum Task {
    /// To open the file again.
    Reopen,
    /// To write a line, of those that were not lost.
    Write(String),
    /// To say how many lines were lost here.
    Report(u64),
}

impl Queue {
    /// Adds a line, if there is room.
    pub(super) fn push(&self, line: String) {
        let mut state = self.lock();
        let bytes = state.bytes.saturating_add(line.len());
        if state.tasks.len() >= LINES_MAX || bytes > BYTES_MAX {
            state.lose(1);
            logging::count_lost_line();
            return;
        }
        state.report();
        state.bytes = bytes;
        state.tasks.push_back(Task::Write(line));
        self.wake(state);
    }

    /// Has the file opened again. Lines that wait may be written to either.
    pub(super) fn reopen(&self) {
        let mut state = self.lock();
        if !matches!(state.tasks.front(), Some(Task::Reopen)) {
            state.tasks.push_front(Task::Reopen);
        }
        self.wake(state);
    }

    /// Waits until all lines are written, or for a while.
    pub(super) fn flush(&self) {
        let state = self.lock();
        let is_busy = |state: &mut State| !(state.is_idle && state.tasks.is_empty());
        drop(self.drained.wait_timeout_while(state, PATIENCE, is_busy));
    }

    /// Writes, without end. `report` makes the line that reports losses, and `complaint` the one
    /// that says why the file was not opened.
    pub(super) fn write(
        &self,
        mut output: Output,
        report: impl Fn(u64) -> String,
        complaint: impl Fn(&io::Error) -> String,
    ) {
        loop {
            let (line, lines_lost) = match self.next() {
                Task::Reopen => match output.reopen() {
                    Ok(()) => continue,
                    Err(error) => (complaint(&error), None),
                },
                Task::Report(lost) => (report(lost), Some(lost)),
                Task::Write(line) => (line, None),
            };
            let is_broken = output.write(&line).is_err();
            let mut state = self.lock();
            state.is_broken = is_broken;
            if is_broken {
                state.lose(lines_lost.unwrap_or(1));
                if lines_lost.is_none() {
                    logging::count_lost_line();
                }
            }
        }
    }

    /// The next task, once there is one.
    fn next(&self) -> Task {
        let mut state = self.lock();
        loop {
            if state.tasks.is_empty() && !state.is_broken {
                state.report();
            }
            match state.tasks.pop_front() {
                Some(task) => {
                    if let Task::Write(line) = &task {
                        state.bytes = state.bytes.saturating_sub(line.len());
                    }
                    state.is_idle = false;
                    return task;
                }
                None => {
                    state.is_idle = true;
                    self.drained.notify_all();
                    state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    fn wake(&self, state: MutexGuard<'_, State>) {
        let is_idle = state.is_idle;
        drop(state);
        if is_idle {
            self.filled.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn lose(&mut self, lines: u64) {
        self.lost = self.lost.saturating_add(lines);
    }

    /// Has what was lost reported behind the lines that wait.
    fn report(&mut self) {
        if self.lost > 0 {
            let lost = mem::take(&mut self.lost);
            self.tasks.push_back(Task::Report(lost));
        }
    }
}
