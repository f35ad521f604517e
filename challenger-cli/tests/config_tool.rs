//! `challenger-config` as operators and scripts run it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod site;

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use site::binary;
use tempfile::TempDir;

/// A directory with a configuration as a package would install it.
struct Etc {
    directory: TempDir,
}

/// How a run ended.
#[derive(Debug)]
struct Run {
    code: Option<i32>,
    out: String,
    err: String,
}

const BASE: &str = "[challenger]\nSERVE = unix\nPIN_ATTEMPTS = 3\nPORT = 9967\n";

const MAIN: &str = "# The main file.\n\
    [challenger]\nPORT = 1\n@inline-matching@ conf.d/*.conf\nSERVE = tcp\nPIN_ATTEMPTS = 3\n\
    % Secrets are elsewhere.\n@inline-secret@ challengerdb-postgres secret/db.conf\n\
    [PATHS]\nSHARED = ${HOME}/shared\n";

const INCLUDED: &str = "[challenger]\nport = 2\nPIN_ATTEMPTS = 5\nTERMS_DIR = ${SHARED}/terms/\n";

const SECRET: &str = "[challengerdb-postgres]\nCONFIG = postgres://u:very-secret@db/challenger\n";

impl Etc {
    fn new(main: &str) -> Self {
        let etc = Self { directory: tempfile::tempdir().unwrap() };
        etc.write("main.conf", main);
        fs::create_dir(etc.path("base")).unwrap();
        etc
    }

    fn packaged() -> Self {
        let etc = Self::new(MAIN);
        for folder in ["conf.d", "secret"] {
            fs::create_dir(etc.path(folder)).unwrap();
        }
        etc.write("base/defaults.conf", BASE);
        etc.write("conf.d/site.conf", INCLUDED);
        etc.write("secret/db.conf", SECRET);
        etc
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().canonicalize().unwrap().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn command(&self) -> Command {
        let mut command = Command::new(binary("challenger-config"));
        command.env_clear().env("CHALLENGER_BASE_CONFIG", self.path("base"));
        command.env("HOME", "/home/u").env("VAR", "/x");
        command.current_dir(self.directory.path()).stdin(Stdio::null());
        command
    }

    /// Runs the program with the main file.
    fn run(&self, arguments: &[&str]) -> Run {
        finish(self.command().args(["-c", "main.conf"]).args(arguments))
    }

    /// The value of an option, as another program would get it.
    fn value(&self, section: &str, option: &str) -> Option<String> {
        let run = self.run(&["-s", section, "-o", option]);
        (run.code == Some(0)).then(|| run.out.strip_suffix('\n').unwrap().to_string())
    }
}

fn finish(command: &mut Command) -> Run {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Run { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

#[test]
fn values_are_printed() {
    let etc = Etc::new(
        "[section1]\nvalue1 = string\nvalue2 = 23\n[section2]\nvalue21 = string\n\
         value22 = /path22\nempty =\n[paths]\nTALER_DEPLOYMENT_SHARED = ${HOME}/shared-data\n\
         [section-x]\npath-x = ${TALER_DEPLOYMENT_SHARED}/x\nenv = $VAR/y\n\
         other = ${NOTHING:-default}/z\nquoted = \"  a # b  \"\nnone = $NONE\n\
         [challenger-postgres]\nCONFIG = postgres:///challenger\n",
    );
    let relative = etc.path("default/z").display().to_string();
    let cases: [(&[&str], &str); 13] = [
        (&["-s", "section1", "-o", "value2"], "23"),
        (&["--section=SECTION1", "--option", "VALUE1"], "string"),
        (&["-ssection2", "-ovalue22"], "/path22"),
        (&["-s", "section2", "-o", "empty"], ""),
        (&["-s", "section1"], "value1 = string\nvalue2 = 23"),
        (&["-s", "section-x", "-o", "path-x"], "${TALER_DEPLOYMENT_SHARED}/x"),
        (&["-f", "-s", "section-x", "-o", "path-x"], "/home/u/shared-data/x"),
        (&["--filename", "-s", "section-x", "-o", "env"], "/x/y"),
        (&["-f", "-s", "section-x", "-o", "other"], &relative),
        (&["-s", "section-x", "-o", "quoted"], "  a # b  "),
        (&["-f", "-s", "PATHS", "-o", "DATADIR"], "/usr/share/challenger/"),
        (&["-s", "challenger-postgres", "-o", "config"], "postgres:///challenger"),
        (&["-s", "PATHS", "-o", "DEFAULTCONFIG"], &etc.path("main.conf").display().to_string()),
    ];
    for (arguments, expected) in cases {
        let run = etc.run(arguments);
        assert_eq!((run.code, run.err.as_str()), (Some(0), ""), "{arguments:?}");
        assert_eq!(run.out, format!("{expected}\n"), "{arguments:?}");
    }
    let run = etc.run(&["-S"]);
    let sections = "PATHS\nsection1\nsection2\nsection-x\nchallenger-postgres\n";
    assert_eq!((run.code, run.out.as_str()), (Some(0), sections));
    assert_eq!(run.err.lines().count(), 1, "a heading: {}", run.err);
    let run = etc.run(&["-s", "nothing"]);
    assert_eq!((run.code, run.out.as_str(), run.err.as_str()), (Some(0), "", ""));
    let run = etc.run(&["-f", "-s", "section-x", "-o", "none"]);
    assert_eq!(run.code, Some(0));
    assert!(run.out.ends_with("/$NONE\n") && run.err.contains("$NONE"), "{run:?}");
}

#[test]
fn a_section_that_a_secret_file_leaves_empty_is_listed() {
    let etc = Etc::new("[empty]\n@inline-secret@ a a.conf\n@inline-secret@ b b.conf\n[s]\nA = 1\n");
    etc.write("a.conf", "[a]\n");
    etc.write("b.conf", "");
    let run = etc.run(&["-S"]);
    assert_eq!((run.code, run.out.as_str()), (Some(0), "PATHS\na\nb\ns\n"));
    for section in ["a", "b", "empty"] {
        let run = etc.run(&["-s", section]);
        assert_eq!((run.code, run.out.as_str(), run.err.as_str()), (Some(0), "", ""), "{section}");
    }
    assert_eq!(etc.run(&["-r"]).code, Some(0));
    assert!(etc.read("main.conf").starts_with("@inline-secret@ a a.conf\n@inline-secret@ b"));
}

#[test]
fn what_is_missing_or_makes_no_sense_has_its_own_code() {
    let etc = Etc::new("[s]\nA = 1\nempty =\n");
    let cases: [(&[&str], i32, &str); 16] = [
        (&["-s", "s", "-o", "B"], 6, "[s] B is missing"),
        (&["-s", "t", "-o", "A"], 6, "[t] A is missing"),
        (&["-f", "-s", "s", "-o", "empty"], 6, "expected a file name"),
        (&[], 2, "expected --section"),
        (&["-F"], 2, "expected --section"),
        (&["-o", "A"], 2, "--section=SECTION is missing"),
        (&["-r", "-V", "A"], 2, "--section=SECTION is missing"),
        (&["-s", "s", "-V", "1"], 2, "--option"),
        (&["-s", "s", "-f"], 2, "--option"),
        (&["-d", "-S"], 2, "expected one of"),
        (&["-s", "s", "-d"], 2, "expected one of"),
        (&["-s", "s", "-o", "A", "-V", "1\n2"], 2, "line breaks"),
        (&["-s", "s", "-o", "A=B", "-V", "1"], 2, "without ="),
        (&["-s", "s", "-o", "@A", "-V", "1"], 2, "start with"),
        (&["-s", "s", "-o", "", "-V", "1"], 2, "name of an option"),
        (&["-s", "s", "A"], 2, "A"),
    ];
    for (arguments, code, complaint) in cases {
        let run = etc.run(arguments);
        assert_eq!((run.code, run.out.as_str()), (Some(code), ""), "{arguments:?} {run:?}");
        assert!(run.err.contains(complaint), "{arguments:?} {run:?}");
    }
    assert_eq!(etc.read("main.conf"), "[s]\nA = 1\nempty =\n");
    etc.write("main.conf", "nonsense");
    let run = etc.run(&["-S"]);
    assert_eq!(run.code, Some(6));
    assert!(run.err.contains("main.conf:1: "), "{}", run.err);
}

#[test]
fn diagnostics_tell_where_everything_comes_from() {
    let etc = Etc::packaged();
    etc.write("conf.d/not.this", "nonsense");
    let root = etc.path("");
    let root = root.to_str().unwrap();
    for flag in ["-d", "--diagnostics"] {
        let run = etc.run(&[flag]);
        assert_eq!((run.code, run.err.as_str()), (Some(0), ""));
        for expected in [
            format!("# Entry point: {root}main.conf\n"),
            format!(
                "#   {root}base/defaults.conf\n#   {root}main.conf\n\
                 #     + {root}conf.d/site.conf\n#     + {root}secret/db.conf\n"
            ),
            String::from("#   PREFIX = /usr/\n"),
            String::from("#   DATADIR = /usr/share/challenger/\n"),
            format!("\n[PATHS]\n\n# {root}main.conf:10\nSHARED = ${{HOME}}/shared\n"),
            format!("\n# {root}conf.d/site.conf:2\nport = 2\n"),
            format!("\n# {root}main.conf:5\nSERVE = tcp\n"),
            format!("\n[challengerdb-postgres]\n# secret: {root}secret/db.conf (0"),
            format!("# {root}secret/db.conf:2\n# CONFIG is not shown: add --show-secrets"),
        ] {
            assert!(run.out.contains(&expected), "{expected} in {}", run.out);
        }
        assert!(!run.out.contains("very-secret"));
    }
    // With everything in it, the dump is a configuration of the same values.
    let shown = etc.run(&["-d", "--show-secrets"]);
    etc.write("dump.conf", &shown.out);
    for section in ["challenger", "challengerdb-postgres"] {
        let before = etc.run(&["-s", section]);
        let after = finish(etc.command().args(["-c", "dump.conf", "-s", section]));
        assert_eq!((after.code, after.out), (Some(0), before.out), "{}", shown.out);
    }

    fs::remove_file(etc.path("secret/db.conf")).unwrap();
    let run = etc.run(&["-d"]);
    assert_eq!(run.code, Some(0));
    let note =
        format!("[challengerdb-postgres]\n# inaccessible: {root}secret/db.conf: No such file");
    assert!(run.out.contains(&note), "{}", run.out);
    assert!(run.err.contains("is hidden"), "{}", run.err);
    for arguments in [&["-s", "challengerdb-postgres"][..], &["-s", "challengerdb-postgres", "-oX"]]
    {
        let run = etc.run(arguments);
        assert_eq!(run.code, Some(6));
        assert!(run.err.contains("which cannot be read"), "{}", run.err);
    }
    let run = finish(etc.command().args(["-d", "-L", "NONE"]).env("HOME", etc.path("none")));
    assert_eq!(run.code, Some(0));
    assert!(run.out.starts_with("# Entry point: "), "{}", run.out);
}

#[test]
fn a_change_keeps_all_else_as_it_is() {
    let etc = Etc::packaged();
    let run = etc.run(&["-s", "challenger", "-o", "BASE_URL", "-V", "https://x.example/#a"]);
    let wrote = format!("Wrote {}.\n", etc.path("main.conf").display());
    assert_eq!((run.code, run.out.as_str(), run.err), (Some(0), "", wrote));
    // SERVE differs from the default, PORT is overridden by the included file, and PIN_ATTEMPTS is
    // the default, but the included file says otherwise.
    let expected = "@inline-matching@ conf.d/*.conf\n\
        @inline-secret@ challengerdb-postgres secret/db.conf\n\n\
        [PATHS]\nSHARED = ${HOME}/shared\n\n\
        [challenger]\nSERVE = tcp\nPIN_ATTEMPTS = 3\nBASE_URL = \"https://x.example/#a\"\n";
    assert_eq!(etc.read("main.conf"), expected);
    assert_eq!(etc.read("conf.d/site.conf"), INCLUDED);
    assert_eq!(etc.read("base/defaults.conf"), BASE);
    for (section, option, value) in [
        ("challenger", "PORT", "2"),
        ("challenger", "PIN_ATTEMPTS", "3"),
        ("challenger", "BASE_URL", "https://x.example/#a"),
        ("challengerdb-postgres", "CONFIG", "postgres://u:very-secret@db/challenger"),
    ] {
        assert_eq!(etc.value(section, option).as_deref(), Some(value), "{option}");
    }
    // Again, and nothing changes; a default is not written, but it can be set again.
    assert_eq!(etc.run(&["-r"]).code, Some(0));
    assert_eq!(etc.read("main.conf"), expected);
    assert_eq!(etc.run(&["-s", "Challenger", "-o", "serve", "-V", "unix"]).code, Some(0));
    assert!(!etc.read("main.conf").to_lowercase().contains("serve"));
    assert_eq!(etc.value("challenger", "SERVE").as_deref(), Some("unix"));
    let run = etc.run(&["-s", "challenger", "-o", "PORT", "-r"]);
    assert_eq!((run.code, run.out.as_str()), (Some(0), "2\n"), "printing goes with rewriting");
}

#[test]
fn odd_values_come_back() {
    let etc = Etc::new("[s]\nA = 1\n");
    for value in ["", " a ", "\"", "\"\"", "\"a\"", "a\\", "#a", "%a", "@inline@ x", "a=b:c", "[s]"]
    {
        let run = etc.run(&["-s", "s", "-o", "A", "-V", value]);
        assert_eq!(run.code, Some(0), "{value:?}: {run:?}");
        assert_eq!(etc.value("s", "A").as_deref(), Some(value), "{}", etc.read("main.conf"));
        let again = format!("--value={value}");
        assert_eq!(etc.run(&["-s", "t", "-o", "B", &again]).code, Some(0));
        assert_eq!(etc.value("t", "B").as_deref(), Some(value), "{}", etc.read("main.conf"));
    }
}

#[test]
fn a_full_file_needs_no_other() {
    let etc = Etc::packaged();
    let run = etc.run(&["-r", "-F"]);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.err.contains("kept secret in"), "{run:?}");
    assert_eq!(etc.read("main.conf"), MAIN);
    let run = etc.run(&["-r", "-F", "--show-secrets"]);
    assert_eq!((run.code, run.err.starts_with("Wrote ")), (Some(0), true), "{run:?}");
    let expected = "[PATHS]\nSHARED = ${HOME}/shared\n\n\
        [challenger]\nSERVE = tcp\nPIN_ATTEMPTS = 3\nport = 2\nTERMS_DIR = ${SHARED}/terms/\n\n\
        [challengerdb-postgres]\nCONFIG = postgres://u:very-secret@db/challenger\n";
    assert_eq!(etc.read("main.conf"), expected);
}

#[test]
fn secrets_stay_where_they_are() {
    let etc = Etc::packaged();
    let set = ["-s", "challengerdb-postgres", "-o", "CONFIG", "-V", "postgres:///c"];
    let run = etc.run(&set);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.err.contains("kept secret in"), "{run:?}");
    fs::rename(etc.path("secret/db.conf"), etc.path("secret/gone")).unwrap();
    for arguments in [&set[..], &["-r", "-F", "--show-secrets"]] {
        let run = etc.run(arguments);
        assert_eq!(run.code, Some(2), "{run:?}");
        assert!(run.err.contains("which cannot be read"), "{run:?}");
    }
    assert_eq!(etc.read("main.conf"), MAIN);
    assert_eq!(etc.run(&["-r"]).code, Some(0), "all else can be rewritten");
    assert!(etc.read("main.conf").contains("@inline-secret@ challengerdb-postgres secret/db.conf"));
    fs::rename(etc.path("secret/gone"), etc.path("secret/db.conf")).unwrap();
    let shown: Vec<&str> = set.into_iter().chain(["--show-secrets"]).collect();
    assert_eq!(etc.run(&shown).code, Some(0));
    assert_eq!(etc.value("challengerdb-postgres", "CONFIG").as_deref(), Some("postgres:///c"));
    assert_eq!(etc.read("secret/db.conf"), SECRET);
}

#[test]
fn links_and_modes_stay() {
    let etc = Etc::new("[s]\nA = 1\n");
    fs::create_dir(etc.path("real")).unwrap();
    etc.write("real/file.conf", "[s]\nA = 1\n@inline@ other\n");
    etc.write("real/other", "[t]\nB = 1\n");
    fs::set_permissions(etc.path("real/file.conf"), Permissions::from_mode(0o640)).unwrap();
    symlink("real/file.conf", etc.path("link.conf")).unwrap();
    let set = ["-c", "link.conf", "-s", "s", "-o", "A", "-V", "2"];
    assert_eq!(finish(etc.command().args(set)).code, Some(0));
    assert_eq!(fs::read_link(etc.path("link.conf")).unwrap(), Path::new("real/file.conf"));
    assert_eq!(etc.read("real/file.conf"), "@inline@ other\n\n[s]\nA = 2\n");
    assert_eq!(fs::metadata(etc.path("real/file.conf")).unwrap().mode() & 0o777, 0o640);
    assert_eq!(fs::read_dir(etc.path("real")).unwrap().count(), 2, "nothing is left behind");
}

#[test]
fn there_must_be_a_file_to_write_to() {
    let etc = Etc::new("[s]\nA = 1\n");
    let set = ["-s", "s", "-o", "A", "-V", "2"];
    let run = finish(etc.command().args(["-c", "absent.conf"]).args(set));
    assert_eq!(run.code, Some(6), "{run:?}");
    assert!(run.err.contains("absent.conf"), "{run:?}");
    assert!(!etc.path("absent.conf").exists());
    // A file without a name cannot be replaced.
    let main = File::open(etc.path("main.conf")).unwrap();
    fs::remove_file(etc.path("main.conf")).unwrap();
    let run = finish(etc.command().args(["-c", "/dev/stdin"]).args(set).stdin(main));
    assert_eq!(run.code, Some(2), "{run:?}");
}

#[test]
fn what_would_be_read_otherwise_is_not_written() {
    // Without its quotes, the second line would be a section.
    let main = "[s]\n[A = \"b]\"\n";
    let etc = Etc::new(main);
    assert_eq!(etc.value("s", "[A").as_deref(), Some("b]"));
    let run = etc.run(&["-r"]);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.err.contains("[s] [a would not be read as it is meant"), "{run:?}");
    assert_eq!(etc.read("main.conf"), main);
}
