//! Tests of `desk`, with connections that do as they are told.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;

use super::*;

/// How long a test waits for something that should be there much earlier.
const PATIENCE: Duration = Duration::from_secs(60);

/// A trip that has begun: the rows of its tasks, and where to say how it ends.
struct Trip {
    rows: Vec<u8>,
    end: Sender<Fate>,
}

/// A connection that asks how its trips end. If it hangs, it does so while this is locked; if this
/// is poisoned, it has a fault.
struct Obedient(Sender<Trip>, Arc<Mutex<()>>);

impl Wire for Obedient {
    fn carry(&mut self, trip: &[Ticket]) -> Fate {
        let row = |ticket: &Ticket| ticket.task.row.as_ref().unwrap()[0];
        let (end, told) = mpsc::channel();
        self.0.send(Trip { rows: trip.iter().map(row).collect(), end }).unwrap();
        // Without an end, it panics.
        let fate = told.recv_timeout(PATIENCE).unwrap();
        if fate == Fate::Usable {
            trip.iter().for_each(|ticket| ticket.answer(Ok(Vec::new())));
        }
        fate
    }

    fn end(self: Box<Self>) {
        drop(self.1.lock().unwrap());
    }
}

struct Fixture {
    desk: Arc<Desk>,
    trips: Receiver<Trip>,
    /// How often a connection was asked for.
    asked: Arc<AtomicUsize>,
    /// Held while connections hang.
    hang: Arc<Mutex<()>>,
}

impl Fixture {
    /// A desk for which so many connections can be made.
    fn new(most: usize) -> Self {
        let (begin, trips) = mpsc::channel();
        let asked: Arc<AtomicUsize> = Arc::default();
        let (count, hang) = (Arc::clone(&asked), Arc::<Mutex<()>>::default());
        let hanging = Arc::clone(&hang);
        let connect = move || match count.fetch_add(1, Ordering::Relaxed) < most {
            true => Ok(Box::new(Obedient(begin.clone(), Arc::clone(&hanging))) as Box<dyn Wire>),
            false => Err(PostgresError::Unreachable("no more".to_owned())),
        };
        Self { desk: Desk::new(Box::new(connect)), trips, asked, hang }
    }

    fn spawn(&self, row: u8, limit: Duration, is_alone: bool) -> JoinHandle<Answer> {
        let deadline = Instant::now() + limit;
        let task = Arc::new(Task { calls: Vec::new(), row: Some(vec![row]), deadline });
        let desk = Arc::clone(&self.desk);
        thread::spawn(move || desk.run(&task, is_alone))
    }

    fn start(&self, row: u8) -> JoinHandle<Answer> {
        self.spawn(row, PATIENCE, false)
    }

    /// Starts tasks that have to wait, one after the other.
    fn queue(&self, rows: impl IntoIterator<Item = u8>) -> Vec<JoinHandle<Answer>> {
        let enter = |row| {
            let before = lock(&self.desk.queue).waiting.len();
            let waiting = self.start(row);
            self.wait_until(|queue| queue.waiting.len() > before);
            waiting
        };
        rows.into_iter().map(enter).collect()
    }

    fn wait_until(&self, is_so: impl Fn(&Queue) -> bool) {
        let begun = Instant::now();
        while !is_so(&lock(&self.desk.queue)) {
            assert!(begun.elapsed() < PATIENCE);
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn trip(&self) -> Trip {
        self.trips.recv_timeout(PATIENCE).unwrap()
    }
}

impl Trip {
    fn end(self, fate: Fate) {
        self.end.send(fate).unwrap();
    }
}

fn message(task: JoinHandle<Answer>) -> String {
    task.join().unwrap().err().unwrap().to_string()
}

#[test]
fn what_waits_travels_together_in_the_order_of_its_coming() {
    let it = Fixture::new(1);
    let mut tasks = vec![it.start(0)];
    let first = it.trip();
    tasks.extend(it.queue(1..=70));
    assert_eq!(first.rows, [0]);
    first.end(Fate::Usable);
    let second = it.trip();
    assert_eq!(second.rows, (1..=64).collect::<Vec<_>>());
    second.end(Fate::Usable);
    let third = it.trip();
    assert_eq!(third.rows, (65..=70).collect::<Vec<_>>());
    third.end(Fate::Usable);
    for task in tasks {
        assert!(task.join().unwrap().is_ok());
    }
    let last = it.start(71);
    let kept = it.trip();
    assert_eq!(kept.rows, [71]);
    kept.end(Fate::Spent);
    assert_eq!(message(last), LATE, "a trip may end without an answer");
}

#[test]
fn a_free_connection_is_used_at_once_and_there_are_sixteen() {
    let it = Fixture::new(usize::MAX);
    let (tasks, mut trips): (Vec<_>, Vec<_>) =
        (0..16).map(|row| (it.start(row), it.trip())).unzip();
    let late = it.queue(16..20);
    let in_use = it.spawn(20, Duration::from_millis(1), false);
    assert_eq!(message(in_use), "timed out waiting for a connection: all of them are in use");
    assert_eq!(it.asked.load(Ordering::Relaxed), 16);
    trips.remove(0).end(Fate::Usable);
    let together = it.trip();
    assert_eq!(together.rows, [16, 17, 18, 19]);
    trips.into_iter().chain([together]).for_each(|trip| trip.end(Fate::Usable));
    for task in tasks.into_iter().chain(late) {
        assert!(task.join().unwrap().is_ok());
    }
    it.wait_until(|queue| queue.free.len() == 16 && queue.connections == 16);
}

#[test]
fn a_task_whose_caller_gave_up_does_not_travel() {
    let it = Fixture::new(1);
    let first = it.start(0);
    let trip = it.trip();
    let hasty = it.spawn(1, Duration::from_millis(50), false);
    let patient = it.queue([2]).remove(0);
    assert_eq!(message(hasty), "timed out waiting for a connection: no more");
    trip.end(Fate::Usable);
    let trip = it.trip();
    assert_eq!(trip.rows, [2]);
    trip.end(Fate::Usable);
    assert!(first.join().unwrap().is_ok() && patient.join().unwrap().is_ok());
}

#[test]
fn a_companion_waits_no_longer_than_it_can() {
    let it = Fixture::new(1);
    let first = it.start(0);
    let trip = it.trip();
    let leader = it.queue([1]).remove(0);
    let hasty = it.spawn(2, PATIENCE, false);
    it.wait_until(|queue| queue.waiting.len() == 2);
    trip.end(Fate::Usable);
    let trip = it.trip();
    assert_eq!(trip.rows, [1, 2]);
    trip.end(Fate::Spent);
    assert_eq!([message(leader), message(hasty)], [LATE, LATE]);
    assert!(first.join().unwrap().is_ok());
}

#[test]
fn what_has_to_be_alone_is_alone() {
    let it = Fixture::new(1);
    let first = it.start(0);
    let trip = it.trip();
    let mut tasks = it.queue([1]);
    tasks.push(it.spawn(2, PATIENCE, true));
    it.wait_until(|queue| queue.waiting.len() == 2);
    tasks.extend(it.queue([3, 4]));
    trip.end(Fate::Usable);
    for rows in [&[1, 3, 4][..], &[2]] {
        let trip = it.trip();
        assert_eq!(trip.rows, rows);
        trip.end(Fate::Usable);
    }
    for task in tasks.into_iter().chain([first]) {
        assert!(task.join().unwrap().is_ok());
    }
}

#[test]
fn a_task_that_tries_again_keeps_its_place() {
    let it = Fixture::new(1);
    let first = it.start(0);
    let trip = it.trip();
    let late = it.queue([1]).remove(0);
    let early = it.spawn(2, PATIENCE / 2, false);
    it.wait_until(|queue| queue.waiting.len() == 2);
    trip.end(Fate::Usable);
    let trip = it.trip();
    assert_eq!(trip.rows, [2, 1]);
    trip.end(Fate::Usable);
    for task in [first, late, early] {
        assert!(task.join().unwrap().is_ok());
    }
}

#[test]
fn after_a_loss_or_a_hang_no_earlier_connection_is_used_again() {
    for fate in [Fate::Lost, Fate::Hung] {
        let it = Fixture::new(usize::MAX);
        let (tasks, mut trips): (Vec<_>, Vec<_>) =
            (0..3).map(|row| (it.start(row), it.trip())).unzip();
        trips.remove(0).end(Fate::Usable);
        it.wait_until(|queue| queue.free.len() == 1);
        trips.remove(0).end(fate);
        it.wait_until(|queue| queue.connections == 1);
        trips.remove(0).end(Fate::Usable);
        it.wait_until(|queue| queue.connections == 0);
        let answers = tasks.into_iter().map(|task| task.join().unwrap().is_ok());
        assert_eq!(answers.collect::<Vec<_>>(), [true, false, true]);
        let next = it.start(3);
        it.trip().end(Fate::Spent);
        assert_eq!(message(next), LATE);
        assert_eq!(it.asked.load(Ordering::Relaxed), 4);
        let idle = |queue: &Queue| queue.connections == 0 && queue.hung == 0;
        it.wait_until(|queue| idle(queue) && queue.generation == 1);
    }
}

#[test]
fn what_hangs_is_replaced_and_counted_until_it_ends() {
    let it = Fixture::new(usize::MAX);
    let hang = it.hang.lock().unwrap();
    for row in 0..32 {
        let task = it.start(row);
        it.trip().end(Fate::Hung);
        assert_eq!(message(task), LATE);
    }
    let next = it.spawn(32, Duration::from_millis(1), false);
    assert_eq!(message(next), "timed out waiting for a connection: too many of them hang");
    let patient = it.queue([33]).remove(0);
    assert_eq!(it.asked.load(Ordering::Relaxed), 32);
    drop(hang);
    let trip = it.trip();
    assert_eq!(trip.rows, [33]);
    trip.end(Fate::Usable);
    assert!(patient.join().unwrap().is_ok());
    it.wait_until(|queue| queue.hung == 0 && queue.connections == 1);
    let hang = Arc::clone(&it.hang);
    let fault = move || {
        let _held = hang.lock().unwrap();
        panic!("there is a fault")
    };
    assert!(thread::spawn(fault).join().is_err());
    let last = it.start(34);
    it.trip().end(Fate::Hung);
    assert_eq!(message(last), LATE);
    it.wait_until(|queue| queue.hung == 0 && queue.connections == 0);
}

#[test]
fn what_has_little_time_left_takes_nobody_along() {
    let mut queue = Queue::default();
    let ticket = |limit, is_alone| {
        let deadline = Instant::now() + limit;
        Ticket::new(&Arc::new(Task { calls: Vec::new(), row: None, deadline }), is_alone).0
    };
    (0..3).for_each(|_| queue.enter(ticket(PATIENCE, false)));
    assert!(queue.companions(0, &ticket(PATIENCE, true)).is_empty());
    assert!(queue.companions(0, &ticket(SLOW / 2, false)).is_empty());
    assert_eq!(queue.companions(0, &ticket(PATIENCE, false)).len(), 3);
}

#[test]
fn between_two_attempts_to_connect_there_is_a_pause() {
    let it = Fixture::new(0);
    let asked = Arc::clone(&it.asked);
    // When it fails, nobody waits any more.
    let connect = move || {
        asked.fetch_add(1, Ordering::Relaxed);
        thread::sleep(PAUSE / 25);
        Err(PostgresError::Unreachable("no".to_owned()))
    };
    let it = Fixture { desk: Desk::new(Box::new(connect)), ..it };
    let begun = Instant::now();
    while begun.elapsed() < PAUSE * 2 {
        let task = it.spawn(0, Duration::from_millis(1), false);
        assert!(task.join().unwrap().is_err());
        thread::sleep(PAUSE / 10);
    }
    let asked = it.asked.load(Ordering::Relaxed);
    let pauses = begun.elapsed().as_millis() / PAUSE.as_millis();
    assert!(asked as u128 <= pauses + 1, "{asked} attempts, {pauses} pauses");
}

#[test]
fn while_connecting_fails_there_is_one_attempt_at_a_time() {
    let it = Fixture::new(0);
    let tasks: Vec<_> = (0..40).map(|row| it.spawn(row, PATIENCE / 20, false)).collect();
    it.wait_until(|queue| queue.waiting.len() == 40);
    it.wait_until(|queue| queue.failure.is_some() && queue.connecting == 1);
    let before = it.asked.load(Ordering::Relaxed);
    it.wait_until(|queue| queue.connecting <= 1 && it.asked.load(Ordering::Relaxed) > before + 1);
    for task in tasks {
        assert_eq!(message(task), "timed out waiting for a connection: no more");
    }
    it.wait_until(|queue| queue.connecting == 0 && queue.connections == 0);
}

#[test]
fn a_panic_costs_those_who_travel_and_no_place() {
    let it = Fixture::new(usize::MAX);
    for row in 0..40 {
        let task = it.start(row);
        drop(it.trip());
        assert_eq!(message(task), LATE, "{row}");
    }
    let it = Fixture { desk: Desk::new(Box::new(|| panic!("there is a fault"))), ..it };
    for row in 0..3 {
        let task = it.spawn(row, Duration::from_millis(1), false);
        assert!(task.join().unwrap().is_err());
        it.wait_until(|queue| queue.failure.is_some() && queue.connections == 0);
    }
    assert!(it.desk.timed_out().to_string().ends_with(": a fault of ours"));
}

#[test]
fn few_trips_carry_more_tasks_than_there_are_connections() {
    let it = Fixture::new(usize::MAX);
    let (mut tasks, mut trips): (Vec<_>, Vec<_>) =
        (0..16).map(|row| (it.start(row), it.trip())).unzip();
    let begin = |when| lock(&it.desk.queue).trips.iter_mut().for_each(|trip| trip.begun = when);
    // However long this test takes.
    begin(Instant::now() + PATIENCE);
    tasks.extend(it.queue(16..56));
    trips.drain(..12).for_each(|trip| trip.end(Fate::Usable));
    it.wait_until(|queue| queue.free.len() == 12);
    assert_eq!(lock(&it.desk.queue).waiting.len(), 40, "four trips are enough");
    trips.remove(0).end(Fate::Usable);
    let together = it.trip();
    assert_eq!(together.rows, (16..56).collect::<Vec<_>>());
    // Those that hang are not among the four.
    begin(Instant::now() + PATIENCE);
    tasks.extend(it.queue([56]));
    assert_eq!(lock(&it.desk.queue).waiting.len(), 1);
    begin(Instant::now() - SLOW);
    let next = it.trip();
    assert_eq!(next.rows, [56]);
    trips.into_iter().chain([together, next]).for_each(|trip| trip.end(Fate::Usable));
    for task in tasks {
        assert!(task.join().unwrap().is_ok());
    }
}
