//! The store in PostgreSQL does what every store does, and what only a database server can.

#![cfg(feature = "postgres")]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use challenger_proto::{
    Client, ClientId, Commit, Entropy, HashedSecret, Load, Loaded, RedirectUri, Span, Timestamp,
    TokenDigest, Validation, Write,
};
use challenger_server::store::{
    Added, Collected, Database, OpenMode, PostgresDatabase, PostgresStore, Registry, Store,
    StoreError,
};
use challenger_testkit::Cluster;
use conformance::{NOW, fresh, has_grant, open, redemption, register, reload};
use postgres::NoTls;

#[allow(dead_code, unused_imports, reason = "other tests use the rest")]
mod conformance;

/// A store in a database of its own.
struct Fixture {
    store: PostgresStore,
    name: String,
    cluster: Arc<Cluster>,
}

impl Fixture {
    fn new() -> Self {
        Self::with("")
    }

    /// With more parameters in the URI.
    fn with(parameters: &str) -> Self {
        let (cluster, name) = empty();
        let uri = cluster.uri(&name);
        opened(&uri, OpenMode::Maintain).unwrap().migrate().unwrap();
        let store = opened(&format!("{uri}{parameters}"), OpenMode::Serve).unwrap();
        Self { store, name, cluster }
    }

    /// Does something behind the store's back.
    fn sql(&self, sql: &str) -> String {
        self.cluster.psql(&self.name, sql)
    }
}

fn empty() -> (Arc<Cluster>, String) {
    let cluster = Cluster::shared();
    let name = cluster.create_database();
    (cluster, name)
}

fn opened(uri: &str, mode: OpenMode) -> Result<PostgresStore, StoreError> {
    PostgresStore::open(PostgresDatabase::parse(uri, |_| None).unwrap(), mode)
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
fn contention_is_told_as_conflict_whatever_the_isolation() {
    for isolation in ["read%5C%20committed", "repeatable%5C%20read"] {
        let it =
            Fixture::with(&format!("&options=-c%20default_transaction_isolation%3D{isolation}"));
        conformance::eight_threads_change_one_row(&it.store, &it.store);
        conformance::one_code_buys_one_grant(&it.store, &it.store);
    }
}

#[test]
fn many_register_the_same_client_once() {
    let it = Fixture::new();
    let added: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let uri = RedirectUri::parse("https://a.example/").unwrap();
                    let secret = HashedSecret::new("x", Entropy::new([3; 32]));
                    it.store.add_client(&uri, secret).unwrap()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(added.iter().filter(|added| matches!(added, Added::New(_))).count(), 1);
    assert_eq!(it.sql("SELECT count(*) FROM challenger.clients"), "1");
}

#[test]
fn servers_share_what_is_there() {
    let it = Fixture::new();
    let other = opened(&it.cluster.uri(&it.name), OpenMode::Serve).unwrap();
    let client = register(&it.store, "https://client.example/cb", "x");
    let validation = open(&it.store, &client, [1; 32]);
    assert_eq!(reload(&other, &validation), Some(validation.clone()));
    assert_eq!(it.store.commit(&Write::Update(validation.clone())), Ok(Commit::Done));
    let second = reload(&other, &validation).unwrap();
    assert_eq!(second.version, validation.version.next());
    assert_eq!(other.commit(&redemption(second.clone(), [7; 32])), Ok(Commit::Done));
    assert_eq!(it.store.commit(&Write::Update(second)), Ok(Commit::Conflict));
    assert!(has_grant(&it.store, [7; 32]));
}

#[test]
fn no_table_is_read_from_end_to_end_for_a_row() {
    let it = Fixture::new();
    let client = register(&it.store, "https://client.example/cb", "x");
    let Fixture { store, name, cluster } = it;
    // Sessions tell what they did when they end.
    let sessions = "SELECT count(*) FROM pg_stat_activity \
                    WHERE application_name = 'challenger' AND datname = current_database()";
    let wait_for_their_end = || {
        let mut looks = 0..1000;
        while cluster.psql(&name, sessions) != "0" {
            assert!(looks.next().is_some(), "sessions do not end");
            thread::sleep(Duration::from_millis(10));
        }
    };
    wait_for_their_end();
    // PostgreSQL keeps its plans, and would read all of a table that it knows to be empty.
    cluster.psql(&name, "VACUUM ANALYZE");
    let scans = || {
        let tables = "pg_stat_user_tables WHERE relname <> 'migrations'";
        cluster.psql(&name, &format!("SELECT sum(seq_scan) FROM {tables}"))
    };
    let before = scans();
    let load = Load { client: Some(client.id), ..Load::default() };
    for number in 1..10 {
        assert_eq!(store.load(&load).unwrap().client.unwrap(), client);
        let validation = open(&store, &client, [number; 32]);
        let reloaded = reload(&store, &validation).unwrap();
        assert_eq!(store.commit(&Write::Update(reloaded.clone())), Ok(Commit::Done));
        let second = reload(&store, &validation).unwrap();
        assert_eq!(store.commit(&redemption(second, [number; 32])), Ok(Commit::Done));
        assert!(has_grant(&store, [number; 32]));
    }
    drop(store);
    wait_for_their_end();
    assert_eq!(scans(), before);
}

#[test]
fn schemas_are_checked_before_serving() {
    let (cluster, name) = empty();
    let uri = cluster.uri(&name);
    let serve = || opened(&uri, OpenMode::Serve);
    let tool = opened(&uri, OpenMode::Maintain).unwrap();
    let place = complaint(serve());
    let place = place.strip_suffix(": has no schema yet; run challenger-dbinit").unwrap();
    assert!(place.starts_with(&format!("PostgreSQL database {name} at /")), "{place}");
    assert_eq!(tool.migrate(), Ok(()));
    assert!(serve().is_ok());

    cluster.psql(&name, "INSERT INTO challenger.migrations (version) VALUES (99)");
    let message = format!(
        "{place}: has schema version 99, but this program knows 2 at most; upgrade the program"
    );
    assert_eq!(complaint(serve()), message);
    assert_eq!(complaint(tool.migrate()), message);
    assert_eq!(tool.reset(), Ok(()));
    assert!(serve().is_ok());
}

#[test]
fn schemas_of_others_are_left_alone() {
    let (cluster, name) = empty();
    cluster.psql(&name, "CREATE SCHEMA challenger; CREATE TABLE challenger.tokens (id int)");
    for mode in [OpenMode::Maintain, OpenMode::Serve, OpenMode::Use] {
        let message = complaint(opened(&cluster.uri(&name), mode));
        assert!(message.ends_with("has a schema \"challenger\" of another program"), "{message}");
    }
}

#[test]
fn many_may_migrate_at_once() {
    let (cluster, name) = empty();
    let uri = cluster.uri(&name);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let tool = opened(&uri, OpenMode::Maintain).unwrap();
                assert_eq!(tool.migrate(), Ok(()));
                assert_eq!(tool.collect_garbage(NOW), Ok(Collected::default()));
            });
        }
    });
    let versions = "SELECT string_agg(version::text, ' ' ORDER BY version) \
        FROM challenger.migrations";
    assert_eq!(cluster.psql(&name, versions), "1 2");
    assert!(opened(&uri, OpenMode::Serve).is_ok());
}

#[test]
fn migrating_keeps_and_resetting_drops() {
    let it = Fixture::new();
    let client = register(&it.store, "https://client.example/cb", "x");
    let validation = open(&it.store, &client, [1; 32]);
    assert_eq!(it.store.commit(&redemption(validation.clone(), [2; 32])), Ok(Commit::Done));
    assert_eq!(it.store.migrate(), Ok(()));
    assert!(reload(&it.store, &validation).is_some());

    it.sql("CREATE TABLE challenger.\"a \"\" table\" (x int)");
    it.sql("CREATE VIEW challenger.living AS SELECT id FROM challenger.grants");
    assert_eq!(it.store.reset(), Ok(()));
    assert!(reload(&it.store, &validation).is_none());
    assert!(!has_grant(&it.store, [2; 32]));
    let left = "SELECT count(*) FROM pg_class WHERE relname IN ('a \" table', 'living')";
    assert_eq!(it.sql(left), "0");
    // A store that was open all the while goes on.
    let again = register(&it.store, "https://client.example/cb", "x");
    assert_eq!(again.id, client.id);
    open(&it.store, &again, [1; 32]);
}

#[test]
fn a_database_of_version_1_is_migrated_and_keeps_its_rows() {
    let (cluster, name) = empty();
    let uri = cluster.uri(&name);
    let first = include_str!("../src/store/sql/postgres/0001.sql");
    cluster.psql(&name, &format!("CREATE SCHEMA challenger;\n{first}"));
    cluster.psql(&name, "INSERT INTO challenger.migrations (version) VALUES (1)");
    cluster.psql(&name, &conformance::rows_of_version_1("challenger.", "'\\x"));
    let message = complaint(opened(&uri, OpenMode::Serve));
    assert!(message.contains("has schema version 1, but this program needs"), "{message}");
    assert_eq!(opened(&uri, OpenMode::Maintain).unwrap().migrate(), Ok(()));
    conformance::rows_of_version_1_go_on(&opened(&uri, OpenMode::Serve).unwrap());
}

#[test]
fn serving_needs_no_more_than_rows() {
    let (cluster, name) = empty();
    let role = format!("server_{name}");
    let sql = |sql: &str| cluster.psql(&name, &sql.replace("SERVER", &role));
    sql("CREATE ROLE SERVER LOGIN");
    let owner = opened(&cluster.uri(&name), OpenMode::Maintain).unwrap();
    owner.migrate().unwrap();
    let serve = || opened(&cluster.uri_of(&role, &name), OpenMode::Serve);
    let message = complaint(serve());
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
    let message = complaint(store.reset());
    assert!(message.contains("must be owner of table"), "{message}");
    let denied = cluster.psql_as(&role, &name, "CREATE TABLE challenger.mine (id int)");
    assert!(denied.unwrap_err().contains("permission denied for schema challenger"));

    // What the owner makes later, the server may use as well.
    owner.reset().unwrap();
    conformance::flow::secrets_of_a_flow(&store, &store);
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
    let totals =
        "SELECT validations_collected, grants_collected FROM challenger.clients ORDER BY id";
    assert_eq!(it.sql(totals), "3|1\n1|1");
}

#[test]
fn garbage_is_collected_in_pieces_beside_those_who_work() {
    let it = Fixture::new();
    let client = register(&it.store, "https://client.example/cb", "x");
    let busy = open(&it.store, &client, [1; 32]);
    it.sql(
        "INSERT INTO challenger.grants (token, client, address, valid_until, expires) \
        SELECT sha256(i::text::bytea), 1, '{}', 0, 0 FROM generate_series(1, 2500) i",
    );
    let mut other = postgres::Client::connect(&it.cluster.uri(&it.name), NoTls).unwrap();
    let mut transaction = other.transaction().unwrap();
    let locked = "SELECT FROM challenger.validations FOR UPDATE";
    transaction.execute(locked, &[]).unwrap();
    let late = Timestamp::NEVER;
    assert_eq!(it.store.collect_garbage(late), Ok(Collected { validations: 0, grants: 2500 }));
    transaction.rollback().unwrap();
    assert_eq!(it.store.collect_garbage(late), Ok(Collected { validations: 1, grants: 0 }));
    assert!(reload(&it.store, &busy).is_none());
    let totals = "SELECT validations_collected, grants_collected FROM challenger.clients";
    assert_eq!(it.sql(totals), "1|2500");
}

#[test]
fn clients_are_counted_changed_and_deleted() {
    let it = Fixture::new();
    conformance::clients_are_counted_changed_and_deleted(&it.store, &it.store);
}

#[test]
fn rows_that_hold_what_they_must_not_are_refused() {
    let it = Fixture::new();
    let client = register(&it.store, "https://client.example/cb", "x");
    for (nonce, nonsense, column) in [
        (1, "redirect_uri = 'secret nonsense'", "redirect_uri"),
        (2, "progress = 'nonsense'", "progress"),
        (3, "progress = 'challenged'", "address"),
        (4, "addresses_left = 256", "addresses_left"),
        (5, "expires = -1", "expires"),
        (6, "progress = 'challenged', address = '{}', salt = '\\x00'", "salt"),
        (7, "authorized = true, code_challenge = 'nonsense'", "code_challenge_method"),
    ] {
        let validation = open(&it.store, &client, [nonce; 32]);
        let load = Load { validation: Some(validation.id), ..Load::default() };
        assert!(it.store.load(&load).is_ok());
        // It is the one that has not changed yet.
        it.sql(&format!(
            "UPDATE challenger.validations SET version = 9, {nonsense} WHERE version = 1"
        ));
        let message = complaint(it.store.load(&load));
        assert!(message.contains(&format!("validations.{column} ")), "{nonsense}: {message}");
        assert!(!message.contains("nonsense"), "{message}");
    }
}

#[test]
fn a_lock_that_lasts_is_an_error_and_no_harm() {
    let it = Fixture::with("&options=-c%20lock_timeout%3D100");
    let client = register(&it.store, "https://client.example/cb", "x");
    let validation = open(&it.store, &client, [1; 32]);
    let mut other = postgres::Client::connect(&it.cluster.uri(&it.name), NoTls).unwrap();
    let mut transaction = other.transaction().unwrap();
    transaction.execute("SELECT FROM challenger.validations FOR UPDATE", &[]).unwrap();
    let message = complaint(it.store.commit(&Write::Update(validation.clone())));
    assert!(message.starts_with(&format!("PostgreSQL database {} at ", it.name)), "{message}");
    assert!(message.contains("lock timeout (SQLSTATE 55P03)"), "{message}");
    assert_eq!(reload(&it.store, &validation), Some(validation.clone()));
    transaction.rollback().unwrap();
    assert_eq!(it.store.commit(&Write::Update(validation)), Ok(Commit::Done));
}

#[test]
fn a_statement_that_lasts_is_an_error_and_no_harm() {
    let it = Fixture::with("&options=-c%20statement_timeout%3D100");
    let client = register(&it.store, "https://client.example/cb", "x");
    let validation = open(&it.store, &client, [1; 32]);
    it.sql(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS \
            'BEGIN PERFORM pg_sleep(3600); RETURN new; END'; \
        CREATE TRIGGER slow BEFORE UPDATE ON challenger.validations \
            FOR EACH ROW EXECUTE FUNCTION slow()",
    );
    let message = complaint(it.store.commit(&Write::Update(validation.clone())));
    assert!(message.contains("statement timeout (SQLSTATE 57014)"), "{message}");
    assert_eq!(reload(&it.store, &validation), Some(validation.clone()));
    it.sql("DROP TRIGGER slow ON challenger.validations");
    assert_eq!(it.store.commit(&Write::Update(validation)), Ok(Commit::Done));
}

#[test]
fn a_forgotten_statement_is_prepared_anew() {
    let it = Fixture::new();
    let client = register(&it.store, "https://client.example/cb", "x");
    let validation = open(&it.store, &client, [1; 32]);
    let load = Load { validation: Some(validation.id), ..Load::default() };
    assert!(it.store.load(&load).is_ok());
    // The result is no longer what was prepared, which is an error once.
    it.sql("ALTER TABLE challenger.validations ALTER COLUMN prefill TYPE varchar(9999)");
    let message = complaint(it.store.load(&load));
    assert!(message.contains("(SQLSTATE 0A000)"), "{message}");
    assert_eq!(reload(&it.store, &validation), Some(validation));
}

#[test]
fn updates_touch_no_index() {
    let it = Fixture::new();
    let client = register(&it.store, "https://client.example/cb", "x");
    let mut validation = open(&it.store, &client, [1; 32]);
    for number in 0..50 {
        let write = match number {
            49 => redemption(validation.clone(), [2; 32]),
            _ => Write::Update(validation.clone()),
        };
        assert_eq!(it.store.commit(&write), Ok(Commit::Done));
        validation = reload(&it.store, &validation).unwrap();
    }
    drop(it.store);
    // The last connection reports when it ends.
    let counts = "SELECT n_tup_upd, n_tup_upd - n_tup_hot_upd FROM pg_stat_all_tables \
        WHERE schemaname = 'challenger' AND relname = 'validations'";
    let seen = (0..500).find_map(|_| {
        thread::sleep(Duration::from_millis(20));
        let counts = it.cluster.psql(&it.name, counts);
        counts.strip_prefix("50|").map(|cold| cold.parse::<u32>().unwrap())
    });
    assert_eq!(seen, Some(0));
}

#[test]
fn no_secret_is_in_a_dump() {
    let it = Fixture::new();
    let secrets = conformance::flow::secrets_of_a_flow(&it.store, &it.store);
    assert_eq!(secrets.len(), 9);
    let dump = it.cluster.dump(&it.name);
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert!(dump.contains(conformance::flow::ADDRESS), "the search works");
    let salt = it.sql("SELECT encode(salt, 'hex') FROM challenger.validations");
    assert!(dump.contains(&salt), "and finds bytes");
    for (number, secret) in secrets.iter().enumerate() {
        assert!(!dump.contains(&hex(secret)), "secret number {number}");
        let text = std::str::from_utf8(secret);
        assert!(!text.is_ok_and(|text| dump.contains(text)), "secret number {number}");
    }
}

#[test]
fn an_empty_load_needs_no_connection() {
    let it = Fixture::new();
    it.cluster.psql("postgres", &format!("DROP DATABASE {} WITH (FORCE)", it.name));
    assert_eq!(it.store.load(&Load::default()), Ok(Loaded::default()));
    let load = Load { grant: Some(TokenDigest::from_bytes([0; 32])), ..Load::default() };
    let message = complaint(it.store.load(&load));
    assert!(message.contains("does not exist (SQLSTATE 3D000)"), "{message}");
}

#[test]
fn what_is_out_of_reach_is_named_without_the_password() {
    let uri = "postgres://ada:secret@/c?host=/nowhere";
    let database = Database::Postgres(PostgresDatabase::parse(uri, |_| None).unwrap());
    let load = Load { client: ClientId::new(1), ..Load::default() };
    // Whoever serves may begin, and wait for it to come.
    let store = opened(uri, OpenMode::Serve).unwrap();
    for message in [
        complaint(opened(uri, OpenMode::Maintain)),
        complaint(opened(uri, OpenMode::Use)),
        complaint(database.check()),
        complaint(store.load(&load)),
    ] {
        assert!(message.starts_with("PostgreSQL database c at /nowhere: "), "{message}");
        assert!(message.contains("error connecting to server: No such file"), "{message}");
        assert!(!message.contains("secret"), "{message}");
    }
}
