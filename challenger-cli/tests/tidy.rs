//! The house checks itself: the documents' promises about the code still hold.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use challenger_server::config::{Config, Disk, Environment};
use challenger_server::settings::{DESTINATION_OPTIONS, METRICS_OPTIONS, OPTIONS};
use challenger_server::shipped::Shipped;
use serde_json::Value;

/// The newest Rust that a dependency may ask for: major and minor.
const MSRV: (u64, u64) = (1, 89);

/// The rooms of the core from top to bottom: each uses those below it only.
const ROOMS: [&str; 17] = [
    "lib", "testing", "step", "endpoint", "service", "store", "machine", "http", "oauth",
    "address", "percent", "media", "secret", "refusal", "failure", "text", "time",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// All files below a folder with this ending.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_str().unwrap().ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn rust_files() -> Vec<PathBuf> {
    ["challenger-proto", "challenger-server", "challenger-cli"]
        .into_iter()
        .flat_map(|folder| files(folder, ".rs"))
        .collect()
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// How many packages a package's normal dependencies are, itself included.
fn package_count(arguments: &[&str]) -> usize {
    let mut all = vec!["tree", "--locked", "--edges", "normal", "--prefix", "none", "--package"];
    all.extend(arguments);
    let tree = cargo(&all);
    let packages: BTreeSet<&str> =
        tree.lines().map(|line| line.trim_end_matches(" (*)").trim()).collect();
    packages.len()
}

#[test]
fn dependencies_stay_few() {
    let core = package_count(&["challenger-proto"]);
    assert!(core <= 40, "the core has {core} packages");
    let server = package_count(&["challenger-server"]);
    assert!(server <= 120, "the server has {server} packages");
    let lean = ["challenger-server", "--no-default-features", "--features", "postgres"];
    let lean = package_count(&lean);
    assert!(lean < server, "{lean} packages: SQLite can be left out");
    let programs = ["challenger-cli", "--no-default-features", "--features", "postgres"];
    let tree = ["tree", "--locked", "--edges", "normal", "--prefix", "none", "--package"];
    let tree = cargo(&[&tree[..], &programs].concat());
    assert!(!tree.contains("ureq "), "only the demonstration and gateways need it: {tree}");
    let programs = package_count(&programs);
    assert!(programs <= 116, "the programs have {programs} packages, with PostgreSQL alone");
}

#[test]
fn no_locked_package_asks_for_a_newer_rust() {
    let metadata: Value =
        serde_json::from_str(&cargo(&["metadata", "--locked", "--format-version", "1"])).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 50, "the right list");
    for package in packages {
        let Some(version) = package["rust_version"].as_str() else { continue };
        let mut numbers = version.split('.').map(|part| part.parse::<u64>().unwrap());
        let asked = (numbers.next().unwrap(), numbers.next().unwrap_or(0));
        assert!(asked <= MSRV, "{} asks for Rust {version}", package["name"]);
    }
    let manifest = read("Cargo.toml");
    assert!(manifest.contains(&format!("rust-version = \"{}.{}\"", MSRV.0, MSRV.1)));
}

#[test]
fn every_file_says_what_it_is_and_is_not_too_long() {
    for path in rust_files() {
        let text = fs::read_to_string(&path).unwrap();
        let is_test = path
            .components()
            .any(|part| part.as_os_str() == "tests" || part.as_os_str() == "testkit");
        let most = if is_test { 500 } else { 450 };
        let path = path.display();
        assert!(text.starts_with("//! "), "{path} begins with a sentence");
        // Tests stand at the end of a file and count for themselves.
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let lines = code.lines().count();
        assert!(lines <= most, "{path} has {lines} lines");
        for (number, line) in text.lines().enumerate() {
            let width = line.chars().count();
            assert!(width <= 100, "{path}:{} has {width} columns", number + 1);
        }
    }
}

#[test]
fn the_core_cannot_name_std() {
    let root = read("challenger-proto/src/lib.rs");
    assert!(root.contains("#![no_std]") && !root.contains("extern crate std"));
}

#[test]
fn arrows_in_the_core_point_down() {
    let floor_of = |room: &str| {
        let floor = ROOMS.iter().position(|it| *it == room);
        floor.unwrap_or_else(|| panic!("{room} is not a room"))
    };
    let source = root().join("challenger-proto/src");
    for path in files("challenger-proto/src", ".rs") {
        let inside = path.strip_prefix(&source).unwrap();
        let room = inside.components().next().unwrap().as_os_str().to_str().unwrap();
        let room = room.trim_end_matches(".rs");
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        for used in code.split("crate::").skip(1) {
            let used = used.split([':', ';', '`', ']', ')', ' ']).next().unwrap();
            let is_below = ROOMS.contains(&used) && floor_of(room) <= floor_of(used);
            // Names that the crate re-exports at its root, for links in comments.
            let is_root = used.starts_with(char::is_uppercase);
            assert!(is_below || is_root, "{room} uses {used}, which stands above it");
            let strangers = matches!(room, "machine" | "store") && used == "http";
            assert!(!strangers, "{room} must not know {used}");
        }
    }
}

/// The options of `[PATHS]`: those that are set in a configuration of one empty file.
fn path_options() -> BTreeSet<String> {
    let environment = Environment { directory: root(), ..Environment::default() };
    let config = Config::load(&Disk, &environment, Some(Path::new("/dev/null"))).unwrap();
    let paths = config.section("PATHS").unwrap();
    paths.settings.iter().map(|setting| setting.name.clone()).collect()
}

/// A page of the manual, with plain minus signs and without its fonts.
fn manual(name: &str) -> String {
    let mut text = read(&format!("docs/man/{name}")).replace("\\-", "-");
    for font in ["\\fB", "\\fI", "\\fR"] {
        text = text.replace(font, "");
    }
    text
}

/// The lines of a section of a page.
fn chapter<'a>(page: &'a str, title: &str) -> Vec<&'a str> {
    let lines = page.lines().skip_while(|line| *line != format!(".SH {title}")).skip(1);
    let lines: Vec<&str> = lines.take_while(|line| !line.starts_with(".SH ")).collect();
    assert!(!lines.is_empty(), "there is no {title}: {page}");
    lines
}

/// The items of a list in the manual.
fn items<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    lines.windows(2).filter(|pair| pair[0] == ".TP").map(|pair| pair[1]).collect()
}

/// The output of a program with these arguments.
fn said(command: &mut Command, arguments: &[&str]) -> String {
    let output = command.args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The programs with what `-h` prints.
fn helps() -> Vec<(String, String)> {
    let of = |program: &str| said(&mut Command::new(program), &["-h"]);
    let demo = env!("CARGO_BIN_EXE_challenger");
    let programs = [
        ("challenger", of(demo) + &said(&mut Command::new(demo), &["demo", "-h"])),
        ("challenger-admin", of(env!("CARGO_BIN_EXE_challenger-admin"))),
        ("challenger-config", of(env!("CARGO_BIN_EXE_challenger-config"))),
        ("challenger-dbinit", of(env!("CARGO_BIN_EXE_challenger-dbinit"))),
        ("challenger-httpd", of(env!("CARGO_BIN_EXE_challenger-httpd"))),
        ("challenger-send-email", of(env!("CARGO_BIN_EXE_challenger-send-email"))),
        ("challenger-send-http", of(env!("CARGO_BIN_EXE_challenger-send-http"))),
    ];
    let helpers = files("challenger-cli/helpers", "").into_iter().map(|path| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, of(path.to_str().unwrap()))
    });
    programs.map(|(name, help)| (name.to_owned(), help)).into_iter().chain(helpers).collect()
}

#[test]
fn help_and_manual_know_the_same_flags_and_exit_codes() {
    for (program, help) in helps() {
        let mut in_help = BTreeSet::new();
        for line in help.lines().filter(|line| line.trim_start().starts_with('-')) {
            let words = line.split_whitespace().map(|word| word.trim_end_matches(','));
            in_help.extend(words.take_while(|word| word.starts_with('-')));
        }
        assert!(in_help.contains("-h"), "{help}");
        assert!(help.contains("\nExamples:\n") && help.contains("\nNotes:\n"), "{help}");
        let (_, notes) = help.split_once("Exit status: ").unwrap();
        let notes = notes.split("More:").next().unwrap();
        let codes = numbers(notes);

        let page = manual(&format!("{program}.1"));
        for title in ["NAME", "SYNOPSIS", "DESCRIPTION", "EXAMPLES", "SEE ALSO"] {
            chapter(&page, title);
        }
        let in_manual: BTreeSet<&str> = items(&chapter(&page, "OPTIONS"))
            .into_iter()
            .flat_map(|item| item.split([' ', ',', '=']))
            .filter(|word| word.starts_with('-'))
            .collect();
        assert_eq!(in_manual, in_help, "{program}");
        let codes_in_manual = items(&chapter(&page, "EXIT STATUS")).join("\n");
        assert_eq!(numbers(&codes_in_manual), codes, "{program}");
    }
}

/// The numbers in a text.
fn numbers(text: &str) -> BTreeSet<u32> {
    text.split(|it: char| !it.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

/// The names of settings in a text: words in capital letters with an underscore.
fn setting_names(text: &str) -> BTreeSet<String> {
    let words = text.split(|it: char| !(it.is_ascii_alphanumeric() || it == '_'));
    let is_setting = |word: &&str| {
        ["CHALLENGER_F", "PINGEN_", "TELESIGN_"].iter().any(|beginning| word.starts_with(beginning))
    };
    words.filter(is_setting).map(String::from).collect()
}

#[test]
fn help_and_manual_of_a_helper_know_its_settings() {
    for program in ["challenger-send-file.sh", "challenger-send-post.sh", "challenger-send-sms.sh"]
    {
        let path = root().join("challenger-cli/helpers").join(program);
        let settings = setting_names(&fs::read_to_string(&path).unwrap());
        assert!(!settings.is_empty());
        let help = said(&mut Command::new(&path), &["-h"]);
        assert_eq!(setting_names(&help), settings, "{program}");
        let page = manual(&format!("{program}.1"));
        let documented = items(&chapter(&page, "ENVIRONMENT")).join(" ");
        assert_eq!(setting_names(&documented), settings, "{program}");
    }
}

#[test]
fn the_manual_of_the_helper_for_gateways_knows_its_settings() {
    let helper = Shipped::find("challenger-send-http").unwrap();
    let settings: BTreeSet<&str> = helper.settings.iter().copied().collect();
    assert!(settings.len() > 20, "{settings:?}");
    let page = manual("challenger-send-http.1");
    let items = items(&chapter(&page, "ENVIRONMENT")).join(" ");
    let words = items.split(|it: char| !(it.is_ascii_alphanumeric() || it == '_'));
    let documented: BTreeSet<&str> = words.filter(|word| word.starts_with("HTTP_")).collect();
    assert_eq!(documented, settings);
    let table = read("docs/deliver.md");
    for setting in settings {
        assert!(table.contains(&format!("`{setting}`")), "{setting} is not in docs/deliver.md");
    }
}

#[test]
fn shellcheck_has_nothing_to_say_about_the_scripts() {
    let mut scripts = files("challenger-cli/helpers", "");
    scripts
        .extend(["challenger-cli/completions/generate", "debian/place"].map(|it| root().join(it)));
    scripts.extend(files("testdata", ".sh"));
    // One is in Python.
    scripts.retain(|path| fs::read_to_string(path).unwrap().starts_with("#!/bin/sh"));
    assert!(scripts.len() > 10, "{scripts:?}");
    let output = Command::new("shellcheck").args(&scripts).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn the_manual_knows_every_option_and_no_other() {
    let page = manual("challenger.conf.5");
    for title in ["NAME", "DESCRIPTION", "FILES", "EXAMPLES", "SEE ALSO"] {
        chapter(&page, title);
    }
    let lines = chapter(&page, "OPTIONS");
    let mut sections: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let mut section = "";
    for pair in lines.windows(2) {
        section = pair[0].strip_prefix(".SS ").unwrap_or(section);
        if pair[0] == ".TP" {
            let (option, _) = pair[1].split_once(" = ").unwrap();
            sections.entry(section).or_default().insert(option.to_owned());
        }
    }
    let mut take = |section: &str| sections.remove(section).unwrap();
    assert!(take("[challenger]").iter().eq(OPTIONS));
    assert!(take("[challenger-destination-NAME]").iter().eq(&DESTINATION_OPTIONS));
    assert!(take("[challenger-metrics]").iter().eq(&METRICS_OPTIONS));
    assert!(take("[challengerdb-postgres]").iter().eq(["CONFIG"]));
    assert!(take("[challengerdb-sqlite]").iter().eq(["FILENAME"]));
    assert_eq!(take("[PATHS]"), path_options());
    assert!(sections.is_empty(), "{sections:?}");
}

/// The variables that a template or a catalogue uses: the names in tags that are neither comments
/// nor partials. Fields of addresses are the operator's affair, and all stand as `FIELD`.
fn variables(text: &str) -> BTreeSet<String> {
    let is_field = |part: &str| {
        part == "filename" || part.chars().all(|it| it.is_ascii_uppercase() || it == '_')
    };
    let tags = text.split("{{").skip(1).map(|rest| rest.split("}}").next().unwrap());
    let tags = tags.filter(|tag| !tag.starts_with(['!', '>']));
    let names = tags.map(|tag| tag.trim_start_matches(['#', '^', '/', '{']));
    let names = names.filter(|name| *name != ".").map(|name| {
        let parts = name.split('.').map(|part| if is_field(part) { "FIELD" } else { part });
        parts.collect::<Vec<_>>().join(".")
    });
    names.collect()
}

#[test]
fn the_manual_knows_every_variable_and_no_other() {
    let page = manual("challenger.conf.5");
    let lines = chapter(&page, "TEMPLATES");
    let told = lines.into_iter().skip_while(|line| *line != ".SS Variables of pages");
    // A text in bold is the name of a variable, unless it begins with a capital letter or a
    // bracket.
    let told = told.filter_map(|line| line.strip_prefix(".B").map(|rest| rest.replace("\\ ", " ")));
    let told: BTreeSet<String> = told
        .flat_map(|line| line.split_whitespace().map(String::from).collect::<Vec<_>>())
        .filter(|word| !word.starts_with('['))
        .map(|word| word.trim_matches(|it: char| !(it.is_alphanumeric() || it == '_')).to_owned())
        .filter(|word| word.starts_with(|it: char| it.is_ascii_lowercase()))
        .collect();

    let mut used = BTreeSet::new();
    for path in files("templates", "") {
        for name in variables(&fs::read_to_string(&path).unwrap()) {
            assert!(told.contains(&name), "{} has {name}: {told:?}", path.display());
            used.insert(name);
        }
    }
    assert!(used.len() > 40, "{used:?}");

    let mut sources = files("challenger-proto/src", ".rs");
    // The page layer adds the names of countries.
    sources.extend(files("challenger-server/src/pages", "countries.rs"));
    let sources: String = sources.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    for name in told {
        // The names of errors and fields are not in quotes there.
        let parts = name.split('.').filter(|part| part.starts_with(char::is_lowercase));
        for part in parts {
            assert!(sources.contains(&format!("\"{part}\"")), "there is no {name}");
        }
    }
}

#[test]
fn the_documents_speak_of_this_project_alone() {
    let sources = ["challenger-proto", "challenger-server", "challenger-cli"];
    for folder in sources.into_iter().chain(["templates", "docs"]) {
        for path in files(folder, "") {
            let Ok(text) = fs::read_to_string(&path) else { continue };
            assert!(!text.contains(root().to_str().unwrap()), "{}", path.display());
        }
    }
}

/// The patches of `make planted-bugs` have to fit the sources, and say which invariant they break.
#[test]
fn planted_bugs_can_still_be_planted() {
    let patches = files("testdata/planted", ".patch");
    assert!(patches.len() >= 20);
    for path in patches {
        let patch = fs::read_to_string(&path).unwrap();
        let path = path.display();
        let first = patch.lines().next().unwrap();
        assert!(first.contains("; caught by I") && first.ends_with('.'), "{path}: {first}");
        let target = patch.lines().find_map(|line| line.strip_prefix("--- a/")).unwrap();
        let source = read(target);
        for hunk in patch.split("\n@@ ").skip(1) {
            let lines = hunk.lines().skip(1);
            let before =
                lines.filter_map(|line| line.strip_prefix(['-', ' '])).map(|it| format!("{it}\n"));
            let before: String = before.collect();
            assert_eq!(
                source.matches(&before).count(),
                1,
                "{path} does not fit {target}:\n{before}"
            );
        }
    }
}
