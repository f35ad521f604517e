//! The store in PostgreSQL obeys the laws of every store, and some of its own.

#![cfg(feature = "postgres")]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use challenger_proto::oauth::{ClientId, HashedSecret};
use challenger_proto::store::{Commit, Keys, Write};
use challenger_proto::{Entropy, Timestamp};
use challenger_server::store::{
    Changed, Changes, Collected, Database, OpenMode, PostgresDatabase, PostgresStore, Registry,
    Rotated, Store, StoreError,
};
use challenger_testkit::Cluster;
use conformance::{
    NOW, TestDatabase, error_of, has_grant, laws, open, redemption, register, reload, served,
};
use postgres::{Client, NoTls};

#[allow(dead_code, unused_imports, reason = "other tests use the rest")]
mod conformance;

/// A database in a cluster that tests share.
struct ClusterDatabase {
    cluster: Arc<Cluster>,
    name: String,
}

impl ClusterDatabase {
    fn uri(&self) -> String {
        self.cluster.uri(&self.name)
    }

    /// A store to serve from, with more parameters in the URI.
    fn serve_with(&self, parameters: &str) -> PostgresStore {
        opened(&format!("{}{parameters}", self.uri()), OpenMode::Serve).unwrap()
    }

    /// A connection that bypasses the store.
    fn connect(&self) -> Client {
        let options = "&options=-c%20search_path%3Dchallenger";
        Client::connect(&format!("{}{options}", self.uri()), NoTls).unwrap()
    }

    fn psql(&self, sql: &str) -> String {
        self.cluster.psql(&self.name, sql)
    }
}

impl TestDatabase for ClusterDatabase {
    type Store = PostgresStore;
    type Connection = Client;

    const INDEXES: [&'static str; 2] = ["pg_indexes", "indexname"];

    const STEPS: [&'static str; 3] = [
        include_str!("../src/store/sql/postgres/0002.sql"),
        include_str!("../src/store/sql/postgres/0003.sql"),
        include_str!("../src/store/sql/postgres/0004.sql"),
    ];

    fn create() -> Self {
        let cluster = Cluster::shared();
        let name = cluster.create_database();
        Self { cluster, name }
    }

    fn open(&self, mode: OpenMode) -> Result<PostgresStore, StoreError> {
        opened(&self.uri(), mode)
    }

    fn place(&self) -> String {
        let place = PostgresDatabase::parse(&self.uri(), |_| None).unwrap().to_string();
        assert!(place.starts_with(&format!("PostgreSQL database {} at /", self.name)), "{place}");
        place
    }

    fn execute(&self, sql: &str) {
        self.connect().batch_execute(sql).unwrap();
    }

    fn number(&self, sql: &str) -> i64 {
        self.connect().query_one(sql, &[]).unwrap().get(0)
    }

    fn bytes(hex: &str) -> String {
        format!("'\\x{hex}'::bytea")
    }

    fn create_version_1(&self) {
        self.execute("CREATE SCHEMA challenger");
        self.execute(include_str!("../src/store/sql/postgres/0001.sql"));
        self.set_version(1);
    }

    fn set_version(&self, version: i64) {
        self.execute(&format!("INSERT INTO migrations (version) VALUES ({version})"));
    }

    fn occupy(&self) -> &'static str {
        self.execute("CREATE SCHEMA challenger; CREATE TABLE challenger.tokens (id int)");
        "has a schema \"challenger\" of another program"
    }

    fn lock(&self) -> (Client, &'static str) {
        let mut client = self.connect();
        client.batch_execute("BEGIN; SELECT FROM validations FOR UPDATE").unwrap();
        (client, "lock timeout (SQLSTATE 55P03)")
    }

    fn remove(&self) -> &'static str {
        self.cluster.psql("postgres", &format!("DROP DATABASE {} WITH (FORCE)", self.name));
        "does not exist (SQLSTATE 3D000)"
    }

    fn contents(&self) -> Vec<u8> {
        self.cluster.dump(&self.name).into_bytes()
    }
}

fn opened(uri: &str, mode: OpenMode) -> Result<PostgresStore, StoreError> {
    PostgresStore::open(PostgresDatabase::parse(uri, |_| None).unwrap(), mode)
}

laws!(ClusterDatabase);

#[test]
fn contention_is_a_conflict_whatever_the_isolation() {
    for isolation in ["read%5C%20committed", "repeatable%5C%20read"] {
        let (it, _) = served::<ClusterDatabase>();
        let options = format!("&options=-c%20default_transaction_isolation%3D{isolation}");
        let store = it.serve_with(&options);
        conformance::eight_threads_change_one_row(&store, &store);
        conformance::one_code_buys_one_grant(&store, &store);
    }
}

#[test]
fn no_table_is_read_from_end_to_end_for_a_row() {
    let (it, store) = served::<ClusterDatabase>();
    let client = register(&store, "https://client.example/cb", "x");
    // Sessions report their statistics when they end.
    let sessions = "SELECT count(*) FROM pg_stat_activity \
                    WHERE application_name = 'challenger' AND datname = current_database()";
    let wait_for_their_end = || {
        let mut looks = 0..1000;
        while it.psql(sessions) != "0" {
            assert!(looks.next().is_some(), "sessions do not end");
            thread::sleep(Duration::from_millis(10));
        }
    };
    wait_for_their_end();
    // PostgreSQL keeps its plans, and would read all of a table that it knows to be empty.
    it.psql("VACUUM ANALYZE");
    let scans = || {
        let tables = "pg_stat_user_tables WHERE relname <> 'migrations'";
        it.psql(&format!("SELECT sum(seq_scan) FROM {tables}"))
    };
    let before = scans();
    let load = Keys { client: Some(client.id), ..Keys::default() };
    for number in 1..10 {
        assert_eq!(store.load(&load).unwrap().client.unwrap(), client);
        let validation = open(&store, &client, [number; 32]);
        for entries in conformance::entries_of_a_flow(&validation) {
            let accounts = Some(entries.iter().map(|entry| entry.account.clone()).collect());
            let load = Keys { validation: Some(validation.id), accounts, ..Keys::default() };
            let rows = store.load(&load).unwrap();
            let write = Write::Update(rows.validation.unwrap(), entries);
            assert_eq!(store.commit(&write), Ok(Commit::Done));
        }
        let reloaded = reload(&store, &validation).unwrap();
        assert_eq!(store.commit(&Write::Update(reloaded.clone(), Vec::new())), Ok(Commit::Done));
        let second = reload(&store, &validation).unwrap();
        assert_eq!(store.commit(&redemption(second, [number; 32])), Ok(Commit::Done));
        assert!(has_grant(&store, [number; 32]));
    }
    assert_eq!(store.finish(), Ok(()));
    drop(store);
    wait_for_their_end();
    assert_eq!(scans(), before);
}

#[test]
fn many_may_migrate_at_once() {
    let it = ClusterDatabase::create();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let tool = it.open(OpenMode::Maintain).unwrap();
                assert!(tool.migrate().is_ok());
                assert_eq!(tool.collect_garbage(NOW), Ok(Collected::default()));
            });
        }
    });
    let versions = "SELECT string_agg(version::text, ' ' ORDER BY version) \
        FROM challenger.migrations";
    assert_eq!(it.psql(versions), "1 2 3 4 5");
    assert!(it.open(OpenMode::Serve).is_ok());
}

/// A table that is written anew is locked for as long as that takes.
#[test]
fn an_upgrade_writes_no_table_anew() {
    let it = ClusterDatabase::create();
    conformance::create_version(&it, 2);
    let files = || {
        let file = |table| format!("pg_relation_filenode('challenger.{table}')");
        it.psql(&format!("SELECT {}, {}", file("validations"), file("clients")))
    };
    let before = files();
    it.migrate();
    assert_eq!(files(), before);
}

#[test]
fn serving_needs_no_more_than_rows() {
    let it = ClusterDatabase::create();
    let ClusterDatabase { cluster, name } = &it;
    let role = format!("server_{name}");
    let sql = |sql: &str| cluster.psql(name, &sql.replace("SERVER", &role));
    sql("CREATE ROLE SERVER LOGIN");
    let owner = it.open(OpenMode::Maintain).unwrap();
    owner.migrate().unwrap();
    let serve = || opened(&cluster.uri_of(&role, name), OpenMode::Serve);
    let message = error_of(serve());
    assert!(message.contains("permission denied for schema challenger"), "{message}");

    // As the README has it.
    sql("GRANT USAGE ON SCHEMA challenger TO SERVER");
    sql("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA challenger TO SERVER");
    sql("ALTER DEFAULT PRIVILEGES IN SCHEMA challenger \
        GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO SERVER");
    let store = serve().unwrap();
    conformance::walk_like_records(&store, &store, 4, 500);
    conformance::flow::secrets_of_a_flow(&store, &store);
    assert!(store.collect_garbage(NOW).is_ok());
    let message = error_of(store.reset());
    assert!(message.contains("must be owner of table"), "{message}");
    let denied = cluster.psql_as(&role, name, "CREATE TABLE challenger.mine (id int)");
    assert!(denied.unwrap_err().contains("permission denied for schema challenger"));

    // Tables that the owner creates later can be used as well.
    owner.reset().unwrap();
    conformance::flow::secrets_of_a_flow(&store, &store);
}

#[test]
fn garbage_is_collected_beside_writes() {
    let (it, store) = served::<ClusterDatabase>();
    let client = register(&store, "https://client.example/cb", "x");
    let busy = open(&store, &client, [1; 32]);
    let (mut lock, _) = it.lock();
    let free = open(&store, &client, [2; 32]);
    assert_eq!(store.commit(&redemption(free, [2; 32])), Ok(Commit::Done));
    let late = Timestamp::NEVER;
    assert_eq!(
        store.collect_garbage(late),
        Ok(Collected { validations: 1, grants: 1, balances: 0 })
    );
    assert_eq!(reload(&store, &busy), Some(busy.clone()));
    lock.batch_execute("ROLLBACK").unwrap();
    assert_eq!(
        store.collect_garbage(late),
        Ok(Collected { validations: 1, grants: 0, balances: 0 })
    );
    assert!(reload(&store, &busy).is_none());
    assert_eq!(conformance::totals(&it, &client), (2, 1));
}

#[test]
fn resetting_drops_what_depends_on_tables() {
    let (it, store) = served::<ClusterDatabase>();
    let view = "CREATE VIEW living AS SELECT id FROM grants";
    it.execute(view);
    assert_eq!(store.reset(), Ok(()));
    it.execute(view); // It would fail if the view was still there.
}

#[test]
fn a_statement_that_lasts_is_an_error_and_no_harm() {
    let (it, _) = served::<ClusterDatabase>();
    let store = it.serve_with("&options=-c%20statement_timeout%3D100");
    let client = register(&store, "https://client.example/cb", "x");
    let validation = open(&store, &client, [1; 32]);
    it.psql(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS \
            'BEGIN PERFORM pg_sleep(3600); RETURN new; END'; \
        CREATE TRIGGER slow BEFORE UPDATE ON challenger.validations \
            FOR EACH ROW EXECUTE FUNCTION slow()",
    );
    let message = error_of(store.commit(&Write::Update(validation.clone(), Vec::new())));
    assert!(message.contains("statement timeout (SQLSTATE 57014)"), "{message}");
    assert_eq!(reload(&store, &validation), Some(validation.clone()));
    it.psql("DROP TRIGGER slow ON challenger.validations");
    assert_eq!(store.commit(&Write::Update(validation, Vec::new())), Ok(Commit::Done));
}

/// Writes of others that travel with one that waits for a row get through.
#[test]
fn a_row_that_is_locked_holds_up_no_other() {
    let (it, store) = served::<ClusterDatabase>();
    let client = register(&store, "https://client.example/cb", "x");
    let locked = open(&store, &client, [0; 32]);
    let (lock, expected) = it.lock();
    let rows: Vec<_> = (1..60).map(|number| open(&store, &client, [number; 32])).collect();
    thread::scope(|scope| {
        for row in &rows {
            scope.spawn(|| {
                for _ in 0..5 {
                    let row = reload(&store, row).unwrap();
                    assert_eq!(store.commit(&Write::Update(row, Vec::new())), Ok(Commit::Done));
                }
            });
        }
        let message = error_of(store.commit(&Write::Update(locked.clone(), Vec::new())));
        assert!(message.contains(expected), "{message}");
    });
    drop(lock);
    assert_eq!(store.commit(&Write::Update(locked, Vec::new())), Ok(Commit::Done));
}

/// There are fewer transactions than writes, and one that is refused harms no other.
#[test]
fn writes_of_a_crowd_travel_together() {
    let (it, store) = served::<ClusterDatabase>();
    let client = register(&store, "https://client.example/cb", "x");
    let rows: Vec<_> = (0..100).map(|number| open(&store, &client, [number; 32])).collect();
    // Each write takes a while, so that others have to wait.
    let change = |also: &str| {
        it.psql(&format!(
            "CREATE OR REPLACE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {also} \
            INSERT INTO transactions SELECT pg_current_xact_id(); \
            PERFORM pg_sleep(0.02); RETURN new; END $$"
        ))
    };
    let crowd = || {
        let commit = |row| store.commit(&Write::Update(reload(&store, row).unwrap(), Vec::new()));
        thread::scope(|scope| {
            let threads: Vec<_> = rows.iter().map(|row| scope.spawn(move || commit(row))).collect();
            threads.into_iter().map(|it| it.join().unwrap()).collect::<Vec<_>>()
        })
    };
    it.psql("CREATE TABLE transactions (id xid8)");
    change("");
    it.psql(
        "CREATE TRIGGER slow BEFORE UPDATE ON challenger.validations \
            FOR EACH ROW EXECUTE FUNCTION slow()",
    );
    assert_eq!(crowd(), vec![Ok(Commit::Done); 100]);
    let counts = it.psql("SELECT count(*), count(DISTINCT id::text) < 90 FROM transactions");
    assert_eq!(counts, "100|t");
    // One of the last to come, which has to wait, and so has company.
    let last: String = rows[99].id.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    change(&format!("IF new.id = decode('{last}', 'hex') THEN RAISE 'not this one'; END IF;"));
    let outcomes = crowd();
    let refused: Vec<_> = outcomes.iter().filter_map(|it| it.as_ref().err()).collect();
    assert!(refused.len() == 1 && refused[0].to_string().contains("not this one"), "{refused:?}");
    let done = outcomes.iter().filter(|it| **it == Ok(Commit::Done));
    assert_eq!(done.count(), 99);
}

#[test]
fn a_forgotten_statement_is_prepared_anew() {
    let (it, store) = served::<ClusterDatabase>();
    let client = register(&store, "https://client.example/cb", "x");
    let validation = open(&store, &client, [1; 32]);
    let load = Keys { validation: Some(validation.id), ..Keys::default() };
    assert!(store.load(&load).is_ok());
    // The columns differ from those that were prepared, which is an error once.
    it.psql("ALTER TABLE challenger.validations ALTER COLUMN prefill TYPE varchar(9999)");
    let message = error_of(store.load(&load));
    assert!(message.contains("(SQLSTATE 0A000)"), "{message}");
    assert_eq!(reload(&store, &validation), Some(validation));
}

#[test]
fn updates_touch_no_index() {
    let (it, store) = served::<ClusterDatabase>();
    let client = register(&store, "https://client.example/cb", "x");
    let mut validation = open(&store, &client, [1; 32]);
    let mut entries = conformance::entries_of_a_flow(&validation).into_iter().cycle();
    for number in 0..50 {
        let write = match number {
            49 => redemption(validation.clone(), [2; 32]),
            _ => Write::Update(validation.clone(), entries.next().unwrap()),
        };
        assert_eq!(store.commit(&write), Ok(Commit::Done));
        validation = reload(&store, &validation).unwrap();
    }
    drop(store);
    // The last connection reports when it ends.
    let counts = "SELECT sum(n_tup_upd) FILTER (WHERE relname = 'validations'), \
            sum(n_tup_upd) FILTER (WHERE relname = 'ledger') > 10, \
            sum(n_tup_upd - n_tup_hot_upd) \
        FROM pg_stat_all_tables WHERE schemaname = 'challenger'";
    let seen = (0..500).find_map(|_| {
        thread::sleep(Duration::from_millis(20));
        let counts = it.psql(counts);
        counts.strip_prefix("50|t|").map(|cold| cold.parse::<u32>().unwrap())
    });
    assert_eq!(seen, Some(0));
}

#[test]
fn the_database_logs_no_address_that_is_over_budget() {
    let (it, store) = served::<ClusterDatabase>();
    let client = register(&store, "https://client.example/cb", "x");
    let row = open(&store, &client, [1; 32]);
    let account = conformance::address(&format!("{}@example.com", it.name));
    for expected in [Commit::Done, Commit::Conflict] {
        let row = reload(&store, &row).unwrap();
        let entry = conformance::message(&account, 1, 0);
        assert_eq!(store.commit(&Write::Update(row, vec![entry])), Ok(expected));
    }
    let logged = it.cluster.logged();
    assert!(logged.contains("over the budget of 1"), "{logged}");
    assert!(!logged.contains(account.to_text().trim_start_matches("address:")), "{logged}");
}

#[test]
fn an_unreachable_database_is_named_without_the_password() {
    let uri = "postgres://ada:secret@/c?host=/nowhere";
    let database = Database::Postgres(PostgresDatabase::parse(uri, |_| None).unwrap());
    let load = Keys { client: ClientId::new(1), ..Keys::default() };
    // A server may start, and wait for the database.
    let store = opened(uri, OpenMode::Serve).unwrap();
    for message in [
        error_of(opened(uri, OpenMode::Maintain)),
        error_of(opened(uri, OpenMode::Use)),
        error_of(database.check()),
        error_of(store.load(&load)),
    ] {
        assert!(message.starts_with("PostgreSQL database c at /nowhere: "), "{message}");
        assert!(message.contains("error connecting to server: No such file"), "{message}");
        assert!(!message.contains("secret"), "{message}");
    }
}

/// Validations that are being opened while a secret is replaced are waited for. If that takes too
/// long, the others end, and it is an error.
#[test]
fn validations_being_opened_by_an_old_secret_are_waited_for() {
    let (it, store) = served::<ClusterDatabase>();
    let client = register(&store, "https://client.example/cb", "x");
    let before = open(&store, &client, [1; 32]);
    let mut slow = it.connect();
    let mut transaction = slow.transaction().unwrap();
    let copy = "INSERT INTO challenger.validations (id, version, client, expires, redirect_uri, \
            read_only, authorized, addresses_left, refunds_left, progress) \
        SELECT sha256('slow'), 1, id, 4000000000, redirect_uri, false, false, 3, 3, 'open' \
        FROM challenger.clients FOR KEY SHARE";
    assert_eq!(transaction.execute(copy, &[]).unwrap(), 1);
    // Who says that a client is disabled waits for them, too.
    let disabled = |it| Changes { disabled: Some(it), ..Changes::default() };
    let message = error_of(store.change_client(client.id, &disabled(true)));
    assert!(message.contains("lock timeout (SQLSTATE 55P03)"), "{message}");
    assert!(store.clients().unwrap()[0].disabled);
    assert_eq!(store.change_client(client.id, &disabled(false)), Ok(Changed::Done));
    let secret = HashedSecret::new("y", Entropy::new([9; 32]));
    assert_eq!(store.rotate_secret(client.id, secret, None, NOW), Ok(Rotated::Done));
    let message = error_of(store.end_unsolved(client.id, NOW));
    assert!(message.contains("lock timeout (SQLSTATE 55P03)"), "{message}");
    assert_eq!(reload(&store, &before), None);
    let ended = thread::scope(|scope| {
        let ending = scope.spawn(|| store.end_unsolved(client.id, NOW));
        let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted \
            AND relation = 'challenger.clients'::regclass";
        while it.psql(waiting) == "0" && !ending.is_finished() {
            thread::sleep(Duration::from_millis(5));
        }
        transaction.commit().unwrap();
        ending.join().unwrap()
    });
    assert_eq!(ended, Ok(1));
    assert_eq!(it.psql("SELECT count(*) FROM challenger.validations"), "0");
}
