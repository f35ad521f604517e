//! The embedded store does what every store does, and what only a file can.

#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use challenger_proto::{
    Client, Commit, Load, Loaded, Span, Timestamp, TokenDigest, Validation, Write,
};
use challenger_server::store::{Collected, OpenMode, Registry, SqliteStore, Store, StoreError};
use conformance::{NOW, fresh, has_grant, open, redemption, register, reload};
use rusqlite::Connection;
use tempfile::TempDir;

#[allow(dead_code, unused_imports, reason = "other tests use the rest")]
mod conformance;

/// A store in a folder that is deleted in the end.
struct Fixture {
    store: SqliteStore,
    path: PathBuf,
    _folder: TempDir,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new folder").join("challenger.sqlite");
        SqliteStore::open(&path, OpenMode::Maintain).unwrap().migrate().unwrap();
        let store = SqliteStore::open(&path, OpenMode::Serve).unwrap();
        Self { store, path, _folder: folder }
    }

    /// A connection behind the store's back.
    fn sqlite(&self) -> Connection {
        let connection = Connection::open(&self.path).unwrap();
        connection.pragma_update(None, "foreign_keys", true).unwrap();
        connection
    }
}

fn complaint<T>(result: Result<T, StoreError>) -> String {
    result.map_or_else(|error| error.to_string(), |_| panic!("it should have failed"))
}

#[test]
fn a_random_walk_goes_as_in_the_reference_store() {
    for seed in 1..=3 {
        let it = Fixture::new();
        conformance::walk_like_records(&it.store, &it.store, seed, 2000);
    }
}

#[test]
fn clients_are_registered_once() {
    let it = Fixture::new();
    conformance::clients_are_registered_once(&it.store, &it.store);
}

#[test]
fn clients_are_counted_changed_and_deleted() {
    let it = Fixture::new();
    conformance::clients_are_counted_changed_and_deleted(&it.store, &it.store);
}

#[test]
fn threads_that_contend_lose_nothing() {
    let it = Fixture::new();
    conformance::eight_threads_change_one_row(&it.store, &it.store);
    conformance::one_code_buys_one_grant(&it.store, &it.store);
}

#[test]
fn what_is_there_survives_and_is_shared() {
    let Fixture { store, path, _folder } = Fixture::new();
    let client = register(&store, "https://client.example/cb", "x");
    let validation = open(&store, &client, [1; 32]);
    let other = SqliteStore::open(&path, OpenMode::Serve).unwrap();
    assert_eq!(reload(&other, &validation), Some(validation.clone()));
    // Each of them sees what the other one did a moment ago.
    assert_eq!(store.commit(&Write::Update(validation.clone())), Ok(Commit::Done));
    let second = reload(&other, &validation).unwrap();
    assert_eq!(second.version, validation.version.next());
    assert_eq!(other.commit(&redemption(second.clone(), [7; 32])), Ok(Commit::Done));
    assert_eq!(store.commit(&Write::Update(second)), Ok(Commit::Conflict));
    assert!(has_grant(&store, [7; 32]));
    let last = reload(&store, &validation);
    drop((store, other));

    let reopened = SqliteStore::open(&path, OpenMode::Serve).unwrap();
    assert_eq!(reload(&reopened, &validation), last);
    assert!(has_grant(&reopened, [7; 32]));
    let load = Load { client: Some(client.id), ..Load::default() };
    assert_eq!(reopened.load(&load).unwrap().client, Some(client));
}

#[test]
fn two_processes_change_one_row() {
    let it = Fixture::new();
    let other = SqliteStore::open(&it.path, OpenMode::Serve).unwrap();
    let client = register(&it.store, "https://client.example/cb", "x");
    let validation = open(&it.store, &client, [1; 32]);
    let count = |store: &SqliteStore| {
        let mut done = 0;
        for _ in 0..100 {
            let seen = reload(store, &validation).unwrap();
            done += i64::from(store.commit(&Write::Update(seen)) == Ok(Commit::Done));
        }
        done
    };
    let (here, there) = thread::scope(|scope| {
        let there = scope.spawn(|| count(&other));
        (count(&it.store), there.join().unwrap())
    });
    assert_eq!(reload(&it.store, &validation).unwrap().version.0, 1 + here + there);
}

#[test]
fn closing_leaves_one_file_with_everything_in_it() {
    let Fixture { store, path, _folder } = Fixture::new();
    let client = register(&store, "https://client.example/cb", "x");
    let done: Vec<Validation> = thread::scope(|scope| {
        let (store, client) = (&store, &client);
        let open = |id| scope.spawn(move || open(store, client, [id; 32]));
        let threads: Vec<_> = (0..20).map(open).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    drop(store);
    let rest: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().collect();
    assert_eq!(rest.len(), 1, "the log is merged into the file: {rest:?}");
    let reopened = SqliteStore::open(&path, OpenMode::Serve).unwrap();
    assert!(done.iter().all(|validation| reload(&reopened, validation).is_some()));
}

#[test]
fn schemas_are_checked_before_serving() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let serve = || SqliteStore::open(&path, OpenMode::Serve);
    let place = path.display().to_string();
    assert_eq!(complaint(serve()), format!("{place}: does not exist; run challenger-dbinit"));
    assert!(!path.exists());

    let tool = SqliteStore::open(&path, OpenMode::Maintain).unwrap();
    assert_eq!(complaint(serve()), format!("{place}: has no schema yet; run challenger-dbinit"));
    assert_eq!(tool.migrate(), Ok(()));
    assert!(serve().is_ok());

    let newer = |version: i64| {
        let connection = Connection::open(&path).unwrap();
        connection.pragma_update(None, "user_version", version).unwrap();
    };
    newer(99);
    let message = format!(
        "{place}: has schema version 99, but this program knows 2 at most; upgrade the program"
    );
    assert_eq!(complaint(serve()), message);
    assert_eq!(complaint(tool.migrate()), message);
    assert_eq!(tool.reset(), Ok(()));
    assert!(serve().is_ok());
}

#[test]
fn databases_of_others_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let theirs = Connection::open(&path).unwrap();
    theirs.execute_batch("CREATE TABLE bookmarks (uri TEXT)").unwrap();
    for mode in [OpenMode::Maintain, OpenMode::Serve, OpenMode::Use] {
        let message = complaint(SqliteStore::open(&path, mode));
        assert!(message.ends_with("is a database of another program"), "{message}");
    }
    fs::write(&path, "Dear diary, today I wrote no database, nor anything that looks like it.")
        .unwrap();
    let message = complaint(SqliteStore::open(&path, OpenMode::Maintain));
    assert!(message.contains("file is not a database"), "{message}");
}

#[test]
fn migrating_keeps_and_resetting_drops() {
    let it = Fixture::new();
    let client = register(&it.store, "https://client.example/cb", "x");
    let validation = open(&it.store, &client, [1; 32]);
    assert_eq!(it.store.commit(&redemption(validation.clone(), [2; 32])), Ok(Commit::Done));
    assert_eq!(it.store.migrate(), Ok(()));
    assert!(reload(&it.store, &validation).is_some());

    it.sqlite().execute_batch("CREATE TABLE \"a \"\" table\" (x)").unwrap();
    assert_eq!(it.store.reset(), Ok(()));
    assert!(reload(&it.store, &validation).is_none());
    assert!(!has_grant(&it.store, [2; 32]));
    let count = "SELECT count(*) FROM sqlite_schema WHERE name LIKE '%table'";
    assert_eq!(it.sqlite().query_row(count, (), |row| row.get::<_, i64>(0)), Ok(0));
    // A store that was open all the while goes on.
    let again = register(&it.store, "https://client.example/cb", "x");
    assert_eq!(again.id, client.id);
    open(&it.store, &again, [1; 32]);
}

#[test]
fn a_file_of_version_1_is_migrated_and_keeps_its_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let old = Connection::open(&path).unwrap();
    old.execute_batch(include_str!("../src/store/sql/sqlite/0001.sql")).unwrap();
    old.execute_batch(&conformance::rows_of_version_1("", "x'")).unwrap();
    old.pragma_update(None, "application_id", 0x4368_616c).unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    drop(old);
    let message = complaint(SqliteStore::open(&path, OpenMode::Serve));
    assert!(message.contains("has schema version 1, but this program needs"), "{message}");
    assert_eq!(SqliteStore::open(&path, OpenMode::Maintain).unwrap().migrate(), Ok(()));
    let store = SqliteStore::open(&path, OpenMode::Serve).unwrap();
    conformance::rows_of_version_1_go_on(&store);
}

#[test]
fn garbage_is_counted_when_it_goes() {
    let it = Fixture::new();
    let ada = register(&it.store, "https://ada.example/cb", "x");
    let bob = register(&it.store, "https://bob.example/cb", "x");
    let expiring = |client: &Client, id: u8, expires: Timestamp| {
        let validation = Validation { expires, ..fresh(client, [id; 32]) };
        assert_eq!(
            it.store.commit(&Write::Open(validation.clone(), client.secret.digest)),
            Ok(Commit::Done)
        );
        validation
    };
    let later = NOW.plus(Span::seconds(1));
    let short_lived = expiring(&ada, 1, NOW);
    expiring(&ada, 2, Timestamp::EPOCH);
    let living = expiring(&ada, 3, later);
    let eternal = expiring(&ada, 4, Timestamp::NEVER);
    let bobs = expiring(&bob, 5, NOW);
    // Grants expire on their own: this one is to outlive its validation.
    let Write::Redeem(redeemed, mut grant) = redemption(short_lived.clone(), [1; 32]) else {
        unreachable!()
    };
    grant.expires = later;
    assert_eq!(it.store.commit(&Write::Redeem(redeemed, grant)), Ok(Commit::Done));
    assert_eq!(it.store.commit(&redemption(bobs, [2; 32])), Ok(Commit::Done));

    let collected = it.store.collect_garbage(NOW);
    assert_eq!(collected, Ok(Collected { validations: 3, grants: 1 }));
    assert_eq!(it.store.collect_garbage(NOW), Ok(Collected::default()));
    assert!(reload(&it.store, &short_lived).is_none());
    assert!(reload(&it.store, &living).is_some() && reload(&it.store, &eternal).is_some());
    assert!(has_grant(&it.store, [1; 32]) && !has_grant(&it.store, [2; 32]));
    assert_eq!(it.store.collect_garbage(later), Ok(Collected { validations: 1, grants: 1 }));
    let totals = |client: &Client| {
        let query = "SELECT validations_collected, grants_collected FROM clients WHERE id = ?1";
        let both = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        it.sqlite().query_row(query, [client.id.number()], both).unwrap()
    };
    assert_eq!([totals(&ada), totals(&bob)], [(3, 1), (1, 1)]);
}

#[test]
fn garbage_is_collected_in_pieces() {
    let it = Fixture::new();
    let client = register(&it.store, "https://client.example/cb", "x");
    open(&it.store, &client, [1; 32]);
    it.sqlite()
        .execute_batch(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)
            INSERT INTO grants (token, client, address, valid_until, expires)
            SELECT randomblob(32), 1, '{}', 0, 0 FROM n",
        )
        .unwrap();
    let collected = it.store.collect_garbage(Timestamp::EPOCH);
    assert_eq!(collected, Ok(Collected { validations: 0, grants: 2500 }));
    let total = "SELECT grants_collected FROM clients";
    assert_eq!(it.sqlite().query_row(total, (), |row| row.get::<_, i64>(0)), Ok(2500));
}

#[test]
fn rows_that_make_no_sense_are_kept_out_or_reported() {
    let it = Fixture::new();
    let client = register(&it.store, "https://client.example/cb", "x");
    let validation = open(&it.store, &client, [1; 32]);
    let sqlite = it.sqlite();
    for change in [
        "progress = 'solved'",
        "progress = 'unheard of'",
        "token = zeroblob(32)",
        "sent_at = 1",
        "state = 'x'",
        "code_challenge = 'x', authorized = 1",
        "expires = -1",
        "addresses_left = 256",
        "client = 4711",
        "id = zeroblob(31)",
    ] {
        let sql = format!("UPDATE validations SET {change}");
        assert!(sqlite.execute_batch(&sql).is_err(), "{change}");
    }
    sqlite.pragma_update(None, "ignore_check_constraints", true).unwrap();
    sqlite.execute_batch("UPDATE validations SET progress = 'top secret'").unwrap();
    let load = Load { validation: Some(validation.id), ..Load::default() };
    let message = complaint(it.store.load(&load));
    let column = "validations.progress of a row holds what it must not";
    assert_eq!(message, format!("{}: {column}", it.path.display()));
    sqlite.execute_batch("UPDATE validations SET progress = 'open'").unwrap();
    assert_eq!(reload(&it.store, &validation), Some(validation));
}

#[test]
fn only_the_owner_can_read_the_files() {
    let it = Fixture::new();
    let client = register(&it.store, "https://client.example/cb", "x");
    open(&it.store, &client, [1; 32]);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let folder = it.path.parent().unwrap();
    assert_eq!(mode(folder), 0o700);
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let names: Vec<_> = files.iter().map(|file| file.file_name().unwrap().to_owned()).collect();
    assert_eq!(names, ["challenger.sqlite", "challenger.sqlite-shm", "challenger.sqlite-wal"]);
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[test]
fn places_that_cannot_be_written_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let mut hopeless = vec![file.join("db"), folder.path().to_owned()];
    let closed = folder.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, Permissions::from_mode(0o500)).unwrap();
    // The superuser may write everywhere.
    if fs::write(closed.join("probe"), "").is_err() {
        hopeless.push(closed.join("db"));
    }
    if cfg!(target_os = "linux") {
        hopeless.extend(["/proc/db", "/proc/folder/db"].map(PathBuf::from));
    }
    for path in hopeless {
        let message = complaint(SqliteStore::open(&path, OpenMode::Maintain));
        assert!(message.starts_with(&format!("{}: cannot ", path.display())), "{message}");
    }
}

#[test]
fn a_lock_that_lasts_is_an_error_and_no_harm() {
    let it = Fixture::new();
    let client = register(&it.store, "https://client.example/cb", "x");
    let validation = open(&it.store, &client, [1; 32]);
    let other = it.sqlite();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let message = complaint(it.store.commit(&Write::Update(validation.clone())));
    assert!(message.starts_with(&it.path.display().to_string()), "{message}");
    assert!(message.contains("database is locked"), "{message}");
    assert_eq!(reload(&it.store, &validation), Some(validation.clone()));
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(it.store.commit(&Write::Update(validation)), Ok(Commit::Done));
}

/// As a server under load and the garbage collection do to each other.
#[test]
fn who_writes_all_the_time_starves_nobody() {
    let it = Fixture::new();
    let client = register(&it.store, "https://client.example/cb", "x");
    let other = it.sqlite();
    other.pragma_update(None, "busy_timeout", 60_000).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let done = &done;
        scope.spawn(move || {
            while !done.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(2));
                other.execute_batch("COMMIT").unwrap();
                // As long as a writer needs to see what is next.
                let next = Instant::now() + Duration::from_micros(20);
                while Instant::now() < next {
                    std::hint::spin_loop();
                }
                other.execute_batch("BEGIN IMMEDIATE").unwrap();
            }
        });
        let commits: Vec<_> = (0..10)
            .map(|number| {
                it.store.commit(&Write::Open(fresh(&client, [number; 32]), client.secret.digest))
            })
            .collect();
        done.store(true, Ordering::Relaxed);
        assert!(commits.iter().all(|commit| *commit == Ok(Commit::Done)), "{commits:?}");
    });
}

/// Opens sixty validations at once, every third of which SQLite is made to refuse.
fn open_some_bad_ones(it: &Fixture, how: &str) -> Vec<(Validation, Result<Commit, StoreError>)> {
    let client = register(&it.store, "https://client.example/cb", "x");
    it.sqlite()
        .execute_batch(&format!(
            "CREATE TRIGGER no_thirteen BEFORE INSERT ON validations WHEN new.refunds_left = 13
            BEGIN SELECT RAISE({how}, 'thirteen'); END"
        ))
        .unwrap();
    thread::scope(|scope| {
        let store = &it.store;
        let threads: Vec<_> = (0..60_u8)
            .map(|number| {
                let refunds_left = if number % 3 == 0 { 13 } else { 1 };
                let validation = Validation { refunds_left, ..fresh(&client, [number; 32]) };
                scope.spawn(move || {
                    let result =
                        store.commit(&Write::Open(validation.clone(), client.secret.digest));
                    (validation, result)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn one_failure_does_not_spoil_the_others() {
    let it = Fixture::new();
    for (validation, result) in open_some_bad_ones(&it, "ABORT") {
        let good = validation.refunds_left != 13;
        assert_eq!(result.is_ok(), good, "{result:?}");
        assert_eq!(reload(&it.store, &validation).is_some(), good);
    }
}

/// As a full disk may do in the middle of a transaction.
#[test]
fn a_failure_that_spoils_the_others_is_told_to_all() {
    let it = Fixture::new();
    for (validation, result) in open_some_bad_ones(&it, "ROLLBACK") {
        assert_eq!(result.is_ok(), reload(&it.store, &validation).is_some());
        if validation.refunds_left == 13 || result.is_err() {
            assert!(complaint(result).contains(": thirteen (SQLite error "));
        }
    }
}

#[test]
fn a_write_is_kept_whole_or_not_at_all() {
    let it = Fixture::new();
    let client = register(&it.store, "https://client.example/cb", "x");
    let validation = open(&it.store, &client, [1; 32]);
    it.sqlite()
        .execute_batch(
            "CREATE TRIGGER no_grants BEFORE INSERT ON grants BEGIN SELECT RAISE(ABORT, 'no'); END",
        )
        .unwrap();
    assert!(it.store.commit(&redemption(validation.clone(), [2; 32])).is_err());
    assert_eq!(reload(&it.store, &validation), Some(validation.clone()));
    it.sqlite().execute_batch("DROP TRIGGER no_grants").unwrap();
    assert_eq!(it.store.commit(&redemption(validation, [2; 32])), Ok(Commit::Done));
}

#[test]
fn no_secret_is_in_the_file() {
    let Fixture { store, path, _folder } = Fixture::new();
    let secrets = conformance::flow::secrets_of_a_flow(&store, &store);
    assert_eq!(secrets.len(), 9);
    let read = || {
        let files = fs::read_dir(path.parent().unwrap()).unwrap();
        files.flat_map(|file| fs::read(file.unwrap().path()).unwrap()).collect::<Vec<u8>>()
    };
    let contains =
        |bytes: &[u8], wanted: &[u8]| bytes.windows(wanted.len()).any(|window| window == wanted);
    let with_log = read();
    drop(store);
    for bytes in [with_log, read()] {
        assert!(contains(&bytes, conformance::flow::ADDRESS.as_bytes()), "the search works");
        for (number, secret) in secrets.iter().enumerate() {
            assert!(!contains(&bytes, secret), "secret number {number}");
        }
    }
}

#[test]
fn an_empty_load_does_not_touch_the_file() {
    let it = Fixture::new();
    fs::remove_dir_all(it.path.parent().unwrap()).unwrap();
    assert_eq!(it.store.load(&Load::default()), Ok(Loaded::default()));
    let load = Load { grant: Some(TokenDigest::from_bytes([0; 32])), ..Load::default() };
    assert!(it.store.load(&load).is_err());
}
