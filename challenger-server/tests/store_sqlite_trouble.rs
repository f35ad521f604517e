//! The database file is locked, moved away or replaced while it is in use: every load and commit
//! fails in time, and nothing is written to a file that is not the database any more.

#![cfg(feature = "sqlite")]
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use challenger_proto::machine::Validation;
use challenger_proto::store::{Commit, Keys, Write};
use challenger_server::store::{OpenMode, Registry, SqliteStore, Store};
use conformance::{error_of, fresh, open, register, reload};
use rusqlite::Connection;
use tempfile::TempDir;

#[allow(dead_code, unused_imports, reason = "other tests use the rest")]
mod conformance;

/// How long a test waits for something that should be over much earlier.
const PATIENCE: Duration = Duration::from_secs(120);

/// More than three times as many as the writer takes at once.
const CROWD: u8 = 200;

/// A store in a folder that is deleted in the end, with one row.
struct Fixture {
    store: Arc<SqliteStore>,
    row: Validation,
    path: PathBuf,
    _folder: TempDir,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("challenger.sqlite");
        create(&path);
        let store = Arc::new(SqliteStore::open(&path, OpenMode::Serve).unwrap());
        let client = register(&*store, "https://client.example/cb", "x");
        let row = open(&*store, &client, [255; 32]);
        Self { store, row, path, _folder: folder }
    }

    fn refuses(&self, expected: &str) {
        let load = Keys { validation: Some(self.row.id), ..Keys::default() };
        for message in [
            error_of(self.store.load(&load)),
            error_of(self.store.commit(&Write::Update(self.row.clone(), Vec::new()))),
        ] {
            assert_eq!(message, format!("{}: {expected}", self.path.display()));
        }
    }
}

fn create(path: &Path) {
    SqliteStore::open(path, OpenMode::Maintain).unwrap().migrate().unwrap();
}

#[test]
fn a_file_that_goes_away_is_noticed_and_may_come_back() {
    let it = Fixture::new();
    let aside = it.path.with_extension("aside");
    fs::rename(&it.path, &aside).unwrap();
    it.refuses("was deleted while it was in use; put it back, or restart the service");
    fs::write(&it.path, "").unwrap();
    it.refuses("was replaced while it was in use; put it back, or restart the service");
    fs::rename(&aside, &it.path).unwrap();
    assert_eq!(reload(&*it.store, &it.row), Some(it.row.clone()));
    assert_eq!(it.store.commit(&Write::Update(it.row, Vec::new())), Ok(Commit::Done));
}

#[test]
fn a_lock_that_outlasts_everybody_is_an_error_in_time() {
    let it = Fixture::new();
    let other = Connection::open(&it.path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let client = register_of(&it);
    let (reply, results) = mpsc::channel();
    for number in 0..CROWD {
        let (store, reply) = (Arc::clone(&it.store), reply.clone());
        let write = Write::Open(fresh(&client, [number; 32]), client.secret.digest);
        thread::spawn(move || reply.send((number, store.commit(&write))));
    }
    let (mut locked, mut late) = (0, 0);
    for _ in 0..CROWD {
        let (_, result) = results.recv_timeout(PATIENCE).expect("an end in time");
        let message = error_of(result);
        locked += usize::from(message.contains("database is locked"));
        late += usize::from(message.ends_with(": was not written to in time"));
    }
    assert_eq!(locked + late, usize::from(CROWD));
    assert!(locked > 0 && late > 0, "{locked} {late}");
    assert_eq!(reload(&*it.store, &it.row), Some(it.row.clone()), "reading goes on");
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(it.store.commit(&Write::Update(it.row.clone(), Vec::new())), Ok(Commit::Done));
    // Writes whose callers gave up are not carried out later, when the queue is emptied.
    let mut count = other.prepare("SELECT count(*) FROM validations").unwrap();
    let rows: i64 = count.query_row((), |row| row.get(0)).unwrap();
    assert_eq!(rows, 1);
}

fn register_of(it: &Fixture) -> challenger_proto::oauth::Client {
    let load = Keys { client: Some(it.row.client), ..Keys::default() };
    it.store.load(&load).unwrap().client.unwrap()
}
