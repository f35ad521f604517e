//! The embedded store obeys the laws of every store, and some of its own.

#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use challenger_proto::machine::Validation;
use challenger_proto::store::{Commit, Write};
use challenger_server::store::{OpenMode, Registry, SqliteStore, Store, StoreError};
use conformance::{
    TestDatabase, email, error_of, fresh, laws, open, redemption, register, reload, served,
};
use rusqlite::Connection;
use tempfile::TempDir;

#[allow(dead_code, unused_imports, reason = "other tests use the rest")]
mod conformance;

/// A file in a new folder, which is deleted in the end.
struct File {
    path: PathBuf,
    _folder: TempDir,
}

impl File {
    fn folder(&self) -> &Path {
        self.path.parent().unwrap()
    }

    /// A connection that bypasses the store.
    fn connect(&self) -> Connection {
        let connection = Connection::open(&self.path).unwrap();
        connection.pragma_update(None, "foreign_keys", true).unwrap();
        connection
    }
}

impl TestDatabase for File {
    type Store = SqliteStore;
    type Connection = Connection;

    const INDEXES: [&'static str; 2] = ["sqlite_schema", "name"];

    const STEPS: [&'static str; 3] = [
        include_str!("../src/store/sql/sqlite/0002.sql"),
        include_str!("../src/store/sql/sqlite/0003.sql"),
        include_str!("../src/store/sql/sqlite/0004.sql"),
    ];

    fn create() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new folder").join("challenger.sqlite");
        Self { path, _folder: folder }
    }

    fn open(&self, mode: OpenMode) -> Result<SqliteStore, StoreError> {
        SqliteStore::open(&self.path, mode)
    }

    fn place(&self) -> String {
        self.path.display().to_string()
    }

    fn execute(&self, sql: &str) {
        let connection = self.connect();
        connection.pragma_update(None, "ignore_check_constraints", true).unwrap();
        connection.execute_batch(sql).unwrap();
    }

    fn number(&self, sql: &str) -> i64 {
        self.connect().query_row(sql, (), |row| row.get(0)).unwrap()
    }

    fn bytes(hex: &str) -> String {
        format!("x'{hex}'")
    }

    fn create_version_1(&self) {
        fs::create_dir(self.folder()).unwrap();
        self.execute(include_str!("../src/store/sql/sqlite/0001.sql"));
        self.execute("PRAGMA application_id = 0x4368616c");
        self.set_version(1);
    }

    fn set_version(&self, version: i64) {
        self.connect().pragma_update(None, "user_version", version).unwrap();
    }

    fn occupy(&self) -> &'static str {
        fs::create_dir(self.folder()).unwrap();
        self.execute("CREATE TABLE bookmarks (uri TEXT)");
        "is a database of another program"
    }

    fn lock(&self) -> (Connection, &'static str) {
        let connection = self.connect();
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        (connection, "database is locked")
    }

    fn remove(&self) -> &'static str {
        fs::remove_dir_all(self.folder()).unwrap();
        "was deleted while it was in use"
    }

    fn contents(&self) -> Vec<u8> {
        let files = fs::read_dir(self.folder()).unwrap();
        files.flat_map(|file| fs::read(file.unwrap().path()).unwrap()).collect()
    }
}

laws!(File);

#[test]
fn closing_leaves_one_file_with_everything_in_it() {
    let (it, store) = served::<File>();
    let client = register(&store, "https://client.example/cb", "x");
    let done: Vec<Validation> = thread::scope(|scope| {
        let (store, client) = (&store, &client);
        let open = |id| scope.spawn(move || open(store, client, [id; 32]));
        let threads: Vec<_> = (0..20).map(open).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    drop(store);
    let rest: Vec<_> = fs::read_dir(it.folder()).unwrap().collect();
    assert_eq!(rest.len(), 1, "the log is merged into the file: {rest:?}");
    let reopened = it.serve();
    assert!(done.iter().all(|validation| reload(&reopened, validation).is_some()));
}

#[test]
fn a_file_has_to_be_there_and_a_database() {
    let it = File::create();
    let error = error_of(it.open(OpenMode::Serve));
    assert_eq!(error, format!("{}: does not exist; run challenger-dbinit", it.place()));
    assert!(!it.path.exists());
    fs::create_dir(it.folder()).unwrap();
    let text = "Dear diary, today I wrote no database, nor anything that looks like it.";
    fs::write(&it.path, text).unwrap();
    let error = error_of(it.open(OpenMode::Maintain));
    assert!(error.contains("file is not a database"), "{error}");
}

#[test]
fn rows_that_make_no_sense_are_kept_out() {
    let (it, store) = served::<File>();
    let client = register(&store, "https://client.example/cb", "x");
    open(&store, &client, [1; 32]);
    let sqlite = it.connect();
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
}

#[test]
fn only_the_owner_can_read_the_files() {
    let (it, store) = served::<File>();
    let client = register(&store, "https://client.example/cb", "x");
    open(&store, &client, [1; 32]);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let folder = it.folder();
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
        let message = error_of(SqliteStore::open(&path, OpenMode::Maintain));
        assert!(message.starts_with(&format!("{}: cannot ", path.display())), "{message}");
    }
}

/// Like a server under load and the garbage collection.
#[test]
fn a_busy_writer_starves_nobody() {
    let (it, store) = served::<File>();
    let client = register(&store, "https://client.example/cb", "x");
    let other = it.connect();
    other.pragma_update(None, "busy_timeout", 60_000).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let done = &done;
        scope.spawn(move || {
            while !done.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(2));
                other.execute_batch("COMMIT").unwrap();
                // As long as a writer needs to find its next task.
                let next = Instant::now() + Duration::from_micros(20);
                while Instant::now() < next {
                    std::hint::spin_loop();
                }
                other.execute_batch("BEGIN IMMEDIATE").unwrap();
            }
        });
        let commits: Vec<_> = (0..10)
            .map(|number| {
                store.commit(&Write::Open(fresh(&client, [number; 32]), client.secret.digest))
            })
            .collect();
        done.store(true, Ordering::Relaxed);
        assert!(commits.iter().all(|commit| *commit == Ok(Commit::Done)), "{commits:?}");
    });
}

/// Opens sixty validations at once. A trigger refuses every third.
fn open_some_bad_ones(
    it: &File,
    store: &SqliteStore,
    how: &str,
) -> Vec<(Validation, Result<Commit, StoreError>)> {
    let client = register(store, "https://client.example/cb", "x");
    it.connect()
        .execute_batch(&format!(
            "CREATE TRIGGER no_thirteen BEFORE INSERT ON validations WHEN new.refunds_left = 13
            BEGIN SELECT RAISE({how}, 'thirteen'); END"
        ))
        .unwrap();
    thread::scope(|scope| {
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
    let (it, store) = served::<File>();
    for (validation, result) in open_some_bad_ones(&it, &store, "ABORT") {
        let good = validation.refunds_left != 13;
        assert_eq!(result.is_ok(), good, "{result:?}");
        assert_eq!(reload(&store, &validation).is_some(), good);
    }
}

/// Like a full disk in the middle of a transaction.
#[test]
fn a_failure_that_spoils_the_others_is_an_error_for_all() {
    let (it, store) = served::<File>();
    for (validation, result) in open_some_bad_ones(&it, &store, "ROLLBACK") {
        assert_eq!(result.is_ok(), reload(&store, &validation).is_some());
        if validation.refunds_left == 13 || result.is_err() {
            assert!(error_of(result).contains(": thirteen (SQLite error "));
        }
    }
}

#[test]
fn a_write_is_kept_whole_or_not_at_all() {
    let (it, store) = served::<File>();
    let client = register(&store, "https://client.example/cb", "x");
    let validation = open(&store, &client, [1; 32]);
    it.connect()
        .execute_batch(
            "CREATE TRIGGER no_grants BEFORE INSERT ON grants BEGIN SELECT RAISE(ABORT, 'no'); END",
        )
        .unwrap();
    assert!(store.commit(&redemption(validation.clone(), [2; 32])).is_err());
    assert_eq!(reload(&store, &validation), Some(validation.clone()));
    it.connect().execute_batch("DROP TRIGGER no_grants").unwrap();
    assert_eq!(store.commit(&redemption(validation, [2; 32])), Ok(Commit::Done));
}

/// For example, by a backup.
#[test]
fn rows_that_are_still_read_leave_the_log_later() {
    let (it, store) = served::<File>();
    let client = register(&store, "https://client.example/cb", "x");
    let mut validation = fresh(&client, [1; 32]);
    validation.prefill = Some(email("gone@example.com"));
    assert_eq!(store.commit(&Write::Open(validation, client.secret.digest)), Ok(Commit::Done));
    let is_in_log = || {
        let log = fs::read(it.path.with_file_name("challenger.sqlite-wal")).unwrap();
        log.windows(16).any(|window| window == b"gone@example.com")
    };
    let reader = it.connect();
    reader.execute_batch("BEGIN").unwrap();
    let count = "SELECT count(*) FROM validations";
    assert_eq!(reader.query_row(count, (), |row| row.get::<_, i64>(0)), Ok(1));
    assert_eq!(store.delete_client(client.id), Ok(true));
    assert_eq!(reader.query_row(count, (), |row| row.get::<_, i64>(0)), Ok(1));
    assert!(is_in_log());
    reader.execute_batch("COMMIT").unwrap();
    // The store empties the log by itself, now and then.
    let patience = Instant::now() + Duration::from_secs(120);
    while is_in_log() {
        assert!(Instant::now() < patience, "it is still there");
        thread::sleep(Duration::from_millis(20));
    }
}
