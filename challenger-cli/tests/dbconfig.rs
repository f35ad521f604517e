//! `challenger-dbconfig` with stand-ins for PostgreSQL and for root, which write down their calls.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod site;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use site::{binary, stderr, stdout, write_script};
use tempfile::TempDir;

/// The code of every stand-in: it writes down its name and arguments, on one line.
const RECORD: &str = "#!/bin/sh\nhere=$(dirname \"$0\")\n\
    printf '%s' \"${0##*/}\" >> \"$here/record\"\n\
    printf ' %s' \"$@\" | tr -s '\\n ' ' ' >> \"$here/record\"\n\
    echo >> \"$here/record\"\n";

/// The stand-ins, each with its additional code. Files in their directory describe the machine.
const STAND_INS: [(&str, &str); 8] = [
    ("challenger-dbinit", "[ ! -e \"$here/dbinit-fails\" ]\n"),
    ("createdb", ""),
    ("createuser", ""),
    ("dropdb", ": > \"$here/dropped\"\n"),
    ("getent", "[ -e \"$here/$1\" ] && cat \"$here/$1\"\n"),
    ("id", "case $1 in -u) cat \"$here/uid\" ;; *) grep -qx \"$1\" \"$here/users\" ;; esac\n"),
    (
        "psql",
        "for query; do :; done\n\
         case $query in\n\
             *\"datname = 'challenger'\") [ -e \"$here/dropped\" ] || cat \"$here/databases\" ;;\n\
             *\"rolname = 'challenger-httpd'\") cat \"$here/roles\" ;;\n\
         esac\n",
    ),
    ("runuser", "shift 3\n\"$@\"\n"),
];

/// A directory with stand-ins, which is all of `PATH` but the system's.
struct Machine {
    directory: TempDir,
}

impl Machine {
    /// A machine with a fresh PostgreSQL.
    fn new(config: &str) -> Self {
        let machine = Self { directory: tempfile::tempdir().unwrap() };
        for (name, more) in STAND_INS {
            write_script(&machine.path(name), &format!("{RECORD}{more}"));
        }
        symlink(binary("challenger-config"), machine.path("challenger-config")).unwrap();
        machine.write("challenger.conf", config);
        machine.write("uid", "0\n");
        machine.write("users", "postgres\nchallenger-httpd\nother\n");
        machine.write("group", "db:x:77:member,challenger-httpd\n");
        machine.write("passwd", "main:x:5:77::/:\nchallenger-httpd:x:6:77::/:\nno:x:7:7::/:\n");
        machine.write("roles", "");
        machine.write("databases", "");
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Runs the script: exit code, output, and its calls of other programs except queries.
    fn run(&self, arguments: &[&str]) -> (Option<i32>, String, Vec<String>) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("helpers/challenger-dbconfig");
        let path = format!("{}:/usr/bin:/bin", self.directory.path().display());
        let output = Command::new("/bin/sh")
            .arg(script)
            .args(arguments)
            .current_dir(self.directory.path())
            .env_clear()
            .env("PATH", path)
            .env("CHALLENGER_BASE_CONFIG", self.path("none"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let record = fs::read_to_string(self.path("record")).unwrap_or_default();
        let root = format!("{}/", self.directory.path().display());
        let asked = record.lines().filter(|line| line.starts_with("runuser"));
        let asked = asked.filter(|line| !line.contains("SELECT 1 FROM"));
        let asked = asked.map(|line| line.replace("runuser -u ", "").replace(&root, "")).collect();
        (output.status.code(), format!("{}{}", stdout(&output), stderr(&output)), asked)
    }
}

const FILE: [&str; 2] = ["-c", "challenger.conf"];

fn with_file<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    FILE.iter().chain(arguments).copied().collect()
}

#[test]
fn the_script_is_sound() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("helpers/challenger-dbconfig");
    assert!(Command::new("sh").arg("-n").arg(&script).status().unwrap().success());
    // A developer may do without shellcheck.
    if let Ok(output) = Command::new("shellcheck").arg(&script).output() {
        assert!(output.status.success(), "{}", stdout(&output));
    }
}

const USER: &str = "postgres -- createuser challenger-httpd";
const DATABASE: &str = "postgres -- createdb -E UTF8 -T template0 -O challenger-httpd challenger";
const DROP: &str = "postgres -- dropdb challenger";
const DBINIT: &str = "challenger-httpd -- challenger-dbinit -c challenger.conf";

#[test]
fn what_is_missing_is_made() {
    let cases: [(&[&str], &str, &str, &[&str]); 8] = [
        (&[], "", "", &[USER, DATABASE, DBINIT]),
        (&["-s"], "", "", &[USER, DATABASE]),
        (&[], "1", "", &[DATABASE, DBINIT]),
        (&[], "1", "1", &[DBINIT]),
        (&["-s"], "1", "1", &[]),
        (&["-r"], "1", "1", &[DROP, DATABASE, DBINIT]),
        (&["-r"], "1", "", &[DATABASE, DBINIT]),
        (
            &["-u", "other"],
            "",
            "",
            &[
                "postgres -- createuser other",
                "postgres -- createdb -E UTF8 -T template0 -O other challenger",
                "other -- challenger-dbinit -c challenger.conf",
            ],
        ),
    ];
    for (arguments, roles, databases, expected) in cases {
        let machine = Machine::new("[challenger]\nDB = postgres\n");
        machine.write("roles", roles);
        machine.write("databases", databases);
        let (code, said, asked) = machine.run(&with_file(arguments));
        assert_eq!((code, asked.as_slice()), (Some(0), to_strings(expected).as_slice()), "{said}");
        let drops = expected.contains(&DROP);
        assert_eq!(said.contains("Dropping the database challenger"), drops, "{said}");
    }
}

fn to_strings(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

#[test]
fn a_group_gets_its_permissions() {
    let cases: [(&[&str], bool); 4] = [
        (&["-g", "db"], true),
        (&["-s", "-g", "db"], false),
        (&["-s", "-p", "-g", "db"], true),
        (&["-s", "-p"], false),
    ];
    for (arguments, gives) in cases {
        let machine = Machine::new("");
        let (code, said, asked) = machine.run(&with_file(arguments));
        assert_eq!(code, Some(0), "{said}");
        for member in ["main", "member"] {
            let created = asked.contains(&format!("postgres -- createuser {member}"));
            let granted = asked.iter().any(|line| {
                line.contains("psql") && line.contains(&format!("challenger TO \"{member}\""))
            });
            assert_eq!((created, granted), (gives, gives), "{arguments:?} {member} {asked:?}");
        }
        let grants = asked.iter().filter(|line| line.contains("GRANT")).count();
        assert_eq!(grants, if gives { 2 } else { 0 }, "{asked:?}");
    }
    let machine = Machine::new("");
    machine.write("group", "db:x:77:a\"b\n");
    let (code, said, asked) = machine.run(&["-c", "challenger.conf", "-g", "db"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(!asked.iter().any(|line| line.contains("GRANT")), "{asked:?}");
}

#[test]
fn the_name_of_the_database_is_the_last_part_of_the_path() {
    let long = "x".repeat(64);
    let cases = [
        ("[challengerdb-postgres]\nCONFIG = postgres:///a", Some("a")),
        ("[challengerdb-postgres]\nCONFIG = postgresql:///a-B_9", Some("a-B_9")),
        ("[challenger-postgres]\nCONFIG = postgres:///a", Some("a")),
        (
            "[challenger-postgres]\nCONFIG = postgres:///a\n\
             [challengerdb-postgres]\nCONFIG = postgres:///b",
            Some("b"),
        ),
        ("[challengerdb-postgres]\nCONFIG = postgres:///a?connect_timeout=3", Some("a")),
        ("[challengerdb-postgres]\nCONFIG = postgres://localhost/a", Some("a")),
        ("[challengerdb-postgres]\nCONFIG = postgres://challenger-httpd@/a", Some("a")),
        ("[challengerdb-postgres]\nCONFIG = \"postgres:///a#b\"", None),
        ("[challengerdb-postgres]\nCONFIG = postgres:///", None),
        ("[challengerdb-postgres]\nCONFIG =", None),
        ("[challengerdb-postgres]\nCONFIG = dbname=a", None),
        ("[challengerdb-postgres]\nCONFIG = mysql:///a", None),
        ("[challengerdb-postgres]\nCONFIG = postgres://db.example/a", None),
        ("[challengerdb-postgres]\nCONFIG = postgres://localhost:5433/a", None),
        ("[challengerdb-postgres]\nCONFIG = postgres://user@/a", None),
        ("[challengerdb-postgres]\nCONFIG = postgres://challenger-httpd:hush@/a", None),
        ("[challengerdb-postgres]\nCONFIG = postgres:///a?host=db.example", None),
        ("[challengerdb-postgres]\nCONFIG = postgres:///a?x=1&password=hush", None),
        ("[challengerdb-postgres]\nCONFIG = postgres:///a';DROP TABLE x;--", None),
        ("[challengerdb-postgres]\nCONFIG = postgres:///a\"b", None),
        ("[challengerdb-postgres]\nCONFIG = postgres:///$(hush)", None),
        ("[challengerdb-postgres]\nCONFIG = postgres:///a b", None),
        ("[challengerdb-postgres]\nCONFIG = postgres:///--help", None),
        ("[challengerdb-postgres]\nCONFIG = postgres:///a/b", None),
        ("[challengerdb-postgres]\nCONFIG = postgres:///a%2fb", None),
        ("[challengerdb-postgres]\nCONFIG = postgres:///postgres", None),
        (&format!("[challengerdb-postgres]\nCONFIG = postgres:///{long}"), None),
    ];
    for (config, name) in cases {
        let machine = Machine::new(config);
        let (code, said, asked) = machine.run(&["-c", "challenger.conf", "-s"]);
        match name {
            None => {
                assert_eq!((code, asked), (Some(1), vec![]), "{config} {said}");
                assert!(said.contains("expected") || said.contains("belongs"), "{config} {said}");
                assert!(!said.contains(":hush"), "{said}");
            }
            Some(name) => {
                let created =
                    format!("postgres -- createdb -E UTF8 -T template0 -O challenger-httpd {name}");
                assert_eq!((code, asked), (Some(0), to_strings(&[USER, &created])), "{said}");
            }
        }
    }
}

#[test]
fn the_default_does_not_hide_the_section_of_the_other_name() {
    for (config, name) in [
        ("", "challenger"),
        ("[challenger-postgres]\nCONFIG = postgres:///a", "a"),
        (
            "[challenger-postgres]\nCONFIG = postgres:///a\n\
          [challengerdb-postgres]\nCONFIG = postgres:///challenger",
            "challenger",
        ),
    ] {
        let machine = Machine::new(config);
        fs::create_dir(machine.path("none")).unwrap();
        machine.write(
            "none/defaults.conf",
            "[challengerdb-postgres]\nCONFIG = postgres:///challenger",
        );
        let (code, said, asked) = machine.run(&["-c", "challenger.conf", "-s"]);
        let created =
            format!("postgres -- createdb -E UTF8 -T template0 -O challenger-httpd {name}");
        assert_eq!((code, asked), (Some(0), to_strings(&[USER, &created])), "{said}");
    }
}

#[test]
fn nothing_is_done_on_the_wrong_machine() {
    let cases: [(&[&str], (&str, &str), &str); 11] = [
        (&[], ("uid", "1000\n"), "as root"),
        (&[], ("users", "challenger-httpd\n"), "no user postgres"),
        (&[], ("users", "postgres\n"), "no user challenger-httpd"),
        (&["-u", "nobody-here"], ("", ""), "no user nobody-here"),
        (&["-u", "a;b"], ("", ""), "expected letters"),
        (&["-u", ""], ("", ""), "expected letters"),
        (&["-g", "db"], ("getent", "#!/bin/sh\nexit 2\n"), "no group db"),
        (&["-x"], ("", ""), "Usage"),
        (&["more"], ("", ""), "unexpected argument"),
        (&[], ("challenger.conf", "nonsense"), "challenger.conf:1"),
        (&[], ("challenger.conf", "[challenger]\nDB = sqlite\n"), "sqlite"),
    ];
    for (arguments, (file, text), complaint) in cases {
        let machine = Machine::new("");
        if !file.is_empty() {
            write_script(&machine.path(file), text);
        }
        let (code, said, asked) = machine.run(&with_file(arguments));
        assert_eq!((code, asked), (Some(1), vec![]), "{complaint}: {said}");
        assert!(said.contains(complaint), "{complaint}: {said}");
    }
    let machine = Machine::new("");
    let (code, said, _) = machine.run(&["-c", "absent.conf"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("absent.conf"), "{said}");
    machine.write("dbinit-fails", "");
    let (code, said, _) = machine.run(&FILE);
    assert_eq!(code, Some(1));
    assert!(said.contains("challenger-dbinit failed"), "{said}");
    for help in ["-h", "--help"] {
        let (code, said, _) = machine.run(&[help]);
        assert_eq!(code, Some(0));
        assert!(said.starts_with("Usage: challenger-dbconfig"), "{said}");
    }
}
