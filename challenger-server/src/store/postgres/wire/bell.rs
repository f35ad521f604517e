//! A waker for futures that wake each other. The runtime's own would write to a file descriptor
//! each time, and wait for it: of the system calls of a trip, that would be more than a third.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// How often to go on at once. A future that wakes itself without end must leave the runtime its
/// turn, and with it the deadline.
const ROUNDS_MAX: usize = 16;

/// Nobody looks: a ring has to reach the runtime.
const WAITING: u8 = 0;
/// The futures are being polled: a ring means that they have to be polled once more.
const POLLING: u8 = 1;
/// It rang.
const RUNG: u8 = 2;

/// Rings for futures that are polled together.
struct Bell {
    state: AtomicU8,
    runtime: Waker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.swap(RUNG, Ordering::AcqRel) == WAITING {
            self.runtime.wake_by_ref();
        }
    }
}

/// Polls until it is ready, and polls again at once when one thing in it wakes another.
pub(super) async fn together<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    let mut bell = None;
    poll_fn(|context| {
        let bell = bell.get_or_insert_with(|| {
            let (state, runtime) = (AtomicU8::new(WAITING), context.waker().clone());
            Arc::new(Bell { state, runtime })
        });
        let waker = Waker::from(Arc::clone(bell));
        for _ in 0..ROUNDS_MAX {
            // Not `store`: a ring until now was for something that this poll has to see.
            bell.state.swap(POLLING, Ordering::AcqRel);
            if let Poll::Ready(done) = poll(&mut Context::from_waker(&waker)) {
                return Poll::Ready(done);
            }
            let (set, fetch) = (Ordering::AcqRel, Ordering::Acquire);
            if bell.state.compare_exchange(POLLING, WAITING, set, fetch).is_ok() {
                return Poll::Pending;
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::AtomicUsize;
    use std::thread;
    use std::time::Duration;

    use tokio::runtime::Builder;
    use tokio::time::timeout;

    use super::*;

    fn run<T>(work: impl Future<Output = T>) -> T {
        Builder::new_current_thread().enable_time().build().unwrap().block_on(work)
    }

    #[test]
    fn what_wakes_itself_is_polled_again_at_once() {
        let polls = AtomicUsize::new(0);
        let done = run(together(|context| match polls.fetch_add(1, Ordering::Relaxed) {
            9 => Poll::Ready("done"),
            _ => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
        }));
        assert_eq!((done, polls.into_inner()), ("done", 10));
    }

    #[test]
    fn what_never_stops_to_wake_itself_ends_at_the_deadline() {
        let endless = together(|context| {
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        });
        assert!(run(async { timeout(Duration::from_millis(10), endless).await }).is_err());
    }

    #[test]
    fn another_thread_can_ring() {
        for _ in 0..1000 {
            let waker: Arc<Mutex<Option<Waker>>> = Arc::default();
            let ringing = thread::spawn({
                let waker = Arc::clone(&waker);
                move || {
                    while waker.lock().unwrap().take().map(Waker::wake).is_none() {
                        thread::yield_now();
                    }
                }
            });
            let mut polls = 0;
            run(together(|context| {
                polls += 1;
                if polls == 1 {
                    *waker.lock().unwrap() = Some(context.waker().clone());
                    return Poll::Pending;
                }
                Poll::Ready(())
            }));
            ringing.join().unwrap();
        }
    }
}
