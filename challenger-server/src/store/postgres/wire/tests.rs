//! Tests of `wire`, with a real database.

use std::thread;

use challenger_testkit::Cluster;

use super::super::desk::travel;
use super::super::task::{Answer, Task};
use super::*;
use crate::store::{OpenMode, PostgresStore, Registry};

const PATIENCE: Duration = Duration::from_secs(60);

/// What a write does here: its row is its number. It returns its transaction.
const WRITE: &str = "INSERT INTO written VALUES ($1) \
    RETURNING pg_current_xact_id()::text, current_setting('lock_timeout')";

/// The same, after waiting for the lock of everything.
const WRITE_LOCKED: &str = "WITH locked AS (SELECT FROM lock FOR UPDATE) \
    INSERT INTO written SELECT $1 FROM (SELECT count(*) FROM locked) counted";

/// The same, over a budget.
const WRITE_TOO_MUCH: &str = "INSERT INTO written SELECT ('over' || $1::bigint)::bigint";

/// The same with another type, so that it cannot be sent.
const WRITE_WRONGLY: &str = "INSERT INTO written SELECT $1::text::bigint";

/// A write of nothing.
const WRITE_NOTHING: &str =
    "INSERT INTO written SELECT $1 WHERE $1 IN (SELECT number FROM written)";

const READ: &str = "SELECT count(*) FROM written WHERE number <> $1";

/// A load that ends after we gave up.
const READ_SLOWLY: &str = "SELECT count(*) FROM pg_sleep(100 + 0 * $1::bigint)";

struct Fixture {
    cluster: Arc<Cluster>,
    name: String,
    route: Route,
}

impl Fixture {
    fn new() -> (Self, Connection) {
        let cluster = Cluster::shared();
        let name = cluster.create_database();
        let database = PostgresDatabase::parse(&cluster.uri(&name), |_| None).unwrap();
        PostgresStore::open(database.clone(), OpenMode::Maintain).unwrap().migrate().unwrap();
        cluster.psql(
            &name,
            "CREATE TABLE written (number bigint); CREATE TABLE lock (); INSERT INTO lock SELECT",
        );
        let route = Route::new(&database).unwrap();
        let connection = route.connect().unwrap();
        (Self { cluster, name, route }, connection)
    }

    fn psql(&self, sql: &str) -> String {
        self.cluster.psql(&self.name, sql)
    }

    fn written(&self) -> String {
        self.psql("SELECT string_agg(number::text, ' ') FROM written")
    }
}

fn task(sql: &'static str, number: i64, is_write: bool, limit: Duration) -> Task {
    let calls = vec![Call { sql, parameters: vec![Box::new(number)] }];
    let row = is_write.then(|| number.to_be_bytes().to_vec());
    Task { calls, row, deadline: Instant::now() + limit }
}

fn read() -> Task {
    task(READ, 0, false, PATIENCE)
}

fn write(sql: &'static str, number: i64) -> Task {
    task(sql, number, true, PATIENCE)
}

/// The column of the only row.
fn column(answer: &Answer, index: usize) -> String {
    answer.as_ref().unwrap()[0].rows[0].get(index)
}

fn is_refused(answer: &Answer) -> bool {
    matches!(answer, Err(PostgresError::Refused))
}

#[test]
fn writes_that_travel_together_are_one_transaction_in_the_order_of_their_rows() {
    let (it, mut wire) = Fixture::new();
    let trip = vec![write(WRITE, 3), read(), write(WRITE, 1), write(WRITE, 2)];
    let (answers, fate) = travel(&mut wire, trip);
    let transaction = column(&answers[0], 0);
    for index in [2, 3] {
        assert_eq!(column(&answers[index], 0), transaction);
        assert_eq!(column(&answers[index], 1), "500ms");
    }
    assert_eq!(answers[1].as_ref().unwrap()[0].rows[0].get::<_, i64>(0), 0, "loads are first");
    assert_eq!((fate, it.written().as_str()), (Fate::Usable, "1 2 3"));
}

#[test]
fn a_write_that_leads_loads_waits_for_locks_as_long_as_alone() {
    let (it, mut wire) = Fixture::new();
    let (answers, _) = travel(&mut wire, vec![write(WRITE, 1), read()]);
    assert_eq!(column(&answers[0], 1), "3s");
    let (answers, _) = travel(&mut wire, vec![read(), write(WRITE, 2)]);
    assert_eq!(column(&answers[1], 1), "500ms", "the load leads, and has to wait for the write");
    assert_eq!(it.written(), "1 2");
}

#[test]
fn what_changes_nothing_does_no_harm_to_others() {
    let (it, mut wire) = Fixture::new();
    let (answers, fate) = travel(&mut wire, vec![write(WRITE_NOTHING, 1), write(WRITE, 2)]);
    let counts = answers.iter().map(|answer| answer.as_ref().unwrap()[0].count);
    assert_eq!(counts.collect::<Vec<_>>(), [0, 1]);
    assert_eq!((fate, it.written().as_str()), (Fate::Usable, "2"));
}

#[test]
fn a_refusal_undoes_all_writes_of_a_trip_and_no_load() {
    let (it, mut wire) = Fixture::new();
    let trip = vec![write(WRITE, 1), write(WRITE_TOO_MUCH, 2), read(), write(WRITE, 3)];
    let (answers, fate) = travel(&mut wire, trip);
    let refused: Vec<_> = answers.iter().map(is_refused).collect();
    assert_eq!(refused, [true, true, false, true]);
    assert!(answers[2].is_ok());
    assert_eq!((fate, it.written().as_str()), (Fate::Usable, ""));
    let (alone, fate) = travel(&mut wire, vec![write(WRITE_TOO_MUCH, 2)]);
    assert!(matches!(alone[0], Err(PostgresError::Conflict(_))));
    assert!(travel(&mut wire, vec![write(WRITE, 3)]).0[0].is_ok());
    assert_eq!((fate, it.written().as_str()), (Fate::Usable, "3"));
}

#[test]
fn what_cannot_be_sent_does_not_undo_what_was() {
    let (it, mut wire) = Fixture::new();
    let (answers, _) = travel(&mut wire, vec![write(WRITE, 1), write(WRITE_WRONGLY, 2)]);
    assert!(answers[0].is_ok() && is_refused(&answers[1]));
    assert_eq!(it.written(), "1");
    let (answers, _) = travel(&mut wire, vec![write(WRITE_WRONGLY, 2)]);
    assert!(matches!(answers[0], Err(PostgresError::Other(_))));
}

#[test]
fn what_cannot_be_sent_does_not_keep_others_from_being_undone() {
    let (it, mut wire) = Fixture::new();
    let mut right = write(WRITE_WRONGLY, 2);
    right.calls[0].parameters = vec![Box::new("2".to_owned())];
    let trip = vec![write(WRITE_WRONGLY, 1), right, write(WRITE_TOO_MUCH, 3)];
    let (answers, _) = travel(&mut wire, trip);
    assert!(answers.iter().all(is_refused));
    assert_eq!(it.written(), "", "each of them goes again");
}

#[test]
fn a_lock_of_others_is_not_waited_for_together() {
    let (it, mut wire) = Fixture::new();
    let mut other = it.route.connect().unwrap();
    let hold = "BEGIN; SELECT FROM lock FOR UPDATE";
    other
        .link
        .wait(Instant::now() + PATIENCE, other.session.client.batch_execute(hold))
        .unwrap()
        .unwrap();
    let trip = vec![write(WRITE_LOCKED, 1), write(WRITE, 2), read()];
    let (answers, fate) = travel(&mut wire, trip);
    let refused: Vec<_> = answers.iter().map(is_refused).collect();
    assert_eq!((refused, fate), (vec![true, true, false], Fate::Usable));
    assert!(travel(&mut wire, vec![write(WRITE, 2)]).0[0].is_ok());
    assert_eq!(it.written(), "2");
    drop(other);
    assert!(travel(&mut wire, vec![write(WRITE_LOCKED, 1)]).0[0].is_ok());
}

#[test]
fn what_is_late_is_not_sent_and_a_trip_ends_with_its_leader() {
    let (it, mut wire) = Fixture::new();
    let late = task(WRITE, 1, true, Duration::ZERO);
    let (answers, fate) = travel(&mut wire, vec![write(WRITE, 2), late]);
    assert!(answers[0].is_ok());
    assert!(matches!(&answers[1], Err(PostgresError::Unsent(cause)) if cause == LATE));
    assert_eq!((fate, it.written().as_str()), (Fate::Usable, "2"));
    let leader = task(READ_SLOWLY, 0, false, Duration::from_millis(100));
    let (answers, fate) = travel(&mut wire, vec![leader, read()]);
    assert!(answers.iter().all(Result::is_err), "in order, so that the second waits for the first");
    assert_eq!(fate, Fate::Hung);
    let end = thread::spawn(|| Box::new(wire).end());
    let busy = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(100 %' \
        AND pid <> pg_backend_pid()";
    assert_eq!(it.psql(busy), "1");
    assert!(!end.is_finished());
    it.cluster.end_backends(&it.name);
    end.join().unwrap();
}

#[test]
fn a_connection_that_was_idle_is_checked_before_a_write() {
    let (it, mut wire) = Fixture::new();
    assert!(travel(&mut wire, vec![read()]).0[0].is_ok());
    it.cluster.end_backends(&it.name);
    thread::sleep(TRUST);
    let (answers, fate) = travel(&mut wire, vec![write(WRITE, 1), read()]);
    for answer in answers {
        let Err(PostgresError::Unsent(cause)) = answer else { panic!("it was sent") };
        assert!(cause.contains("(SQLSTATE 57P01)"), "{cause}");
    }
    assert_eq!((fate, it.written().as_str()), (Fate::Lost, ""));
}

#[test]
fn a_connection_that_is_read_only_is_not_used_again() {
    let (it, _) = Fixture::new();
    it.psql(&format!("ALTER DATABASE {} SET default_transaction_read_only = on", it.name));
    for trip in [vec![write(WRITE, 1)], vec![write(WRITE, 1), write(WRITE, 2)]] {
        let mut wire = it.route.connect().unwrap();
        let (answers, fate) = travel(&mut wire, trip);
        assert!(answers.iter().all(Result::is_err));
        assert_eq!(fate, Fate::Spent);
    }
}

#[test]
fn sessions_end_with_a_goodbye() {
    let (it, mut wire) = Fixture::new();
    assert!(travel(&mut wire, vec![write(WRITE, 1)]).0[0].is_ok());
    drop(wire);
    let begun = Instant::now();
    while !it.cluster.backends(&it.name).is_empty() {
        assert!(begun.elapsed() < PATIENCE);
        thread::sleep(Duration::from_millis(10));
    }
    let abandoned = "SELECT sessions_abandoned FROM pg_stat_database \
        WHERE datname = current_database()";
    assert_eq!(it.psql(abandoned), "0");
}

#[test]
fn our_settings_hold_unless_the_operator_made_them_in_options() {
    let (it, _) = Fixture::new();
    let set = "SET default_transaction_isolation = serializable";
    it.psql(&format!("ALTER DATABASE {} {set}", it.name));
    let setting = |wire: &mut Connection, name: &str| {
        wire.say(&format!("SHOW {name}"), Instant::now() + PATIENCE).unwrap().unwrap()
    };
    let mut wire = it.route.connect().unwrap();
    for (name, value) in [
        ("statement_timeout", "5s"),
        ("lock_timeout", "3s"),
        ("enable_seqscan", "off"),
        ("default_transaction_isolation", "read committed"),
        ("application_name", "challenger"),
    ] {
        assert_eq!(setting(&mut wire, name), value, "{name}");
    }
    let uri = it.cluster.uri(&it.name) + "&options=-c%20lock_timeout%3D7s";
    let database = PostgresDatabase::parse(&uri, |_| None).unwrap();
    let mut wire = Route::new(&database).unwrap().connect().unwrap();
    assert_eq!(setting(&mut wire, "lock_timeout"), "7s");
    assert_eq!(setting(&mut wire, "statement_timeout"), "5s");
}
