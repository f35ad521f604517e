//! The database hangs, is full, is read-only, or is not there yet: every load and commit fails in
//! time, and no store has to be opened again.

#![cfg(feature = "postgres")]
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

use std::io::{Read, Write as _};
use std::iter;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use challenger_proto::machine::Validation;
use challenger_proto::oauth::{Client, ClientId};
use challenger_proto::store::{Commit, Keys, Write};
use challenger_server::store::{
    Database, OpenMode, PostgresDatabase, PostgresStore, Registry, Store, StoreError,
};
use challenger_testkit::{Cluster, End, send, wait_for};
use conformance::{error_of, open, redemption, register, reload};
use postgres::{Client as Connection, NoTls};
use tempfile::TempDir;

#[allow(dead_code, unused_imports, reason = "other tests use the rest")]
mod conformance;

/// How long a test waits for something that should be over much earlier.
const PATIENCE: Duration = Duration::from_secs(120);

/// More than there are connections.
const CROWD: usize = 24;

/// The error for an answer that does not come.
const LATE: &str = ": the database did not answer in time";

/// A newer program's change of the schema.
const NEWER_SCHEMA: &str = "INSERT INTO challenger.migrations (version) VALUES (1000)";

/// A store in a database of its own, in a cluster that may be shared.
struct Fixture {
    cluster: Arc<Cluster>,
    name: String,
    store: Arc<PostgresStore>,
    client: Client,
    row: Validation,
}

impl Fixture {
    fn new(cluster: Arc<Cluster>, parameters: &str) -> Self {
        let name = cluster.create_database();
        let uri = format!("{}{parameters}", cluster.uri(&name));
        opened(&uri, OpenMode::Maintain).unwrap().migrate().unwrap();
        let store = Arc::new(opened(&uri, OpenMode::Serve).unwrap());
        let client = register(&*store, "https://client.example/cb", "x");
        let row = open(&*store, &client, [1; 32]);
        Self { cluster, name, store, client, row }
    }

    fn load(&self) -> Keys {
        Keys { validation: Some(self.row.id), ..Keys::default() }
    }

    /// Many requests at once load, or try to change the same row. Returns their outcomes.
    fn crowd(&self) -> Vec<Result<(), StoreError>> {
        let results = self.start_crowd();
        (0..CROWD).map(|_| results.recv_timeout(PATIENCE).expect("an end in time")).collect()
    }

    fn start_crowd(&self) -> Receiver<Result<(), StoreError>> {
        let (reply, results) = mpsc::channel();
        for number in 0..CROWD {
            let (store, reply) = (Arc::clone(&self.store), reply.clone());
            let (load, write) = (self.load(), Write::Update(self.row.clone(), Vec::new()));
            thread::spawn(move || {
                reply.send(match number % 2 {
                    0 => store.load(&load).map(drop),
                    _ => store.commit(&write).map(drop),
                })
            });
        }
        results
    }

    /// Waits until the row can be loaded again, and returns it.
    fn recover(&self) -> Validation {
        (0..)
            .find_map(|tries| match self.store.load(&self.load()) {
                Ok(loaded) => Some(loaded.validation.unwrap()),
                Err(error) => {
                    assert!(tries < 20, "{error}");
                    None
                }
            })
            .unwrap()
    }
}

/// Stands between a store and its database.
struct Network {
    uri: String,
    traffic: Arc<Mutex<Traffic>>,
    _folder: TempDir,
}

#[derive(Default)]
struct Traffic {
    ends: Vec<UnixStream>,
    /// Whether everything is lost on its way.
    is_silent: bool,
    /// Whether the last that passed went to the database.
    is_asking: bool,
    round_trips: usize,
}

impl Network {
    fn new(uri: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let traffic = Arc::<Mutex<Traffic>>::default();
        let (start, rest) = uri.split_once("host=").unwrap();
        let (place, rest) = rest.split_once('&').unwrap();
        let uri = format!("{start}host={}&{rest}", folder.path().display());
        let listener = UnixListener::bind(folder.path().join(".s.PGSQL.5432")).unwrap();
        let (passing, place) = (Arc::clone(&traffic), format!("{place}/.s.PGSQL.5432"));
        thread::spawn(move || {
            for near in listener.incoming() {
                let (near, far) = (near.unwrap(), UnixStream::connect(&place).unwrap());
                let ends = || [&near, &far].map(|end| end.try_clone().unwrap());
                passing.lock().unwrap().ends.extend(ends());
                for (is_asking, [from, to]) in [(true, ends()), (false, [far, near])] {
                    let passing = Arc::clone(&passing);
                    thread::spawn(move || forward(from, to, is_asking, &passing));
                }
            }
        });
        Self { uri, traffic, _folder: folder }
    }

    fn fall_silent(&self) {
        self.traffic.lock().unwrap().is_silent = true;
    }

    /// Works again, for new connections.
    fn go_on(&self) {
        let mut traffic = self.traffic.lock().unwrap();
        traffic.is_silent = false;
        for end in traffic.ends.drain(..) {
            end.shutdown(Shutdown::Both).ok();
        }
    }

    fn round_trips(&self) -> usize {
        self.traffic.lock().unwrap().round_trips
    }
}

fn forward(mut from: UnixStream, mut to: UnixStream, is_asking: bool, traffic: &Mutex<Traffic>) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let mut traffic = traffic.lock().unwrap();
        if !traffic.is_silent {
            traffic.round_trips += usize::from(is_asking && !traffic.is_asking);
            traffic.is_asking = is_asking;
            to.write_all(&buffer[..length]).ok();
        }
    }
    to.shutdown(Shutdown::Both).ok();
}

fn database(uri: &str) -> PostgresDatabase {
    PostgresDatabase::parse(uri, |_| None).unwrap()
}

fn opened(uri: &str, mode: OpenMode) -> Result<PostgresStore, StoreError> {
    PostgresStore::open(database(uri), mode)
}

#[test]
fn a_database_that_hangs_is_an_error_in_time() {
    let it = Fixture::new(Arc::new(Cluster::durable()), "");
    assert!(it.crowd().iter().all(Result::is_ok));
    let row = it.recover();
    assert_eq!(row.version, it.row.version.next(), "one of the crowd was first");
    let it = Fixture { row, ..it };
    it.cluster.pause();
    let uri = it.cluster.uri(&it.name);
    let newcomer = thread::scope(|scope| {
        // Starting a server does not take for ever, either.
        let checked = scope.spawn(|| error_of(Database::Postgres(database(&uri)).check()));
        let newcomer = scope.spawn(|| opened(&uri, OpenMode::Serve));
        let mut late = 0;
        for result in it.crowd() {
            let message = error_of(result);
            let place = format!("PostgreSQL database {} at ", it.name);
            assert!(message.starts_with(&place), "{message}");
            let is_late = message.ends_with(LATE);
            let waited = message.contains(": timed out waiting for a connection: ");
            assert!(is_late || waited, "{message}");
            late += usize::from(is_late);
        }
        assert!(late > 0, "some had a connection");
        assert!(checked.join().unwrap().ends_with(LATE));
        newcomer.join().unwrap().unwrap()
    });
    it.cluster.resume();
    // A write that had been sent may be carried out only now, even between these two.
    let ours = || {
        let row = it.recover();
        let commit = it.store.commit(&Write::Update(row.clone(), Vec::new()));
        (commit == Ok(Commit::Done)).then_some(row)
    };
    let row = ours().or_else(ours).expect("at most one other");
    assert!(row.version <= it.row.version.next(), "at most one of the writes was carried out");
    assert_eq!(reload(&newcomer, &row).unwrap().version, row.version.next());
    assert!(it.cluster.backends(&it.name).len() <= 2 * 16, "nobody is left over");
}

#[test]
fn one_connection_that_hangs_harms_nobody_else() {
    let it = Fixture::new(Arc::new(Cluster::durable()), "");
    assert!(it.crowd().iter().all(Result::is_ok));
    let connections = it.cluster.backends(&it.name);
    assert!(send(connections[0], "STOP"));
    // Each of them is in use at the same time.
    let mut lock = Connection::connect(&it.cluster.uri(&it.name), NoTls).unwrap();
    lock.batch_execute("BEGIN; LOCK challenger.validations").unwrap();
    let first = it.start_crowd();
    wait_for("the others to be in use", || {
        let waiting = it.cluster.psql(&it.name, "SELECT count(*) FROM pg_locks WHERE NOT granted");
        (waiting.parse::<usize>().unwrap() >= connections.len() - 1).then_some(())
    });
    lock.batch_execute("COMMIT").unwrap();
    for _ in 1..CROWD {
        assert_eq!(first.recv_timeout(PATIENCE).unwrap(), Ok(()));
    }
    for _ in 0..3 {
        assert!(it.crowd().iter().all(Result::is_ok));
    }
    let message = error_of(first.recv_timeout(PATIENCE).unwrap());
    assert!(message.ends_with(LATE), "{message}");
    assert!(send(connections[0], "CONT"));
}

#[test]
fn what_a_silent_network_loses_is_an_error_in_time_and_no_harm() {
    let it = Fixture::new(Cluster::shared(), "");
    let network = Network::new(&it.cluster.uri(&it.name));
    let far = Fixture { store: Arc::new(opened(&network.uri, OpenMode::Serve).unwrap()), ..it };
    assert!(far.crowd().iter().all(Result::is_ok));
    let row = far.recover();
    network.fall_silent();
    for result in far.crowd() {
        let message = error_of(result);
        let waited = message.contains(": timed out waiting for a connection: ");
        assert!(waited || message.ends_with(LATE), "{message}");
    }
    network.go_on();
    assert_eq!(far.recover(), row);
    assert_eq!(far.store.commit(&Write::Update(row.clone(), Vec::new())), Ok(Commit::Done));
    assert_eq!(far.recover().version, row.version.next());
    assert!(far.crowd().iter().all(Result::is_ok));
}

#[test]
fn the_rows_of_a_request_are_loaded_in_one_round_trip() {
    let it = Fixture::new(Cluster::shared(), "");
    let network = Network::new(&it.cluster.uri(&it.name));
    let store = opened(&network.uri, OpenMode::Serve).unwrap();
    // As `/token` does.
    let both = Keys { client: Some(it.client.id), ..it.load() };
    assert!(store.load(&both).is_ok(), "prepares the statements");
    let before = network.round_trips();
    let rows = store.load(&both).unwrap();
    assert_eq!((rows.client, rows.validation), (Some(it.client), Some(it.row)));
    assert_eq!(network.round_trips() - before, 1);
}

#[test]
fn an_answer_that_is_late_is_unknown_and_the_write_is_not_repeated() {
    let it = Fixture::new(Cluster::shared(), "&options=-c%20statement_timeout%3D0");
    assert!(it.crowd().iter().all(Result::is_ok));
    let row = it.recover();
    let it = Fixture { row, ..it };
    let sql = |sql: &str| it.cluster.psql(&it.name, sql);
    // Ends after we gave up.
    sql("CREATE SEQUENCE runs; \
        CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS \
            'BEGIN PERFORM nextval(''runs''), pg_sleep(12); RETURN new; END'; \
        CREATE TRIGGER slow BEFORE UPDATE ON challenger.validations \
            FOR EACH ROW EXECUTE FUNCTION slow()");
    let connections = it.cluster.backends(&it.name);
    assert!(connections.len() > 1, "a crowd needs more than one");
    let message = error_of(it.store.commit(&Write::Update(it.row.clone(), Vec::new())));
    assert!(message.ends_with(LATE), "{message}");
    it.recover();
    // At most the one that hangs: the machine of all others could be lost.
    wait_for("idle connections to end", || {
        let kept = it.cluster.backends(&it.name);
        (connections.iter().filter(|it| kept.contains(it)).count() <= 1).then_some(())
    });
    // Waits for the write that is still under way.
    sql("DROP TRIGGER slow ON challenger.validations");
    assert_eq!(sql("SELECT last_value FROM runs"), "1");
    assert_eq!(it.recover().version, it.row.version.next());
    let late = it.store.commit(&Write::Update(it.row.clone(), Vec::new()));
    assert_eq!(late, Ok(Commit::Conflict), "whoever tries again looks first");
}

#[test]
fn a_database_may_come_later_and_has_to_have_our_schema() {
    let cluster = Cluster::durable();
    let name = cluster.create_database();
    let uri = cluster.uri(&name);
    cluster.end(End::Fast);
    let store = opened(&uri, OpenMode::Serve).unwrap();
    let load = Keys { client: ClientId::new(1), ..Keys::default() };
    let message = error_of(store.load(&load));
    assert!(message.contains("error connecting to server: "), "{message}");
    cluster.start();
    let message = error_of(store.load(&load));
    assert!(message.ends_with(": has no schema yet; run challenger-dbinit"), "{message}");
    opened(&uri, OpenMode::Maintain).unwrap().migrate().unwrap();
    cluster.psql(&name, NEWER_SCHEMA);
    let message = error_of(store.load(&load));
    assert!(message.ends_with("; upgrade the program"), "{message}");
    cluster.psql(&name, "DELETE FROM challenger.migrations WHERE version = 1000");
    assert!(store.load(&load).is_ok());
}

#[test]
fn a_server_goes_on_with_a_newer_schema() {
    let it = Fixture::new(Cluster::shared(), "");
    it.cluster.psql(&it.name, NEWER_SCHEMA);
    it.cluster.end_backends(&it.name);
    assert_eq!(reload(&*it.store, &it.row), Some(it.row.clone()));
    assert_eq!(it.store.commit(&Write::Update(it.row.clone(), Vec::new())), Ok(Commit::Done));
    let uri = it.cluster.uri(&it.name);
    let begun = error_of(opened(&uri, OpenMode::Serve));
    assert!(begun.ends_with("; upgrade the program"), "{begun}");
    assert_eq!(error_of(Database::Postgres(database(&uri)).check()), begun);
}

#[test]
fn the_last_of_several_hosts_is_reached() {
    let it = Fixture::new(Cluster::shared(), "");
    // Connections are never accepted, so that there is no answer once the queue is full.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let place = silent.local_addr().unwrap();
    let waiting: Vec<_> =
        iter::from_fn(|| TcpStream::connect_timeout(&place, Duration::from_secs(1)).ok()).collect();
    let (port, uri) = (place.port(), it.cluster.uri(&it.name));
    // As pairs, because in a URI the parameter `host` is a single host.
    let pairs = uri.replace("postgres:///", "dbname=").replace('&', " ");
    let pairs = pairs.replace("?host=", " host=127.0.0.1,127.0.0.1,");
    let uri = format!("{pairs} port={port},{port},5432");
    assert_eq!(Database::Postgres(database(&uri)).check(), Ok(()));
    // Connecting takes longer than a request waits; later requests find the connection.
    let late = Fixture { store: Arc::new(opened(&uri, OpenMode::Serve).unwrap()), ..it };
    assert_eq!(late.recover(), late.row);
    drop(waiting);
}

#[test]
fn a_database_that_refuses_us_differs_from_one_that_cannot_be_reached_now() {
    for (code, may_pass) in [
        ("53300", true),
        ("57P03", true),
        ("57P01", true),
        ("08P01", true),
        ("28P01", false),
        ("28000", false),
        ("3D000", false),
        ("42501", false),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join(".s.PGSQL.5432")).unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
            let fields = format!("SFATAL\0VFATAL\0C{code}\0Mnot you\0\0");
            let length = u32::try_from(4 + fields.len()).unwrap().to_be_bytes();
            stream.write_all(&[b"E", &length[..], fields.as_bytes()].concat()).unwrap();
        });
        let uri = format!("postgres:///c?host={}&user=ada", folder.path().display());
        let store = opened(&uri, OpenMode::Serve);
        server.join().unwrap();
        match may_pass {
            true => assert!(store.is_ok(), "{code}"),
            false => {
                let message = error_of(store);
                assert!(message.ends_with(&format!(": not you (SQLSTATE {code})")), "{message}");
            }
        }
    }
}

#[test]
fn a_read_only_database_is_read() {
    let it = Fixture::new(Cluster::shared(), "");
    let database = |change: &str| {
        it.cluster.psql("postgres", &format!("ALTER DATABASE {} {change}", it.name));
    };
    database("SET default_transaction_read_only = on");
    it.cluster.end_backends(&it.name);
    for _ in 0..3 {
        let message = error_of(it.store.commit(&Write::Update(it.row.clone(), Vec::new())));
        assert!(message.contains("read-only transaction (SQLSTATE 25006)"), "{message}");
        assert_eq!(reload(&*it.store, &it.row), Some(it.row.clone()));
    }
    database("RESET default_transaction_read_only");
    // The existing connections still are read-only.
    let mut row = it.row.clone();
    let done = (0..20).any(|_| {
        row = it.recover();
        it.store.commit(&Write::Update(row.clone(), Vec::new())).is_ok()
    });
    assert!(done);
    assert_eq!(it.recover().version, it.row.version.next());
}

#[test]
fn a_full_disk_is_an_error_and_no_harm() {
    let it = Fixture::new(Arc::new(Cluster::durable()), "");
    let free = it.cluster.fill_disk(&it.name, "challenger.grants");
    for token in 1..4 {
        let message = error_of(it.store.commit(&redemption(it.row.clone(), [token; 32])));
        assert!(message.contains("No space left on device (SQLSTATE 53100)"), "{message}");
        assert_eq!(reload(&*it.store, &it.row), Some(it.row.clone()));
    }
    open(&*it.store, &it.client, [2; 32]);
    free();
    it.cluster.end_backends(&it.name);
    assert_eq!(it.store.commit(&redemption(it.row.clone(), [9; 32])), Ok(Commit::Done));
}
