//! The databases that are measured: their kinds, their settings, and old rows in them.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use challenger_server::store::SqliteStore;
use challenger_testkit::Cluster;
use rusqlite::Connection;
use tempfile::TempDir;

use super::programs::output;

/// The settings of a PostgreSQL cluster that matter here.
const SETTINGS: [&str; 10] = [
    "server_version",
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "wal_level",
    "shared_buffers",
    "max_connections",
    "autovacuum",
    "commit_delay",
    "commit_siblings",
];

/// The settings of SQLite that matter here; of `synchronous`, 2 is FULL.
const PRAGMAS: [&str; 5] =
    ["journal_mode", "synchronous", "foreign_keys", "secure_delete", "wal_autocheckpoint"];

/// Rows that expired long ago, made by the database itself. `$N` is the number of them, and `$C` a
/// client.
const OLD_POSTGRES: &str = "\
    INSERT INTO challenger.validations (id, version, client, expires, redirect_uri, read_only, \
        authorized, state, addresses_left, refunds_left, progress, address, salt, solved_at, \
        renewed_at, code, token, redeemed_at) \
    SELECT sha256(int8send(n)), 7, $C, 1700000000 + n / 100, 'https://client.example/callback', \
        false, true, 'a1b2c3d4', 2, 3, 'redeemed', \
        '{\"CONTACT_EMAIL\":\"person' || n || '@bench.example\"}', sha256(int8send(-n)), \
        1700000000, 1700000000, sha256(int8send(n + 1)), sha256(int8send(n + 2)), 1700000000 \
    FROM generate_series($FROM::bigint, $TO::bigint) AS n";

const OLD_SQLITE: &str = "\
    INSERT INTO validations (id, version, client, expires, redirect_uri, read_only, \
        authorized, state, addresses_left, refunds_left, progress, address, salt, solved_at, \
        renewed_at, code, token, redeemed_at) \
    WITH RECURSIVE numbers (n) AS (SELECT $FROM UNION ALL SELECT n + 1 FROM numbers WHERE n < $TO) \
    SELECT randomblob(32), 7, $C, 1700000000 + n / 100, 'https://client.example/callback', \
        false, true, 'a1b2c3d4', 2, 3, 'redeemed', \
        '{\"CONTACT_EMAIL\":\"person' || n || '@bench.example\"}', randomblob(32), \
        1700000000, 1700000000, randomblob(32), randomblob(32), 1700000000 \
    FROM numbers";

/// Lets each commit take 3 ms more, as on a slow disk: PostgreSQL waits before it flushes, however
/// few others commit.
const SLOW: [&str; 3] = [
    "ALTER SYSTEM SET commit_delay = 3000",
    "ALTER SYSTEM SET commit_siblings = 0",
    "SELECT pg_reload_conf()",
];

/// How many old rows are made at once.
const PORTION: u64 = 500_000;

/// The kind of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Postgres,
    Sqlite,
}

impl Kind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL",
            Self::Sqlite => "SQLite",
        }
    }
}

/// A database that is removed after the measurement.
pub enum Database {
    Postgres { cluster: Cluster, name: String, process: u32 },
    Sqlite { directory: TempDir },
}

impl Database {
    /// Creates an empty database that keeps acknowledged commits even if the power fails.
    pub fn create(kind: Kind) -> Result<Self, String> {
        match kind {
            Kind::Postgres => {
                let cluster = Cluster::durable();
                let name = cluster.create_database();
                let data = cluster.psql("postgres", "SHOW data_directory");
                let text = fs::read_to_string(PathBuf::from(data).join("postmaster.pid"));
                let process = text.ok().and_then(|it| it.lines().next()?.parse().ok());
                let process = process.ok_or("PostgreSQL tells no process in postmaster.pid")?;
                Ok(Self::Postgres { cluster, name, process })
            }
            Kind::Sqlite => {
                let directory = tempfile::Builder::new().prefix("challenger-sqlite-").tempdir();
                directory.map(|directory| Self::Sqlite { directory }).map_err(|it| it.to_string())
            }
        }
    }

    pub const fn kind(&self) -> Kind {
        match self {
            Self::Postgres { .. } => Kind::Postgres,
            Self::Sqlite { .. } => Kind::Sqlite,
        }
    }

    fn file(directory: &TempDir) -> PathBuf {
        directory.path().join("challenger.sqlite")
    }

    /// The lines of a configuration; the first belongs to `[challenger]`.
    pub fn config(&self) -> String {
        match self {
            Self::Postgres { cluster, name, .. } => {
                format!("DB = postgres\n[challengerdb-postgres]\nCONFIG = {}\n", cluster.uri(name))
            }
            Self::Sqlite { directory } => {
                let file = Self::file(directory);
                format!("DB = sqlite\n[challengerdb-sqlite]\nFILENAME = {}\n", file.display())
            }
        }
    }

    /// The first process of the database; SQLite is part of the server.
    pub const fn process(&self) -> Option<u32> {
        match self {
            Self::Postgres { process, .. } => Some(*process),
            Self::Sqlite { .. } => None,
        }
    }

    /// Where a program of PostgreSQL finds it.
    pub fn uri(&self) -> Option<String> {
        match self {
            Self::Postgres { cluster, name, .. } => Some(cluster.uri(name)),
            Self::Sqlite { .. } => None,
        }
    }

    /// What PostgreSQL answers to a question.
    pub fn ask(&self, sql: &str) -> Result<String, String> {
        match self {
            Self::Postgres { cluster, name, .. } => Ok(cluster.psql(name, sql)),
            Self::Sqlite { .. } => Err("PostgreSQL only can be asked".to_owned()),
        }
    }

    /// Its settings, as it reports them.
    pub fn settings(&self) -> Result<Vec<(&'static str, String)>, String> {
        match self {
            Self::Postgres { cluster, name, .. } => {
                let show = |it: &&'static str| (*it, cluster.psql(name, &format!("SHOW {it}")));
                Ok(SETTINGS.iter().map(show).collect())
            }
            Self::Sqlite { directory } => {
                let version = ("version", rusqlite::version().to_owned());
                let mut settings = vec![version];
                for pragma in PRAGMAS {
                    let value = SqliteStore::pragma(&Self::file(directory), pragma);
                    settings.push((pragma, value.map_err(|error| error.to_string())?));
                }
                Ok(settings)
            }
        }
    }

    /// Lets each commit take 3 ms more from now on.
    pub fn slow_down(&self) -> Result<(), String> {
        match self {
            Self::Postgres { cluster, .. } => {
                for sql in SLOW {
                    cluster.psql("postgres", sql);
                }
                Ok(())
            }
            Self::Sqlite { .. } => Err("commits can be slowed down in PostgreSQL only".to_owned()),
        }
    }

    /// How many validations there are.
    pub fn validations(&self) -> Result<u64, String> {
        let count = match self {
            Self::Postgres { cluster, name, .. } => {
                cluster.psql(name, "SELECT count(*) FROM challenger.validations")
            }
            Self::Sqlite { directory } => Connection::open(Self::file(directory))
                .and_then(|it| it.query_row("SELECT count(*) FROM validations", (), |r| r.get(0)))
                .map(|count: i64| count.to_string())
                .map_err(|error| error.to_string())?,
        };
        count.parse().map_err(|_| format!("{count} is no number of rows"))
    }

    /// Adds so many expired validations of the first client.
    pub fn age(&self, rows: u64) -> Result<(), String> {
        let mut from = 1;
        while from <= rows {
            let to = rows.min(from + PORTION - 1);
            let fill = |sql: &str| {
                let sql = sql.replace("$FROM", &from.to_string()).replace("$TO", &to.to_string());
                sql.replace("$C", "1")
            };
            match self {
                Self::Postgres { cluster, name, .. } => {
                    cluster.psql(name, &fill(OLD_POSTGRES));
                }
                Self::Sqlite { directory } => {
                    let file = Connection::open(Self::file(directory));
                    let filled = file.and_then(|it| it.execute(&fill(OLD_SQLITE), ()));
                    filled.map_err(|error| error.to_string())?;
                }
            }
            from = to + 1;
        }
        if let Self::Postgres { cluster, name, .. } = self {
            cluster.psql(name, "VACUUM ANALYZE");
            cluster.psql(name, "CHECKPOINT");
        }
        Ok(())
    }

    /// The name and version of the program that measures the limit.
    pub fn pgbench_version() -> Result<String, String> {
        output(Command::new("pgbench").arg("--version")).map(|text| text.trim().to_owned())
    }
}
