//! The defaults: those that are installed are those that are built in, scripts can read them, and
//! they are all that the original's manual leaves out.

#![cfg(all(feature = "postgres", feature = "sqlite"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod site;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use challenger_server::config::{Config, Disk, Environment};
use challenger_server::settings::Settings;
use challenger_testkit::Cluster;
use site::{binary, stderr, stdout};
use tempfile::TempDir;

/// The defaults, as they are installed.
fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs/config.d")
}

/// A folder with a main file, and the rest of an environment.
struct Etc(TempDir);

impl Etc {
    fn new(main: &str) -> Self {
        let etc = Self(tempfile::tempdir().unwrap());
        fs::create_dir(etc.0.path().join("none")).unwrap();
        fs::write(etc.main(), main).unwrap();
        etc
    }

    fn main(&self) -> PathBuf {
        self.0.path().join("challenger.conf")
    }

    /// All settings, with the defaults in this folder.
    fn settings(&self, base: &Path) -> String {
        let base = base.to_str().unwrap().to_owned();
        let variables = [("CHALLENGER_BASE_CONFIG".to_owned(), base)].into();
        let environment = Environment { variables, directory: "/".into(), prefix: None };
        let config = Config::load(&Disk, &environment, Some(&self.main())).unwrap();
        let it = Settings::read(&config, None).unwrap();
        let service = format!("{:#?} {:#?} {:?}", it.service, it.listen, it.engine);
        let helper = format!("{:#?} {} {:#?}", it.command, it.stays, it.places);
        let rest = format!("{} {:#?} {:#?} {:#?}", it.host, it.database, it.limits, it.warnings);
        format!("{service} {helper} {rest}")
    }

    fn without_defaults(&self) -> String {
        self.settings(&self.0.path().join("none"))
    }

    /// A program, for somebody who has these defaults and this main file.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let bin = Path::new(binary("challenger-config")).parent().unwrap().display().to_string();
        let mut command = Command::new(program);
        let path = format!("{}:{bin}:/usr/bin:/bin", self.0.path().display());
        command.env_clear().env("PATH", path);
        command.env("HOME", self.0.path()).env("XDG_CONFIG_HOME", self.0.path());
        command.env("CHALLENGER_BASE_CONFIG", shipped()).stdin(Stdio::null());
        command
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        self.command(binary(program)).args(arguments).output().unwrap()
    }
}

#[test]
fn those_that_are_installed_are_those_that_are_built_in() {
    for (address_type, more) in [
        ("email", "DB = sqlite\nSERVE = tcp\n"),
        ("phone", "MAX_CONNECTIONS = 20\n"),
        ("postal", ""),
    ] {
        let etc = Etc::new(&format!(
            "[challengerdb-sqlite]\nFILENAME = /x\n\
             [challenger]\nADDRESS_TYPE = {address_type}\nAUTH_COMMAND = true\n{more}"
        ));
        assert_eq!(etc.settings(&shipped()), etc.without_defaults(), "{address_type} {more}");
    }

    // Those in comments hold for most types of address.
    let etc = Etc::new("[challenger]\nADDRESS_TYPE = email\nAUTH_COMMAND = true\n");
    let text = fs::read_to_string(shipped().join("challenger.conf")).unwrap();
    let is_option = |line: &&str| line.strip_prefix('#').is_some_and(|it| !it.starts_with(' '));
    assert!(text.lines().filter(is_option).count() >= 5);
    let uncommented: String = text
        .lines()
        .map(|line| line.strip_prefix('#').filter(|_| is_option(&line)).unwrap_or(line))
        .map(|line| format!("{line}\n"))
        .collect();
    let base = etc.0.path().join("base");
    fs::create_dir(&base).unwrap();
    fs::write(base.join("challenger.conf"), &uncommented).unwrap();
    assert_eq!(etc.settings(&base), etc.without_defaults());
    let changed = uncommented.replace("CODE_DURATION = 10 minutes", "CODE_DURATION = 9 minutes");
    fs::write(base.join("challenger.conf"), changed).unwrap();
    assert_ne!(etc.settings(&base), etc.without_defaults(), "differences show");
}

#[test]
fn a_script_that_stops_at_the_first_error_can_read_them() {
    // As set-up scripts of GNU Taler's do: they know sections in capitals, too.
    let script = "set -eu
        for option in SERVE PORT UNIXPATH_MODE DB; do
            value=$(challenger-config -s CHALLENGER -o \"$option\")
            echo \"$option=$value\"
        done
        path=$(challenger-config -f --section=challenger --option=UNIXPATH)
        echo \"UNIXPATH=$path\"
        database=$(challenger-config -s challengerdb-postgres -o CONFIG)
        echo \"CONFIG=$database\"
        challenger-config -s kyc-provider-of-nobody
        url=$(challenger-config -s CHALLENGER -o BASE_URL)
        echo \"BASE_URL=$url\"
        echo done";
    let etc = Etc::new("[challenger]\nBASE_URL = https://challenger.example/\n");
    let output = etc.command("/bin/sh").args(["-c", script]).output().unwrap();
    assert_eq!(stderr(&output), "");
    assert_eq!(
        stdout(&output),
        "SERVE=unix\nPORT=9967\nUNIXPATH_MODE=660\nDB=postgres\n\
         UNIXPATH=/tmp/challenger-runtime/httpd.sock\nCONFIG=postgres:///challenger\n\
         BASE_URL=https://challenger.example/\ndone\n"
    );
}

#[test]
fn what_the_originals_manual_has_is_enough() {
    let cluster = Cluster::shared();
    let name = cluster.create_database();
    for database in [
        format!("[challenger-postgres]\nCONFIG = {}\n", cluster.uri(&name)),
        format!("[challengerdb-postgres]\nCONFIG = {}\n", cluster.uri(&name)),
    ] {
        let etc = Etc::new(&format!(
            "[challenger]\nADDRESS_TYPE = email\nAUTH_COMMAND = challenger-send-email.sh\n\n\
             [challenger]\nDB = postgres\n\n{database}"
        ));
        // The original's manual has the sender written into the script.
        let helper = etc.0.path().join("challenger-send-email.sh");
        fs::write(&helper, "#!/bin/sh\nexit 0\n").unwrap();
        fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
        let output = etc.run("challenger-dbinit", &[]);
        assert!(output.status.success(), "{}", stderr(&output));
        let output = etc.run("challenger-httpd", &["--check"]);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert_eq!(stdout(&output), "challenger-httpd: the configuration is good\n");
        let warnings: Vec<&str> = said.lines().collect();
        assert!(warnings.iter().all(|it| it.contains("BASE_URL is not set")), "{said}");
    }
}
