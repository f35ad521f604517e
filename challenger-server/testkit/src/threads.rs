//! Waiting, and doing things at the same time.

use std::io::ErrorKind;
use std::iter;
use std::os::unix::net::UnixDatagram;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// How often to look for something that takes its time, and how many times at most.
const LOOK: Duration = Duration::from_millis(20);
const LOOKS: usize = 6000;

/// Waits until `look` finds something.
pub fn wait_for<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    try_for(look).unwrap_or_else(|| panic!("waited in vain for {what}"))
}

/// The next message of a service to its manager. A signal may interrupt the wait for it.
pub fn notified(manager: &UnixDatagram) -> String {
    let mut bytes = [0; 100];
    loop {
        match manager.recv(&mut bytes) {
            Ok(length) => return String::from_utf8(bytes[..length].to_vec()).unwrap(),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}"),
        }
    }
}

/// Waits until `look` finds something, unless that takes too long.
pub fn try_for<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let mut looks = iter::repeat_with(|| {
        thread::sleep(LOOK);
        look()
    });
    looks.by_ref().take(LOOKS).flatten().next()
}

/// Calls from this many threads at the same moment, and returns all of their results.
pub fn at_once<T: Send>(count: usize, call: impl Fn() -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(count);
    let work = || {
        barrier.wait();
        call()
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// Raised when it goes out of scope, also by a panic.
pub struct Raise<'a>(pub &'a AtomicBool);

impl Drop for Raise<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
