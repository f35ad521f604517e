//! The database that a configuration names.

#![cfg(all(feature = "postgres", feature = "sqlite"))]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use challenger_server::config::{Config, Disk, Environment, Files};
use challenger_server::settings::database;

fn environment(variables: &[(&str, &str)]) -> Environment {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let variables = variables.iter().map(own).collect();
    Environment { variables, directory: PathBuf::from("/"), prefix: None }
}

/// The database, or the error.
fn meant(config: &Config) -> String {
    database(config).map_or_else(|error| error.to_string(), |database| format!("{database:?}"))
}

fn meant_by(text: &str, variables: &[(&str, &str)]) -> String {
    meant(&Config::from_text(text, &environment(variables)).unwrap())
}

#[test]
fn databases_are_read_from_their_sections() {
    let ours = "[challengerdb-postgres]\nCONFIG = postgres:///ours?host=/a\n";
    let manuals = "[challenger-postgres]\nCONFIG = postgres:///manual?host=/b\n";
    let sqlite = "[challengerdb-sqlite]\nFILENAME = /c\n";
    let postgres = |place: &str| format!("Postgres(PostgresDatabase(PostgreSQL database {place}))");
    for (text, expected) in [
        (String::new(), postgres("challenger at /var/run/postgresql")),
        ("[challenger]\nDB = Postgres\n".into(), postgres("challenger at /var/run/postgresql")),
        (ours.into(), postgres("ours at /a")),
        (manuals.into(), postgres("manual at /b")),
        (format!("{manuals}{ours}{sqlite}"), postgres("ours at /a")),
        (format!("[challenger]\nDB = sqlite\n{ours}{sqlite}"), "Sqlite(\"/c\")".into()),
        (
            "[challenger]\nDB = mysql".into(),
            "line 2: [challenger] DB = \"mysql\": expected postgres or sqlite".into(),
        ),
    ] {
        assert_eq!(meant_by(&text, &[]), expected, "{text}");
    }
    assert_eq!(meant_by("", &[("PGHOST", "/e")]), postgres("challenger at /e"));
    let said = meant_by("", &[("PGHOST", "db.example")]);
    let mode = if cfg!(feature = "tls") { "verify-full or sslmode=require" } else { "disable" };
    let expected = format!("the default: expected sslmode={mode} for the host");
    assert!(said.starts_with(&expected), "{said}");
    let said = meant_by("[challengerdb-postgres]\nCONFIG = password=a b=c", &[]);
    assert!(said.starts_with("line 2: [challengerdb-postgres] CONFIG: expected a URI"), "{said}");
    assert!(!said.contains("a b=c"), "{said}");
}

/// Files in memory; others cannot be read.
struct FilesInMemory(BTreeMap<PathBuf, &'static str>);

impl Files for FilesInMemory {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let text = self.0.get(path).ok_or(io::ErrorKind::PermissionDenied)?;
        Ok(text.as_bytes().to_vec())
    }

    fn list(&self, _: &Path) -> io::Result<Vec<PathBuf>> {
        Ok(Vec::new())
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(path.to_owned())
    }
}

#[test]
fn a_default_does_not_hide_the_section_of_the_other_name() {
    let base = tempfile::tempdir().unwrap();
    fs::write(
        base.path().join("defaults.conf"),
        "[challenger]\nDB = postgres\n[challengerdb-postgres]\nCONFIG = postgres:///base?host=/a\n",
    )
    .unwrap();
    let main = base.path().join("main");
    let environment = environment(&[("CHALLENGER_BASE_CONFIG", base.path().to_str().unwrap())]);
    let manuals = "[challenger-postgres]\nCONFIG = postgres:///manual?host=/b\n";
    let ours = "[challengerdb-postgres]\nCONFIG = postgres:///ours?host=/c\n";
    for (text, expected) in [
        ("", "base at /a"),
        (manuals, "manual at /b"),
        (ours, "ours at /c"),
        (&format!("{manuals}{ours}"), "ours at /c"),
    ] {
        fs::write(&main, text).unwrap();
        let config = Config::load(&Disk, &environment, Some(&main)).unwrap();
        let expected = format!("Postgres(PostgresDatabase(PostgreSQL database {expected}))");
        assert_eq!(meant(&config), expected, "{text}");
    }
}

#[test]
fn a_section_that_cannot_be_read_is_not_replaced_by_the_default() {
    let main = PathBuf::from("/challenger.conf");
    let text = "@inline-secret@ challengerdb-postgres /secret.conf\n";
    let files = FilesInMemory([(main.clone(), text)].into());
    let environment = environment(&[("CHALLENGER_BASE_CONFIG", "/none")]);
    let config = Config::load(&files, &environment, Some(&main)).unwrap();
    let said = meant(&config);
    assert!(
        said.starts_with("[challengerdb-postgres] CONFIG is missing: its section is in"),
        "{said}"
    );
}
