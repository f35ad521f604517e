//! Turns: who waits longest is next. A pool gives what comes back to whoever asks in that moment,
//! and those who wait may wait twice as long as on average.

use std::collections::VecDeque;
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// A number of turns, which are taken and given back.
pub(super) struct Turns(Mutex<Queue>);

struct Queue {
    /// None while somebody waits.
    free: u32,
    /// Who came first is in front. Some may no longer wait.
    waiting: VecDeque<SyncSender<()>>,
}

impl Turns {
    /// So many at the same time.
    pub(super) const fn new(count: u32) -> Self {
        Self(Mutex::new(Queue { free: count, waiting: VecDeque::new() }))
    }

    /// Waits for a turn, and no longer than `until`.
    pub(super) fn take(&self, until: Instant) -> Option<Turn<'_>> {
        let mut queue = self.queue();
        if let Some(left) = queue.free.checked_sub(1) {
            queue.free = left;
            return Some(Turn(self));
        }
        let (give, given) = mpsc::sync_channel(1);
        queue.waiting.push_back(give);
        drop(queue);
        if given.recv_timeout(until.saturating_duration_since(Instant::now())).is_ok() {
            return Some(Turn(self));
        }
        // It may have been given in this moment. Afterwards it cannot be: the way is closed before
        // anybody else has the queue.
        let queue = self.queue();
        let is_given = given.try_recv().is_ok();
        drop(given);
        drop(queue);
        // Not `then_some`, which makes a turn in any case, and drops it: that gives one back.
        if is_given { Some(Turn(self)) } else { None }
    }

    fn give_back(&self) {
        let mut queue = self.queue();
        while let Some(next) = queue.waiting.pop_front() {
            if next.try_send(()).is_ok() {
                return;
            }
        }
        queue.free += 1;
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A turn, until it is dropped.
pub(super) struct Turn<'a>(&'a Turns);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.give_back();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[test]
    fn who_comes_first_is_first() {
        let turns = Turns::new(1);
        let order = Mutex::new(Vec::new());
        let taken = turns.take(soon());
        thread::scope(|scope| {
            for number in 0..5 {
                let (turns, order) = (&turns, &order);
                scope.spawn(move || {
                    let turn = turns.take(soon());
                    order.lock().unwrap().push((number, turn.is_some()));
                });
                while turns.queue().waiting.len() <= number {
                    thread::yield_now();
                }
            }
            drop(taken);
        });
        let expected: Vec<_> = (0..5).map(|number| (number, true)).collect();
        assert_eq!(*order.lock().unwrap(), expected);
    }

    #[test]
    fn who_gives_up_takes_no_turn_along() {
        let turns = Turns::new(2);
        let taken = [turns.take(soon()), turns.take(soon())];
        assert!(turns.take(Instant::now()).is_none());
        drop(taken);
        assert_eq!(turns.queue().free, 2);
        // Some give up in the moment in which they are given a turn.
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for round in 0..2_000 {
                        drop(turns.take(Instant::now() + Duration::from_micros(round % 50)));
                    }
                });
            }
        });
        let queue = turns.queue();
        assert_eq!((queue.free, queue.waiting.len()), (2, 0));
    }
}
