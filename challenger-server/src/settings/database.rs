//! The database: its kind and its place.

use super::{MAIN, OptionReader};
use crate::config::Entry;
use crate::store::Database;
#[cfg(feature = "postgres")]
use crate::store::PostgresDatabase;

/// The section of the embedded store.
pub(super) const SQLITE: &str = "challengerdb-sqlite";
/// The section of the store in PostgreSQL, and its name in the original's manual.
pub(super) const POSTGRES: [&str; 2] = ["challengerdb-postgres", "challenger-postgres"];
/// The default place of that store.
#[cfg(feature = "postgres")]
const POSTGRES_CONFIG: &str = "postgres:///challenger";

/// The store of a configuration that names none.
const USUAL: &str = "postgres";

/// The stores that this program was built with, and how to read their places.
const DATABASES: &[(&str, ReadDatabase)] = &[
    #[cfg(feature = "postgres")]
    ("postgres", read_postgres),
    #[cfg(feature = "sqlite")]
    ("sqlite", read_sqlite),
];

type ReadDatabase = fn(&mut OptionReader<'_>) -> Option<Database>;

/// Reads the database.
pub(super) fn read(reader: &mut OptionReader<'_>) -> Option<Database> {
    // The shipped default may be a store that this program was built without.
    let is_usual = |it: &Entry<'_>| it.is_default() && it.text().eq_ignore_ascii_case(USUAL);
    if reader.config.entry(MAIN, "DB").is_some_and(|it| !is_usual(&it)) {
        return reader.optional("DB", |it| it.choice(DATABASES))?(reader);
    }
    let default = DATABASES.iter().find(|(name, _)| *name == USUAL);
    let Some((_, read)) = default else {
        reader.errors.push(format!(
            "[{MAIN}] DB is not set, which means {USUAL}, and this program was built without it: \
             expected sqlite"
        ));
        return None;
    };
    read(reader)
}

#[cfg(feature = "postgres")]
fn read_postgres(reader: &mut OptionReader<'_>) -> Option<Database> {
    let config = reader.config;
    let is_there = |name: &&str| {
        let is_hidden = config.section(name).is_some_and(|section| section.hidden_in.is_some());
        is_hidden || config.value(name, "CONFIG").is_some()
    };
    // The default under one name is not a reason to overlook the other.
    let is_default = |name: &&str| config.entry(name, "CONFIG").is_some_and(Entry::is_default);
    let chosen = POSTGRES.into_iter().find(|name| is_there(name) && !is_default(name));
    let (text, place) = match chosen.or_else(|| POSTGRES.into_iter().find(is_there)) {
        None => (POSTGRES_CONFIG, "the default".to_owned()),
        Some(section) => {
            // A section that cannot be read is not a reason to use another database.
            let entry = reader.note(config.required(section, "CONFIG"))?;
            (entry.text(), format!("{}: [{section}] CONFIG", entry.origin()))
        }
    };
    let variable = |name: &str| config.environment().variables.get(name).cloned();
    let parsed = PostgresDatabase::parse(text, variable);
    // Its value is not quoted, because it may hold a password.
    let parsed = parsed.map_err(|expected| format!("{place}: expected {expected}"));
    reader.note(parsed).map(Database::Postgres)
}

#[cfg(feature = "sqlite")]
fn read_sqlite(reader: &mut OptionReader<'_>) -> Option<Database> {
    let file = reader.config.required(SQLITE, "FILENAME");
    reader.note(file.and_then(Entry::filename)).map(Database::Sqlite)
}
