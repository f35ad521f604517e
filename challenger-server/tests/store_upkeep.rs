//! What both stores keep beside rows: versions of the schema, how many validations a client has,
//! clients that are being deleted, and what was deleted from a file.

#![cfg(all(feature = "postgres", feature = "sqlite"))]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use challenger_proto::{Commit, Entropy, HashedSecret, Write};
use challenger_server::store::{
    OpenMode, PostgresDatabase, PostgresStore, Registry, SqliteStore, Store, StoreError,
};
use challenger_testkit::Cluster;
use postgres::{Client, NoTls};
use rusqlite::Connection;
use tempfile::TempDir;

#[allow(dead_code, unused_imports, reason = "other tests use the rest")]
mod conformance;

/// An empty database in a file.
fn sqlite() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    SqliteStore::open(&path, OpenMode::Maintain).unwrap().migrate().unwrap();
    (folder, path)
}

/// An empty database of a server.
fn postgres() -> (Arc<Cluster>, String) {
    let cluster = Cluster::shared();
    let name = cluster.create_database();
    opened(&cluster.uri(&name), OpenMode::Maintain).unwrap().migrate().unwrap();
    (cluster, name)
}

fn opened(uri: &str, mode: OpenMode) -> Result<PostgresStore, StoreError> {
    PostgresStore::open(PostgresDatabase::parse(uri, |_| None).unwrap(), mode)
}

fn complaint<T>(result: Result<T, StoreError>) -> String {
    result.map_or_else(|error| error.to_string(), |_| panic!("it should have failed"))
}

#[test]
fn open_validations_are_counted_on_sqlite() {
    let (_folder, path) = sqlite();
    let [store, other] = [(); 2].map(|()| SqliteStore::open(&path, OpenMode::Serve).unwrap());
    conformance::open_validations_are_counted(&store, &other, &store);
}

#[test]
fn open_validations_are_counted_on_postgresql() {
    let (cluster, name) = postgres();
    let [store, other] = [(); 2].map(|()| opened(&cluster.uri(&name), OpenMode::Serve).unwrap());
    conformance::open_validations_are_counted(&store, &other, &store);
}

#[test]
fn nothing_opens_by_a_secret_that_was_replaced_on_sqlite() {
    let (_folder, path) = sqlite();
    let store = SqliteStore::open(&path, OpenMode::Serve).unwrap();
    conformance::nothing_opens_by_a_secret_that_was_replaced(&store, &store, |client| {
        let sql = "UPDATE clients SET deleting = 1, secret_digest = zeroblob(32) WHERE id = ?1";
        let connection = Connection::open(&path).unwrap();
        assert_eq!(connection.execute(sql, [client.id.number()]), Ok(1));
    });
}

#[test]
fn nothing_opens_by_a_secret_that_was_replaced_on_postgresql() {
    let (cluster, name) = postgres();
    let store = opened(&cluster.uri(&name), OpenMode::Serve).unwrap();
    conformance::nothing_opens_by_a_secret_that_was_replaced(&store, &store, |_| {
        cluster.psql(
            &name,
            "UPDATE challenger.clients SET deleting = true, \
                secret_digest = decode(repeat('00', 32), 'hex')",
        );
    });
}

/// Validations that are being opened while a secret is replaced are waited for. If that takes too
/// long, the others end, and it is an error.
#[test]
fn what_is_being_opened_by_an_old_secret_is_waited_for() {
    let (cluster, name) = postgres();
    let store = opened(&cluster.uri(&name), OpenMode::Serve).unwrap();
    let client = conformance::register(&store, "https://client.example/cb", "x");
    let opened = conformance::open(&store, &client, [1; 32]);
    let mut slow = Client::connect(&cluster.uri(&name), NoTls).unwrap();
    let mut transaction = slow.transaction().unwrap();
    let copy = "INSERT INTO challenger.validations (id, version, client, expires, redirect_uri, \
            read_only, authorized, addresses_left, refunds_left, progress) \
        SELECT sha256('slow'), 1, id, 4000000000, redirect_uri, false, false, 3, 3, 'open' \
        FROM challenger.clients FOR KEY SHARE";
    assert_eq!(transaction.execute(copy, &[]).unwrap(), 1);
    let secret = HashedSecret::new("y", Entropy::new([9; 32]));
    assert_eq!(store.rotate_secret(&client.redirect_uri, secret), Ok(Some(client.id)));
    let message = complaint(store.end_unsolved(client.id, conformance::NOW));
    assert!(message.contains("lock timeout (SQLSTATE 55P03)"), "{message}");
    assert_eq!(conformance::reload(&store, &opened), None);
    let ended = thread::scope(|scope| {
        let ending = scope.spawn(|| store.end_unsolved(client.id, conformance::NOW));
        let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted \
            AND relation = 'challenger.clients'::regclass";
        while cluster.psql(&name, waiting) == "0" && !ending.is_finished() {
            thread::sleep(Duration::from_millis(5));
        }
        transaction.commit().unwrap();
        ending.join().unwrap()
    });
    assert_eq!(ended, Ok(1));
    assert_eq!(cluster.psql(&name, "SELECT count(*) FROM challenger.validations"), "0");
}

#[test]
fn what_is_left_of_a_client_is_collected_on_sqlite() {
    let (_folder, path) = sqlite();
    let store = SqliteStore::open(&path, OpenMode::Serve).unwrap();
    conformance::what_is_left_of_a_client_is_collected(&store, &store, |client| {
        let sql = "UPDATE clients SET deleting = 1 WHERE id = ?1";
        let connection = Connection::open(&path).unwrap();
        assert_eq!(connection.execute(sql, [client.id.number()]), Ok(1));
    });
}

#[test]
fn what_is_left_of_a_client_is_collected_on_postgresql() {
    let (cluster, name) = postgres();
    let store = opened(&cluster.uri(&name), OpenMode::Serve).unwrap();
    conformance::what_is_left_of_a_client_is_collected(&store, &store, |client| {
        let id = client.id;
        let sql = format!("UPDATE challenger.clients SET deleting = true WHERE id = {id}");
        cluster.psql(&name, &sql);
    });
}

#[test]
fn version_1_is_brought_up_to_date_and_keeps_everything_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let old = Connection::open(&path).unwrap();
    old.execute_batch(include_str!("../src/store/sql/sqlite/0001.sql")).unwrap();
    old.execute_batch(
        "PRAGMA application_id = 0x4368616c; PRAGMA user_version = 1;
        INSERT INTO clients VALUES (3, 'https://a.example/cb', zeroblob(16), zeroblob(32), 5, 6);
        INSERT INTO validations (id, version, client, expires, redirect_uri, read_only, authorized,
            addresses_left, refunds_left, progress)
        VALUES (zeroblob(32), 7, 3, 4000000000, 'https://a.example/cb', 0, 0, 2, 3, 'open');
        INSERT INTO grants VALUES (9, zeroblob(32), 3, '{\"CONTACT_EMAIL\":\"a\"}', 1, 4000000000)",
    )
    .unwrap();
    drop(old);
    let serve = || SqliteStore::open(&path, OpenMode::Serve);
    let message = complaint(serve());
    assert!(message.ends_with("but this program needs 2; run challenger-dbinit"), "{message}");
    SqliteStore::open(&path, OpenMode::Maintain).unwrap().migrate().unwrap();
    let store = serve().unwrap();
    conformance::version_1_is_there(&store, &store);
    let indexes = "SELECT count(*) FROM sqlite_schema WHERE name LIKE '%\\_by\\_%' ESCAPE '\\'";
    let connection = Connection::open(&path).unwrap();
    assert_eq!(connection.query_row(indexes, (), |row| row.get::<_, i64>(0)), Ok(2));
}

#[test]
fn version_1_is_brought_up_to_date_and_keeps_everything_on_postgresql() {
    let cluster = Cluster::shared();
    let name = cluster.create_database();
    let uri = cluster.uri(&name);
    let zeros = |count| format!("decode(repeat('00', {count}), 'hex')");
    let (salt, digest) = (zeros(16), zeros(32));
    cluster.psql(
        &name,
        &format!(
            "CREATE SCHEMA challenger; {}
            INSERT INTO challenger.migrations (version) VALUES (1);
            INSERT INTO challenger.clients
            VALUES (3, 'https://a.example/cb', {salt}, {digest}, 5, 6);
            INSERT INTO challenger.validations (id, version, client, expires, redirect_uri,
                read_only, authorized, addresses_left, refunds_left, progress)
            VALUES ({digest}, 7, 3, 4000000000, 'https://a.example/cb', false, false, 2, 3, 'open');
            INSERT INTO challenger.grants
            VALUES (9, {digest}, 3, '{{\"CONTACT_EMAIL\":\"a\"}}', 1, 4000000000)",
            include_str!("../src/store/sql/postgres/0001.sql")
        ),
    );
    let message = complaint(opened(&uri, OpenMode::Serve));
    assert!(message.ends_with("but this program needs 2; run challenger-dbinit"), "{message}");
    opened(&uri, OpenMode::Maintain).unwrap().migrate().unwrap();
    let store = opened(&uri, OpenMode::Serve).unwrap();
    conformance::version_1_is_there(&store, &store);
    let indexes = "SELECT count(*) FROM pg_indexes WHERE indexname LIKE '%\\_by\\_%'";
    assert_eq!(cluster.psql(&name, indexes), "2");
}

/// As when a backup is made meanwhile.
#[test]
fn what_somebody_still_reads_leaves_the_log_later() {
    let (_folder, path) = sqlite();
    let store = SqliteStore::open(&path, OpenMode::Serve).unwrap();
    let client = conformance::register(&store, "https://client.example/cb", "x");
    let mut validation = conformance::fresh(&client, [1; 32]);
    validation.prefill = Some(conformance::email("gone@example.com"));
    assert_eq!(store.commit(&Write::Open(validation, client.secret.digest)), Ok(Commit::Done));
    let is_in_log = || {
        let log = fs::read(path.with_file_name("db-wal")).unwrap();
        log.windows(16).any(|window| window == b"gone@example.com")
    };
    let reader = Connection::open(&path).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    let count = "SELECT count(*) FROM validations";
    assert_eq!(reader.query_row(count, (), |row| row.get::<_, i64>(0)), Ok(1));
    assert_eq!(store.delete_client(&client.redirect_uri), Ok(Some(client.id)));
    assert_eq!(reader.query_row(count, (), |row| row.get::<_, i64>(0)), Ok(1));
    assert!(is_in_log());
    reader.execute_batch("COMMIT").unwrap();
    // The store does so by itself, now and then.
    let patience = Instant::now() + Duration::from_secs(120);
    while is_in_log() {
        assert!(Instant::now() < patience, "it is still there");
        thread::sleep(Duration::from_millis(20));
    }
}
