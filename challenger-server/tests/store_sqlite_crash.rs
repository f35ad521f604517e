//! The embedded store keeps what it acknowledged when its process is killed, and recovers from a
//! full disk. The tests start this program again as the process that is killed, or that fills its
//! disk.

#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use std::collections::BTreeMap;
use std::env;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use challenger_proto::Entropy;
use challenger_proto::address::Address;
use challenger_proto::machine::{RowVersion, Validation};
use challenger_proto::oauth::{Client, ClientId, HashedSecret, RedirectUri};
use challenger_proto::store::{Commit, Write};
use challenger_server::store::{NewClient, OpenMode, Registry, SqliteStore, Store};
use conformance::{NOW, fresh, reload};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[allow(dead_code, unused_imports, reason = "other tests use the rest")]
mod conformance;

/// The variable that names the database to the other process.
const DATABASE: &str = "CHALLENGER_TEST_DATABASE";
/// The variable with the number of its round.
const ROUND: &str = "CHALLENGER_TEST_ROUND";

fn client() -> Client {
    Client::new(
        ClientId::new(1).unwrap(),
        RedirectUri::parse("https://client.example/cb").unwrap(),
        HashedSecret::new("x", Entropy::new([0; 32])),
    )
}

fn create(path: &Path) {
    let store = SqliteStore::open(path, OpenMode::Maintain).unwrap();
    store.migrate().unwrap();
    let client = client();
    let added = store.add_client(&NewClient::new(client.redirect_uri, client.secret), NOW).unwrap();
    assert_eq!(added, challenger_server::store::Added::New(client.id));
}

/// The validation with a thread's count; the same in every process.
fn validation(round: u8, thread: u8, count: u16) -> Validation {
    let [high, low] = count.to_be_bytes();
    let mut seed = [0; 32];
    seed[..4].copy_from_slice(&[round, thread, high, low]);
    let address = Address::new([("CONTACT_EMAIL".to_owned(), "a@example.com".repeat(50))]);
    Validation { prefill: address.ok(), ..fresh(&client(), seed) }
}

#[test]
fn acknowledged_writes_survive_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    create(&path);
    for (round, lines_before_the_kill) in (0_u8..).zip([1, 7, 50, 333, 1000, 2, 90, 400]) {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "child_that_commits_until_it_is_killed", "--nocapture"])
            .envs([(DATABASE, path.as_os_str()), (ROUND, round.to_string().as_ref())])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut acknowledged: Vec<String> = Vec::new();
        while acknowledged.len() < lines_before_the_kill {
            acknowledged.extend(lines.next().unwrap().ok().filter(|line| line.starts_with("ack ")));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // Lines that were printed until the kill count as well; the last line may be torn.
        acknowledged.extend(lines.map_while(Result::ok).filter(|line| line.ends_with(" done")));

        let mut newest = BTreeMap::new();
        for line in acknowledged {
            let numbers: Vec<u16> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
            let [thread, count, version] = numbers[..] else { panic!("{line}") };
            newest.insert((u8::try_from(thread).unwrap(), count), i64::from(version));
        }
        let store = SqliteStore::open(&path, OpenMode::Serve).unwrap();
        for ((thread, count), version) in newest {
            let row = reload(&store, &validation(round, thread, count)).unwrap();
            assert!(row.version >= RowVersion(version), "{row:?} is older than {version}");
        }
    }
}

/// Opens rows and changes them, and prints what was acknowledged.
#[test]
fn child_that_commits_until_it_is_killed() {
    let Some(path) = env::var_os(DATABASE) else { return };
    let round = env::var(ROUND).unwrap().parse().unwrap();
    let store = SqliteStore::open(Path::new(&path), OpenMode::Serve).unwrap();
    thread::scope(|scope| {
        for thread in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for count in 0..u16::MAX {
                    let mut row = validation(round, thread, count);
                    assert_eq!(
                        store.commit(&Write::Open(row.clone(), client().secret.digest)),
                        Ok(Commit::Done)
                    );
                    println!("ack {thread} {count} 1 done");
                    for version in 2..5 {
                        assert_eq!(
                            store.commit(&Write::Update(row.clone(), Vec::new())),
                            Ok(Commit::Done)
                        );
                        println!("ack {thread} {count} {version} done");
                        row.version = row.version.next();
                    }
                }
            });
        }
    });
}

#[test]
fn a_full_disk_is_an_error_and_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    create(&path);
    // Files may not grow beyond half a megabyte or one, depending on the shell's blocks, and trying
    // it is an error instead of a signal.
    let limited = "trap '' XFSZ; ulimit -S -f 1000; exec \"$0\" \"$@\"";
    let child = Command::new("sh")
        .args(["-c", limited])
        .arg(env::current_exe().unwrap())
        .args(["--exact", "child_that_fills_its_disk", "--nocapture"])
        .env(DATABASE, &path)
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success(), "{output}{}", String::from_utf8_lossy(&child.stderr));
    assert!(output.contains("recovered"), "{output}");
    let store = SqliteStore::open(&path, OpenMode::Serve).unwrap();
    assert!(reload(&store, &validation(0, 0, 0)).is_some());
}

/// Commits until it fails, then makes room and goes on.
#[test]
fn child_that_fills_its_disk() {
    let Some(path) = env::var_os(DATABASE) else { return };
    let store = SqliteStore::open(Path::new(&path), OpenMode::Serve).unwrap();
    let open = |count| store.commit(&Write::Open(validation(0, 0, count), client().secret.digest));
    let (full_at, error) = (0..u16::MAX)
        .find_map(|count| open(count).err().map(|error| (count, error)))
        .expect("the limit holds");
    assert!(error.to_string().starts_with(Path::new(&path).to_str().unwrap()), "{error}");
    assert!(error.to_string().contains("SQLite error"), "{error}");
    assert!(full_at > 10, "something fitted");
    assert!(open(full_at).is_err(), "it stays full");
    assert!(reload(&store, &validation(0, 0, full_at)).is_none());
    assert!(reload(&store, &validation(0, 0, full_at - 1)).is_some());

    let Rlimit { maximum, .. } = getrlimit(Resource::Fsize);
    setrlimit(Resource::Fsize, Rlimit { current: maximum, maximum }).unwrap();
    assert_eq!(open(full_at), Ok(Commit::Done));
    assert!(reload(&store, &validation(0, 0, full_at)).is_some());
    println!("recovered");
}
