//! Tests of the places: their order, and the requests that wait in vain.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Scope};

use super::*;
use crate::front::Present;

/// A wish of a client for a validation, decided on the first version of its row.
fn wish(client: i64, validation: u8) -> Purpose {
    Purpose {
        client: ClientId::new(client).unwrap(),
        validation: NonceDigest::from_bytes([validation; 32]),
        version: RowVersion::FIRST,
    }
}

/// This wish, decided when the message of the first one was paid for.
fn later(wish: Purpose) -> Purpose {
    Purpose { version: wish.version.next(), ..wish }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn places(helpers: usize, waiting: usize) -> Places {
    Places::new(Limits { helpers, waiting, patience: Duration::from_secs(60) })
}

fn waiting(places: &Places) -> usize {
    places.book().waiting.len()
}

fn now(turn: Turn<'_>) -> Place<'_> {
    match turn {
        Turn::Now(place) => place,
        Turn::Later(_) | Turn::Never => panic!("no place at once"),
    }
}

/// Requests that queue one after the other, and the order in which they get a place.
struct Scene<'a> {
    places: &'a Places,
    order: &'a Mutex<Vec<(i64, u8)>>,
}

impl<'a> Scene<'a> {
    /// Queues requests. Each that gets a place makes room for the next at once.
    fn queue<'s>(&self, scope: &'s Scope<'s, '_>, wishes: impl IntoIterator<Item = (i64, u8)>)
    where
        'a: 's,
    {
        let Self { places, order } = *self;
        for (client, validation) in wishes {
            let before = waiting(places);
            scope.spawn(move || match places.take(wish(client, validation), &Present, soon()) {
                Turn::Later(Some(_place)) => order.lock().unwrap().push((client, validation)),
                Turn::Now(_) | Turn::Later(None) | Turn::Never => panic!("it has to wait"),
            });
            while waiting(places) == before {
                thread::yield_now();
            }
        }
    }
}

#[test]
fn first_come_first_served() {
    let places = places(1, 100);
    let order = Mutex::default();
    let taken = now(places.take(wish(1, 0), &Present, soon()));
    let expected: Vec<(i64, u8)> = (1..=9).map(|number| (1, number)).collect();
    thread::scope(|scope| {
        Scene { places: &places, order: &order }.queue(scope, expected.iter().copied());
        drop(taken);
    });
    assert_eq!(order.into_inner().unwrap(), expected);
    drop(now(places.take(wish(1, 0), &Present, soon())));
}

#[test]
fn a_client_has_half_of_the_places_while_others_wait() {
    let places = places(4, 100);
    let order = Mutex::default();
    let mut taken: Vec<Place<'_>> =
        (0..4).map(|number| now(places.take(wish(1, number), &Present, soon()))).collect();
    thread::scope(|scope| {
        let scene = Scene { places: &places, order: &order };
        scene.queue(scope, [(1, 10), (1, 11), (2, 12), (3, 13)]);
        // With three left, the first client has its share: others come before it, though later.
        taken.pop();
        // And it comes when no one else waits and one place stays free.
        wait_until(|| waiting(&places) == 2 && places.book().taken.len() == 3);
        taken.pop();
        wait_until(|| waiting(&places) == 0);
        drop(taken);
    });
    assert_eq!(order.into_inner().unwrap(), [(2, 12), (3, 13), (1, 10), (1, 11)]);
}

#[test]
fn what_is_not_paid_for_after_all_is_for_the_next() {
    let places = places(2, 100);
    let first = now(places.take(wish(1, 7), &Present, soon()));
    thread::scope(|scope| {
        let same = scope.spawn(|| places.take(wish(1, 7), &Present, soon()));
        wait_until(|| places.book().rivals.len() == 1);
        drop(first);
        assert!(matches!(same.join().unwrap(), Turn::Later(None)));
    });
    drop(now(places.take(wish(1, 7), &Present, soon())));
}

#[test]
fn a_lone_client_may_have_all_places() {
    let places = places(3, 100);
    let taken = [0, 1, 2].map(|number| now(places.take(wish(1, number), &Present, soon())));
    assert_eq!(places.book().taken.len(), 3);
    drop(taken);
}

#[test]
fn some_places_stay_free_for_another_client() {
    let places = places(8, 100);
    drop(now(places.take(wish(2, 100), &Present, soon())));
    let taken: Vec<Place<'_>> =
        (0..6).map(|number| now(places.take(wish(1, number), &Present, soon()))).collect();
    let short = || Instant::now() + Duration::from_millis(20);
    assert!(matches!(places.take(wish(1, 7), &Present, short()), Turn::Never));
    let others = [101, 102].map(|number| now(places.take(wish(2, number), &Present, soon())));
    drop((taken, others));
    assert_eq!(waiting(&places), 0);
    assert_eq!(places.book().taken.len(), 0);
}

#[test]
fn one_request_of_a_validation_waits_and_it_is_the_latest() {
    let places = places(1, 4);
    let order = Mutex::default();
    let taken = now(places.take(wish(1, 0), &Present, soon()));
    thread::scope(|scope| {
        let scene = Scene { places: &places, order: &order };
        let first = scope.spawn(|| places.take(wish(1, 1), &Present, soon()));
        wait_until(|| waiting(&places) == 1);
        scene.queue(scope, [(1, 2)]);
        for _ in 0..20 {
            // In the turn of the first one, which gives up.
            let number = places.book().waiting[0].number;
            scope.spawn(|| places.take(wish(1, 1), &Present, soon()));
            wait_until(|| places.book().waiting[0].number != number);
            assert_eq!(waiting(&places), 2);
        }
        assert!(matches!(first.join().unwrap(), Turn::Never));
        scene.queue(scope, [(2, 3)]);
        drop(taken);
    });
    assert_eq!(order.into_inner().unwrap(), [(1, 2), (2, 3)]);
}

#[test]
fn a_client_has_half_of_the_queue() {
    let places = places(1, 4);
    let order = Mutex::default();
    let taken = now(places.take(wish(1, 0), &Present, soon()));
    thread::scope(|scope| {
        let scene = Scene { places: &places, order: &order };
        scene.queue(scope, [(1, 1), (1, 2)]);
        assert!(matches!(places.take(wish(1, 3), &Present, soon()), Turn::Never));
        scene.queue(scope, [(2, 4), (2, 5)]);
        assert!(matches!(places.take(wish(3, 6), &Present, soon()), Turn::Never));
        drop(taken);
    });
    assert_eq!(order.into_inner().unwrap().len(), 4);
}

#[test]
fn whoever_would_send_what_is_paid_for_looks_again() {
    let places = places(2, 100);
    let first = now(places.take(wish(1, 7), &Present, soon()));
    thread::scope(|scope| {
        // Whatever the limits are, it is not part of the queue.
        let same = scope.spawn(|| places.take(wish(1, 7), &Present, Instant::now()));
        wait_until(|| places.book().rivals.len() == 1);
        first.paid(wish(1, 7));
        assert!(matches!(same.join().unwrap(), Turn::Later(None)), "while the helper runs");
        assert!(matches!(places.take(wish(1, 7), &Present, soon()), Turn::Later(None)));
        // A message that was decided on the outcome of the first one waits for its end.
        let next = scope.spawn(|| places.take(later(wish(1, 7)), &Present, soon()));
        wait_until(|| waiting(&places) == 1);
        drop(now(places.take(wish(1, 8), &Present, soon())));
        assert_eq!(waiting(&places), 1, "a free place is not for the same validation");
        drop(first);
        assert!(matches!(next.join().unwrap(), Turn::Later(Some(_))));
    });
    assert_eq!(places.book().taken.len(), 0);
}

/// A peer that can be sent away.
#[derive(Default)]
struct Leaving(AtomicBool);

impl Peer for Leaving {
    fn has_left(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

#[test]
fn waiting_ends_when_the_peer_has_left_or_the_time_is_over() {
    let places = places(1, 100);
    let peer = Leaving::default();
    let taken = now(places.take(wish(1, 0), &Present, soon()));
    thread::scope(|scope| {
        let leaving = scope.spawn(|| places.take(wish(1, 1), &peer, soon()));
        wait_until(|| waiting(&places) == 1);
        peer.0.store(true, Ordering::SeqCst);
        assert!(matches!(leaving.join().unwrap(), Turn::Never));
    });
    let short = Instant::now() + Duration::from_millis(20);
    assert!(matches!(places.take(wish(1, 2), &Present, short), Turn::Never));
    assert!(matches!(places.take(wish(1, 3), &Present, Instant::now()), Turn::Never));
    assert_eq!(waiting(&places), 0);
    drop(taken);
    drop(now(places.take(wish(1, 4), &Present, soon())));
}

#[test]
fn whoever_gives_up_takes_no_place_along() {
    let places = places(2, 100);
    // Some give up at the moment at which they are called.
    thread::scope(|scope| {
        for number in 0..8 {
            let places = &places;
            scope.spawn(move || {
                for round in 0..2_000 {
                    let until = Instant::now() + Duration::from_micros(round % 50);
                    drop(places.take(wish(1 + i64::from(number % 3), number), &Present, until));
                }
            });
        }
    });
    let book = places.book();
    assert_eq!((book.taken.len(), book.waiting.len()), (0, 0));
}

fn wait_until(condition: impl Fn() -> bool) {
    while !condition() {
        thread::yield_now();
    }
}
