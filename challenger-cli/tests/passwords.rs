//! A password in a mistyped connection text is neither shown nor logged.

#![cfg(all(feature = "postgres", feature = "sqlite"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod site;

use std::fs;
use std::process::Output;

use challenger_testkit::Cluster;
use site::{Site, stderr, stdout};

/// The parts of the password, of which none may be seen.
const PARTS: [&str; 3] = ["trout", "perch", "eel"];

/// The programs that read a configuration.
const PROGRAMS: [(&str, &[&str]); 5] = [
    ("challenger-httpd", &["-L", "DEBUG"]),
    ("challenger-httpd", &["--check"]),
    ("challenger-dbinit", &["-L", "DEBUG"]),
    ("challenger-admin", &["-L", "DEBUG", "--list"]),
    ("challenger-config", &["-L", "DEBUG", "--diagnostics"]),
];

/// Runs all programs, and checks that they are silent about the password. None of them may find a
/// database.
fn nobody_says_it(lines: &str) {
    let site = Site::bare("");
    site.replace_sqlite(lines);
    let config = site.config();
    let directory = config.parent().unwrap();
    // Nothing is created where a connection text is taken for a path.
    for name in ["postgres:", "${postgres:"] {
        fs::write(directory.join(name), "").unwrap();
    }
    for (program, arguments) in PROGRAMS {
        let output = site.command(program).current_dir(directory).args(arguments).output().unwrap();
        let Output { status, .. } = &output;
        let said = format!("{}{}", stdout(&output), stderr(&output));
        assert!(program == "challenger-config" || !status.success(), "{program} {lines}: {said}");
        assert!(!said.is_empty(), "{program} {lines}");
        for part in PARTS {
            assert!(!said.contains(part), "{part} of {program} {arguments:?} {lines}: {said}");
        }
    }
}

#[test]
fn a_mistyped_connection_is_not_quoted() {
    for text in [
        // Texts that the parser refuses.
        "CONFIG = postgres://ada:trout/perch",
        "CONFIG = postgres:/ada:trout@perch/c",
        "CONFIG = postgress://ada:troutperch@localhost/c",
        "CONFIG = postgres://ada:troutperch@localhost/c?sslmod=disable",
        "CONFIG = host=localhost pasword=troutperch",
        "CONFIG = host=localhost password=trout perch",
        "CONFIG = host=localhost password='trout'perch'",
        "CONFIG = troutperch",
        "CONFIG = host=localhost port=trout",
        "CONFIG = host=localhost connect_timeout=trout",
        "CONFIG = postgres://localhost/c?keepalives_idle=trout",
        // Texts in which it finds a host, or a database.
        "CONFIG = postgres://ada:trout@perch@localhost/c",
        "CONFIG = postgresql://ada:trout@perch@localhost/c?sslmode=disable",
        "CONFIG = postgres://ada:trout@perch/eel@localhost/c?sslmode=disable",
        "CONFIG = postgres://ada:a@trout@perch@localhost/c?sslmode=disable",
        "CONFIG = postgres://localhost/c?password=trout@perch",
        "CONFIG = postgres://localhost/c?user=ada&password=trout@perch&sslmode=disable",
        "CONFIG = postgres:///ada:trout@perch/c",
        "CONFIG = host=ada:trout@perch dbname=c",
        "CONFIG = postgres://ada%3Atrout%40perch/c",
        // The equals sign is forgotten, or the option is another one.
        "CONFIG postgres://ada:troutperch@localhost/c?sslmode=disable\nCONFIG = none",
        "CONFIG: postgres://ada:troutperch@localhost/c",
        "KONFIG = postgres://ada:troutperch@localhost/c\nCONFIG = none",
    ] {
        nobody_says_it(&format!("[challengerdb-postgres]\n{text}"));
    }
}

#[test]
fn a_connection_in_another_place_is_not_quoted() {
    for line in [
        "DB = postgres://ada:troutperch@localhost/c",
        "DB = postgres://ada:trout/perch",
        "DB = ada:trout@localhost",
        "DB = sqlite\n[challengerdb-sqlite]\nFILENAME = postgres://ada:trout@localhost/c",
        "DB = sqlite\n[challengerdb-sqlite]\nFILENAME = ${postgres://ada:trout@localhost/c",
        "TEMPLATE_DIR = postgres://ada:trout@localhost/c",
        "AUTH_COMMAND = postgres://ada:trout@localhost/c",
        "MESSAGE_TEMPLATE_FILE = postgres://ada:trout@localhost/c",
        "TERMS_DIR = postgres://ada:trout@localhost/c\nTERMS_ETAG = ada:trout@localhost",
        "SERVE = unix\nUNIXPATH = postgres://ada:trout@localhost/c",
        "@inline@ postgres://ada:trout@localhost/c",
        "@inline-matching@ postgres://ada:trout@localhost/*",
        "@inline-secret@ challengerdb-postgres postgres://ada:trout@localhost/c",
        "@inline-secret@ CONFIG=postgres://ada:trout@localhost/c none.conf",
        "@CONFIG = postgres://ada:trout@localhost/c",
        "@CONFIG postgres://ada:trout@localhost/c",
        "[CONFIG = postgres://ada:trout@localhost/c]\nA = 1",
        "[CONFIG = postgres://ada:trout/perch]\nA = 1",
        "[challenger-helper]\nCONFIG postgres://ada:trout@localhost/c?sslmode = disable",
        "DB = postgres\nCONFIG postgres://ada:troutperch@localhost/c?sslmode=disable",
    ] {
        let broken = "[challengerdb-postgres]\nCONFIG = none";
        nobody_says_it(&format!("[challenger]\n{line}\n{broken}"));
    }
}

/// Servers quote the names that they were given.
#[test]
fn what_a_server_says_of_a_mistyped_connection_is_not_quoted() {
    let cluster = Cluster::shared();
    let name = cluster.create_database();
    let place = cluster.uri(&name);
    let (place, _) = place.split_once("&user=").unwrap();
    for text in [
        format!("{place}&user=ada:troutperch"),
        format!("{place}&user=ada%3Atroutperch"),
        format!("{place}&user=trout%20perch"),
        cluster.uri(&format!("{name}&password=troutperch")),
        cluster.uri(&format!("{name};troutperch")),
    ] {
        nobody_says_it(&format!("[challengerdb-postgres]\nCONFIG = {text}"));
    }
}
