//! Tests of `postgres`: what is tried again. The connections answer as they are told.

use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use super::desk::{Fate, Ticket, Wire};
use super::*;
use crate::store::lock;

const PATIENCE: Duration = Duration::from_secs(60);

/// What becomes of a trip: its answer, or none in time.
type Outcome = Option<Result<(), PostgresError>>;

/// A connection whose trips end like this, one after the other.
struct Scripted(Arc<Mutex<Receiver<Outcome>>>);

impl Wire for Scripted {
    fn carry(&mut self, trip: &[Ticket]) -> Fate {
        assert_eq!(trip.len(), 1);
        let Some(outcome) = lock(&self.0).recv().unwrap() else { return Fate::Hung };
        let fate = match outcome {
            Err(PostgresError::Lost(_) | PostgresError::Unsent(_)) => Fate::Lost,
            _ => Fate::Usable,
        };
        trip[0].answer(outcome.map(|()| Vec::new()));
        fate
    }

    fn end(self: Box<Self>) {}
}

/// Carries out a load or a write, of which the trips end like this. Returns how many trips it made.
fn run(outcomes: &[Outcome], is_write: bool, limit: Duration) -> (usize, Answer) {
    let (tell, told) = mpsc::channel();
    outcomes.iter().for_each(|outcome| tell.send(outcome.clone()).unwrap());
    let told = Arc::new(Mutex::new(told));
    let script = Arc::clone(&told);
    let connect = move || Ok(Box::new(Scripted(Arc::clone(&script))) as Box<dyn Wire>);
    let nowhere = PostgresDatabase::parse("postgres:///none?user=ada", |_| None).unwrap();
    let store = PostgresStore::unopened(nowhere).unwrap();
    let store = PostgresStore { desk: Desk::new(Box::new(connect)), ..store };
    let (row, deadline) = (is_write.then(|| vec![1]), Instant::now() + limit);
    let answer = store.run(Task { calls: Vec::new(), row, deadline });
    let left = lock(&told).try_iter().count();
    (outcomes.len() - left, answer)
}

#[test]
fn what_may_have_been_written_is_not_repeated_and_a_load_is() {
    let cause = String::new;
    let done = Some(Ok(()));
    for (first, loads, writes) in [
        (done.clone(), 1, 1),
        (None, 2, 1),
        (Some(Err(PostgresError::Lost(cause()))), 2, 1),
        (Some(Err(PostgresError::Unsent(cause()))), 2, 2),
        (Some(Err(PostgresError::Refused)), 2, 2),
        (Some(Err(PostgresError::Conflict(cause()))), 1, 1),
        (Some(Err(PostgresError::ReadOnly(cause()))), 1, 1),
        (Some(Err(PostgresError::Other(cause()))), 1, 1),
    ] {
        for (is_write, expected) in [(false, loads), (true, writes)] {
            let (trips, answer) = run(&[first.clone(), done.clone()], is_write, PATIENCE);
            assert_eq!(trips, expected, "{first:?} {is_write}");
            let is_done = trips == 2 || matches!(first, Some(Ok(())));
            assert_eq!(answer.is_ok(), is_done, "{first:?} {is_write}");
        }
    }
}

#[test]
fn there_are_three_tries() {
    for outcome in [None, Some(Err(PostgresError::Lost(String::new())))] {
        let (trips, answer) = run(&vec![outcome; TRIES + 1], false, PATIENCE);
        assert!(answer.is_err());
        assert_eq!(trips, 3);
    }
}
