//! Connections to PostgreSQL are encrypted, and its certificate is checked as far as configured.

#![cfg(feature = "tls")]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;

use challenger_proto::secret::TokenDigest;
use challenger_proto::store::Keys;
use challenger_server::store::{OpenMode, PostgresDatabase, PostgresStore, Registry, Store};
use challenger_testkit::Cluster;

const PASSWORD: &str = "swordfish";

fn opened(cluster: &Cluster, host: &str, parameters: &str) -> Result<PostgresStore, String> {
    let port = cluster.tls_port();
    let place = format!("postgres://ada:{PASSWORD}@{host}:{port}/postgres?hostaddr=127.0.0.1");
    let database = PostgresDatabase::parse(&format!("{place}&{parameters}"), |_| None)?;
    PostgresStore::open(database, OpenMode::Maintain).map_err(|error| error.to_string())
}

#[test]
fn connections_are_encrypted_and_certificates_checked() {
    let cluster = Cluster::with_tls();
    cluster.psql("postgres", &format!("CREATE ROLE ada LOGIN SUPERUSER PASSWORD '{PASSWORD}'"));
    let [ca, other] = ["ca", "other"].map(|it| cluster.certificate(it).display().to_string());
    let both = cluster.certificate("both");
    let text = [&other, &ca].map(|it| fs::read_to_string(it).unwrap()).concat();
    fs::write(&both, text).unwrap();
    let both = both.display().to_string();

    for (host, parameters) in [
        ("localhost", format!("sslmode=verify-full&sslrootcert={ca}")),
        ("localhost", format!("sslmode=verify-full&sslrootcert={both}")),
        ("db.example", format!("sslmode=verify-ca&sslrootcert={ca}")),
        ("db.example", format!("sslmode=require&sslrootcert={ca}")),
        ("db.example", "sslmode=require".to_owned()),
        ("db.example", "sslmode=prefer".to_owned()),
    ] {
        let store = opened(&cluster, host, &format!("{parameters}&application_name=probe"));
        let store = store.unwrap_or_else(|error| panic!("{host} {parameters}: {error}"));
        store.reset().unwrap();
        // The pool keeps its connection.
        store
            .load(&Keys { grant: Some(TokenDigest::from_bytes([1; 32])), ..Keys::default() })
            .unwrap();
        let encrypted = "SELECT count(*) > 0 AND bool_and(s.ssl) FROM pg_stat_ssl s \
            JOIN pg_stat_activity a USING (pid) WHERE a.application_name = 'probe'";
        assert_eq!(cluster.psql("postgres", encrypted), "t", "{host} {parameters}");
    }

    for (host, parameters, expected) in [
        ("db.example", format!("sslmode=verify-full&sslrootcert={ca}"), "hostname mismatch"),
        ("localhost", format!("sslmode=verify-full&sslrootcert={other}"), "verify failed"),
        ("localhost", "sslmode=verify-full".to_owned(), "verify failed"),
        ("localhost", format!("sslmode=verify-ca&sslrootcert={other}"), "verify failed"),
        ("localhost", format!("sslmode=require&sslrootcert={other}"), "verify failed"),
        ("localhost", "sslmode=verify-full&sslrootcert=/none".to_owned(), "sslrootcert /none: "),
        (
            "localhost",
            format!("sslmode=verify-full&sslrootcert={ca}.none"),
            "ca.pem.none: No such file",
        ),
        ("localhost", "sslmode=disable".to_owned(), "no encryption"),
    ] {
        let said = opened(&cluster, host, &parameters).err().unwrap();
        assert!(said.contains(expected), "{host} {parameters}: {said}");
        assert!(!said.contains(PASSWORD), "{host} {parameters}: {said}");
    }
}

#[test]
fn an_empty_file_is_no_certificate() {
    let empty = tempfile::NamedTempFile::new().unwrap();
    let text = format!("host=h sslmode=verify-full sslrootcert={}", empty.path().display());
    let database = PostgresDatabase::parse(&text, |_| None).unwrap();
    let said = PostgresStore::open(database, OpenMode::Serve).err().unwrap().to_string();
    assert!(said.contains("no certificate"), "{said}");
}
