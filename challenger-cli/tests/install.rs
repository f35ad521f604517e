//! `make install`: every file is in its place, and the programs find it there.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod site;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use challenger_server::config::{Config, Environment};
use challenger_server::settings::Settings;
use site::{binary, stderr, stdout};
use tempfile::TempDir;

const PREFIX: &str = "/opt/challenger";

/// Another name of challenger-terms-generator.
const TALER_NAME: &str = "bin/taler-terms-generator";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// A machine with nothing on it but what `make` puts there.
struct Machine(TempDir);

impl Machine {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Runs `make`, which installs the programs that were built for this test.
    fn make(&self, target: &str, more: &[&str]) -> Output {
        let built = Path::new(binary("challenger")).parent().unwrap();
        let mut make = Command::new("make");
        make.current_dir(root()).stdin(Stdio::null());
        // The tests themselves may be run by make, which would pass its variables on.
        make.env_remove("MAKEFLAGS").env_remove("MFLAGS").env_remove("MAKELEVEL");
        make.arg(target).arg(format!("PROFILE_DIR={}", built.display()));
        make.arg(format!("DESTDIR={}", self.0.path().display()));
        make.arg(format!("PREFIX={PREFIX}")).args(more).output().unwrap()
    }

    fn installed() -> Self {
        let machine = Self::new();
        let output = machine.make("install", &[]);
        assert!(output.status.success(), "{}", stderr(&output));
        machine
    }

    /// A path below the prefix.
    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(PREFIX.trim_start_matches('/')).join(path)
    }

    /// An installed program, for somebody who has no configuration at home.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.path("bin").join(name));
        command.env("HOME", self.0.path()).env_remove("XDG_CONFIG_HOME").stdin(Stdio::null());
        command.env_remove("CHALLENGER_PREFIX").env_remove("CHALLENGER_BASE_CONFIG");
        command
    }

    /// All files below the prefix.
    fn files(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut folders = vec![self.path("")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(self.path("")).unwrap();
                    found.insert(name.to_str().unwrap().to_owned());
                }
            }
        }
        found
    }
}

/// The names in a folder of the sources.
fn names(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(folder)).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn everything_has_its_place_and_can_be_taken_away() {
    let machine = Machine::installed();
    let mut expected = BTreeSet::from(["share/challenger/config.d/challenger.conf".to_owned()]);
    let programs = ["challenger", "challenger-admin", "challenger-config", "challenger-dbinit"];
    let more = ["challenger-httpd", "challenger-send-email", "challenger-send-http"];
    let second_names = ["challenger-send-email.sh"];
    for program in programs.into_iter().chain(more).chain(second_names) {
        expected.insert(format!("bin/{program}"));
    }
    for helper in names("challenger-cli/helpers") {
        expected.insert(format!("bin/{helper}"));
    }
    for snippet in names("docs/address-types") {
        expected.insert(format!("share/challenger/address-types/{snippet}"));
    }
    for gateway in names("docs/gateways") {
        expected.insert(format!("share/challenger/gateways/{gateway}"));
    }
    for text in names("docs/terms") {
        expected.insert(format!("share/challenger/terms/{text}"));
    }
    for page in names("templates") {
        expected.insert(format!("share/challenger/templates/{page}"));
    }
    for page in names("docs/man") {
        let section = page.rsplit_once('.').unwrap().1;
        expected.insert(format!("share/man/man{section}/{page}"));
    }
    for document in ["ARCHITECTURE.md", "CHANGELOG.md", "README.md", "SECURITY.md"] {
        expected.insert(format!("share/doc/challenger/{document}"));
    }
    let is_chapter = |name: &&String| [".md", ".svg", ".yaml"].iter().any(|it| name.ends_with(it));
    for document in names("docs").iter().filter(is_chapter) {
        expected.insert(format!("share/doc/challenger/docs/{document}"));
    }
    for file in names("docs/monitoring") {
        expected.insert(format!("share/doc/challenger/docs/monitoring/{file}"));
    }
    for licence in ["LICENSE-APACHE", "LICENSE-MIT"] {
        expected.insert(format!("share/doc/challenger/{licence}"));
    }
    expected.insert("share/man/man1/challenger-send-email.sh.1".to_owned());
    let mut files = machine.files();
    assert!(files.remove(TALER_NAME));
    assert_eq!(files, expected);
    let second_name = machine.path("bin/challenger-send-email.sh");
    assert_eq!(fs::read_link(second_name).unwrap(), Path::new("challenger-send-email"));
    for program in expected.iter().filter_map(|path| path.strip_prefix("bin/")) {
        let output = machine.program(program).arg("-h").output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{program}");
        // One has a second name, that of the original.
        let second = program == "challenger-send-email.sh";
        let usage = if second { "challenger-send-email" } else { program };
        assert!(stdout(&output).contains(&format!("Usage: {usage}")), "{}", stdout(&output));
        assert!(expected.contains(&format!("share/man/man1/{program}.1")), "{program}");
    }

    let foreign = "share/challenger/templates/invalid-pin.de.must";
    fs::write(machine.path(foreign), "").unwrap();
    for _ in 0..2 {
        let output = machine.make("uninstall", &[]);
        assert!(output.status.success(), "{}", stderr(&output));
        assert_eq!(machine.files(), BTreeSet::from([foreign.to_owned()]));
    }
    assert!(!machine.path("share/doc/challenger").exists());
    assert!(machine.path("bin").exists(), "it belongs to others, too");
}

#[test]
fn the_name_of_the_original_is_taken_only_if_it_is_free() {
    let machine = Machine::new();
    let name = machine.path(TALER_NAME);
    let make = |target: &str| {
        let output = machine.make(target, &[]);
        assert!(output.status.success(), "{}", stderr(&output));
    };
    for _ in 0..2 {
        make("install");
        assert_eq!(fs::read_link(&name).unwrap(), Path::new("challenger-terms-generator"));
        let output = Command::new(&name).arg("-h").output().unwrap();
        assert!(stdout(&output).contains("Usage: challenger-terms-generator"));
    }
    make("uninstall");
    assert!(fs::symlink_metadata(&name).is_err());

    // Somebody else's link, even one that leads nowhere, and somebody else's file.
    symlink("elsewhere", &name).unwrap();
    make("install");
    make("uninstall");
    assert_eq!(fs::read_link(&name).unwrap(), Path::new("elsewhere"));
    fs::remove_file(&name).unwrap();
    fs::write(&name, "another").unwrap();
    make("install");
    make("uninstall");
    assert_eq!(fs::read_to_string(&name).unwrap(), "another");
}

#[test]
fn what_cannot_be_installed_is_refused() {
    let machine = Machine::new();
    for (variable, complaint) in
        [("DESTDIR=/a b", "may not have blanks"), ("PROFILE_DIR=/nowhere", "run make first")]
    {
        let output = machine.make("install", &[variable]);
        assert!(!output.status.success(), "{variable}");
        assert!(stderr(&output).contains(complaint), "{}", stderr(&output));
    }
}

#[test]
fn programs_find_what_was_installed_with_them() {
    let machine = Machine::installed();
    let ask = |command: &mut Command, section: &str, option: &str| {
        let output = command.args(["-s", section, "-o", option]).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output).trim_end().to_owned()
    };
    let config = || machine.program("challenger-config");
    assert_eq!(PathBuf::from(ask(&mut config(), "PATHS", "PREFIX")), machine.path(""));
    let elsewhere = ask(config().env("CHALLENGER_PREFIX", "/nowhere"), "PATHS", "PREFIX");
    assert_eq!(elsewhere, "/nowhere/");
    let dump = stdout(&config().arg("-d").output().unwrap());
    let defaults = machine.path("share/challenger/config.d/challenger.conf");
    let defaults_name = fs::canonicalize(&defaults).unwrap();
    assert!(dump.contains(defaults_name.to_str().unwrap()), "{dump}");
    fs::write(&defaults, "[challenger]\nADDRESS_HINT = installed\n").unwrap();
    assert_eq!(ask(&mut config(), "challenger", "ADDRESS_HINT"), "installed");

    let main = machine.path("main.conf");
    let folder = machine.0.path().display();
    let text = format!(
        "[challenger]\nADDRESS_TYPE = email\nAUTH_COMMAND = true\nSERVE = unix\nDB = sqlite\n\
         BASE_URL = https://challenger.example/\nUNIXPATH = {folder}/run/httpd.sock\n\
         [challengerdb-sqlite]\nFILENAME = {folder}/none.sqlite\n"
    );
    fs::write(&main, text).unwrap();
    let serve = || machine.program("challenger-httpd").arg("-c").arg(&main).output().unwrap();
    let output = serve();
    assert_eq!(output.status.code(), Some(1), "only the database is missing");
    assert!(!stderr(&output).contains("WARNING"), "{}", stderr(&output));
    let page = machine.path("share/challenger/templates/invalid-pin.must");
    fs::write(&page, "{{#open}}").unwrap();
    let output = serve();
    assert_eq!(output.status.code(), Some(6));
    assert!(stderr(&output).contains(page.to_str().unwrap()), "{}", stderr(&output));
}

#[test]
fn the_defaults_that_are_installed_are_those_that_are_built_in() {
    let text = fs::read_to_string(root().join("docs/config.d/challenger.conf")).unwrap();
    let environment = Environment { directory: PathBuf::from("/"), ..Environment::default() };
    let read = |text: &str| Config::from_text(text, &environment).unwrap();
    let as_it_is = read(&text);
    for section in as_it_is.sections().iter().filter(|section| section.name != "PATHS") {
        assert!(section.settings.is_empty(), "[{}] is all comments", section.name);
    }

    let mut count = 0;
    let mut uncommented = String::new();
    for line in text.lines() {
        let option =
            line.strip_prefix('#').filter(|rest| !rest.is_empty() && !rest.starts_with(' '));
        count += usize::from(option.is_some());
        uncommented.push_str(&format!("{}\n", option.unwrap_or(line)));
    }
    assert!(count >= 16, "{count} options");
    let required = "[challenger]\nADDRESS_TYPE = email\nAUTH_COMMAND = true\nSERVE = unix\n";
    let settings = |text: &str| {
        let settings = Settings::read(&read(&format!("{required}{text}")), None).unwrap();
        let Settings { service, listen, command, host, database, warnings, .. } = settings;
        format!("{service:#?} {listen:#?} {command:#?} {host} {database:#?} {warnings:#?}")
    };
    assert_eq!(settings(&uncommented), settings(""));
    let changed = uncommented.replace("CODE_DURATION = 10 minutes", "CODE_DURATION = 9 minutes");
    assert_ne!(settings(&changed), settings(""), "differences show");
}
