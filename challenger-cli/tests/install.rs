//! `make install`: every file is in its place, and the programs find it there.

#![cfg(all(feature = "demo", feature = "postgres"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod site;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use challenger_testkit::Cluster;
use site::{binary, stderr, stdout};
use tempfile::TempDir;

const PREFIX: &str = "/opt/challenger";

/// The configuration to begin with, below `/etc/challenger`.
const CONFIGURATION: [&str; 4] = [
    "challenger.conf",
    "conf.d/challenger-site.conf",
    "secrets/challenger-db.secret.conf",
    "secrets/challenger-helper.secret.conf",
];

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

/// What is installed, below the prefix, but for the other name of the generator.
fn expected() -> BTreeSet<String> {
    let mut expected = BTreeSet::from(["share/challenger/config.d/challenger.conf".to_owned()]);
    let programs = ["challenger", "challenger-admin", "challenger-config", "challenger-dbinit"];
    let more = ["challenger-httpd", "challenger-send-email", "challenger-send-http"];
    let second_names = ["challenger-send-email.sh"];
    for program in programs.into_iter().chain(more).chain(second_names) {
        expected.insert(format!("bin/{program}"));
    }
    let helpers = names("challenger-cli/helpers");
    for helper in &helpers {
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
    let languages = names("templates");
    let languages = languages.iter().filter_map(|name| name.strip_suffix(".lang"));
    let kinds: Vec<String> = languages.map(|it| format!("{it}.html")).collect();
    for status in [404, 413, 429, 502, 503, 504] {
        for kind in kinds.iter().map(String::as_str).chain(["json"]) {
            expected.insert(format!("share/challenger/errors/{status}.{kind}"));
        }
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
    for program in programs.iter().chain(&more).map(ToString::to_string).chain(helpers) {
        expected.insert(format!("share/bash-completion/completions/{program}"));
        expected.insert(format!("share/fish/vendor_completions.d/{program}.fish"));
        expected.insert(format!("share/zsh/site-functions/_{program}"));
    }
    let examples = "share/doc/challenger/examples";
    expected.insert(format!("{examples}/local-sendmail.conf"));
    for unit in names("debian/systemd") {
        expected.insert(format!("{examples}/systemd/{unit}"));
    }
    expected.insert(format!("{examples}/nginx/challenger"));
    for file in CONFIGURATION {
        expected.insert(format!("{examples}/challenger/{file}"));
    }
    expected
}

#[test]
fn everything_has_its_place_and_can_be_taken_away() {
    let machine = Machine::installed();
    let mut files = machine.files();
    assert!(files.remove(TALER_NAME));
    let expected = expected();
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
fn units_and_a_configuration_are_examples_or_in_place() {
    let machine = Machine::installed();
    let unit = |path: &str| {
        let path = machine.0.path().join(path).join("challenger-httpd.service");
        fs::read_to_string(path).unwrap_or_default()
    };
    let example = unit("opt/challenger/share/doc/challenger/examples/systemd");
    assert!(
        example.contains("\nExecStart=/opt/challenger/bin/challenger-httpd -c /etc"),
        "{example}"
    );
    // Where systemd would not find helpers by their names otherwise.
    assert!(example.contains("\nEnvironment=PATH=/opt/challenger/bin:"), "{example}");

    let make = |target: &str, more: &[&str]| {
        let output = machine.make(target, &[&["SYSTEMD=1"][..], more].concat());
        assert!(output.status.success(), "{}", stderr(&output));
    };
    // systemd has directories below some prefixes only.
    for (prefix, folder) in [
        ("/opt/challenger", "etc/systemd/system"),
        ("/usr/local", "usr/local/lib/systemd/system"),
        ("/usr", "usr/lib/systemd/system"),
    ] {
        let prefix = format!("PREFIX={prefix}");
        make("install", &[&prefix]);
        assert_eq!(unit(folder).contains("Environment="), prefix.contains("opt"), "{folder}");
        make("uninstall", &[&prefix]);
        assert_eq!(unit(folder), "");
    }

    let etc = machine.0.path().join("etc/challenger");
    let mode = |path: &str| fs::metadata(etc.join(path)).unwrap().permissions().mode() & 0o7777;
    assert!(!etc.exists());
    make("install", &[]);
    assert_eq!((mode("secrets"), mode(CONFIGURATION[2])), (0o2750, 0o640));
    let site = machine.0.path().join("etc/nginx/sites-available/challenger");
    assert!(site.exists());
    // What somebody has changed stays.
    for path in [&etc.join(CONFIGURATION[1]), &site] {
        fs::write(path, "changed").unwrap();
        make("install", &[]);
        make("uninstall", &[]);
        assert_eq!(fs::read_to_string(path).unwrap(), "changed");
    }
    assert!(!etc.join(CONFIGURATION[0]).exists() && !etc.join("secrets").exists());
}

#[test]
fn the_readmes_configuration_works_as_it_is() {
    let machine = Machine::installed();
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let part = readme.split("\n## Run it\n").nth(1).unwrap();
    let block = |kind: &str| {
        part.split(&format!("```{kind}\n")).nth(1).unwrap().split("```").next().unwrap()
    };
    let home = machine.0.path().join(".config");
    fs::create_dir(&home).unwrap();
    fs::write(home.join("challenger.conf"), block("ini")).unwrap();
    let cluster = Cluster::shared();
    cluster.psql("postgres", "CREATE DATABASE challenger");
    let uri = cluster.uri("challenger");
    let parameters = uri.split_once('?').unwrap().1.split('&');
    let parameters: Vec<_> = parameters.map(|it| it.split_once('=').unwrap()).collect();
    let variables =
        parameters.iter().map(|(name, value)| (format!("PG{}", name.to_uppercase()), value));
    let commands: Vec<&str> = block("sh").lines().collect();
    let (serve, commands) = commands.split_last().unwrap();
    assert_eq!(*serve, "challenger-httpd");
    assert_eq!(commands.len(), 3);
    for command in commands {
        let words: Vec<&str> = command.split(' ').collect();
        let path = format!("{}:/usr/bin:/bin", machine.path("bin").display());
        let mut program = machine.program(words[0]);
        program.args(&words[1..]).env("PATH", path).envs(variables.clone());
        let output = program.output().unwrap();
        // There is no such mail server.
        let complaints = stderr(&output);
        let of_the_server = ["mail.example.com", ": the helper cannot send messages now"];
        let is_of_it = |line: &&str| of_the_server.iter().any(|it| line.contains(it));
        let others = complaints.lines().filter(|line| !is_of_it(line));
        assert_eq!(others.collect::<Vec<_>>(), [""; 0], "{command}");
    }
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
        [("DESTDIR=/a b", "may not contain spaces"), ("PROFILE_DIR=/nowhere", "run make first")]
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
