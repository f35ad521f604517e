//! A fair semaphore: the caller that has waited longest is next. The pool itself gives a connection
//! that comes back to anyone who asks at that moment, so some would wait twice as long as on
//! average.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::mpsc::{self, SyncSender};
use std::time::Instant;

use crate::store::lock;

/// A number of permits.
pub(super) struct Semaphore(Mutex<Queue>);

struct Queue {
    /// 0 while somebody waits.
    available: u32,
    /// The first to come is in front. Some may no longer wait.
    waiting: VecDeque<SyncSender<()>>,
}

impl Semaphore {
    /// A semaphore with this many permits.
    pub(super) const fn new(permits: u32) -> Self {
        Self(Mutex::new(Queue { available: permits, waiting: VecDeque::new() }))
    }

    /// Waits for a permit until the deadline.
    pub(super) fn acquire(&self, deadline: Instant) -> Option<Permit<'_>> {
        let mut queue = lock(&self.0);
        if let Some(left) = queue.available.checked_sub(1) {
            queue.available = left;
            return Some(Permit(self));
        }
        let (give, given) = mpsc::sync_channel(1);
        queue.waiting.push_back(give);
        drop(queue);
        if given.recv_timeout(deadline.saturating_duration_since(Instant::now())).is_ok() {
            return Some(Permit(self));
        }
        // It may have been given at this very moment. Afterwards it cannot be: the channel is
        // closed while the queue is locked.
        let queue = lock(&self.0);
        let is_given = given.try_recv().is_ok();
        drop(given);
        drop(queue);
        // Not `then_some`, which would make a permit in any case, and dropping it releases one.
        if is_given { Some(Permit(self)) } else { None }
    }

    fn release(&self) {
        let mut queue = lock(&self.0);
        while let Some(next) = queue.waiting.pop_front() {
            if next.try_send(()).is_ok() {
                return;
            }
        }
        queue.available += 1;
    }
}

/// A permit, until it is dropped.
pub(super) struct Permit<'a>(&'a Semaphore);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.release();
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
    fn the_first_to_come_is_the_first_served() {
        let semaphore = Semaphore::new(1);
        let order = Mutex::new(Vec::new());
        let taken = semaphore.acquire(soon());
        thread::scope(|scope| {
            for number in 0..5 {
                let (semaphore, order) = (&semaphore, &order);
                scope.spawn(move || {
                    let permit = semaphore.acquire(soon());
                    order.lock().unwrap().push((number, permit.is_some()));
                });
                while lock(&semaphore.0).waiting.len() <= number {
                    thread::yield_now();
                }
            }
            drop(taken);
        });
        let expected: Vec<_> = (0..5).map(|number| (number, true)).collect();
        assert_eq!(*order.lock().unwrap(), expected);
    }

    #[test]
    fn giving_up_takes_no_permit_along() {
        let semaphore = Semaphore::new(2);
        let taken = [semaphore.acquire(soon()), semaphore.acquire(soon())];
        assert!(semaphore.acquire(Instant::now()).is_none());
        drop(taken);
        assert_eq!(lock(&semaphore.0).available, 2);
        // Some give up at the moment at which they are given a permit.
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for round in 0..2_000 {
                        drop(semaphore.acquire(Instant::now() + Duration::from_micros(round % 50)));
                    }
                });
            }
        });
        let queue = lock(&semaphore.0);
        assert_eq!((queue.available, queue.waiting.len()), (2, 0));
    }
}
