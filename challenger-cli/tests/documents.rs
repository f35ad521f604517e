//! The documents keep their word: links lead somewhere, nothing is left out, and every command that
//! readers are to type works.

#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod markdown;
mod site;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use challenger_proto::Service;
use challenger_proto::address::AddressType;
use challenger_proto::http::{Page, PageName};
use challenger_server::pages::{Messages, Sources, Templates};
use markdown::{block, blocks, read, root, section};
use serde_json::{Value, json};
use site::{binary, free_pair, free_port, stderr, stdout};

/// All documents with their texts.
fn documents() -> BTreeMap<PathBuf, String> {
    let folders = [root().to_path_buf(), root().join("docs")];
    let entries = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    let paths = entries.map(|entry| entry.unwrap().path());
    let is_document = |path: &PathBuf| path.extension().is_some_and(|it| it == "md");
    paths
        .filter(is_document)
        .map(|path| (path.clone(), fs::read_to_string(path).unwrap()))
        .collect()
}

/// The text without its code.
fn prose(text: &str) -> String {
    let outside: String = text.split("```").step_by(2).collect();
    outside.split('`').step_by(2).collect()
}

/// The name of a heading in a link.
fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    heading.trim().to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")
}

fn anchors(text: &str) -> BTreeSet<String> {
    let text = prose(text);
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#'))).collect()
}

#[test]
fn links_lead_somewhere() {
    let documents = documents();
    let mut count = 0;
    for (path, text) in &documents {
        let text = prose(text);
        let targets = text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap());
        for target in targets.filter(|target| !target.starts_with("https://")) {
            let (file, part) = target.split_once('#').unwrap_or((target, ""));
            let found = match file {
                "" => path.clone(),
                _ => fs::canonicalize(path.parent().unwrap().join(file))
                    .unwrap_or_else(|_| panic!("{}: {target}", path.display())),
            };
            let has = |text: &String| part.is_empty() || anchors(text).contains(part);
            assert!(documents.get(&found).is_none_or(has), "{}: {target}", path.display());
            count += 1;
        }
    }
    assert!(count > 50, "{count} links");
}

#[test]
fn examples_are_json() {
    let examples: Vec<String> = documents().values().flat_map(|it| blocks(it, "json")).collect();
    assert!(examples.len() >= 7, "{examples:?}");
    for example in examples {
        let parsed: Result<Value, _> = serde_json::from_str(&example);
        assert!(parsed.is_ok(), "{example}");
    }
}

#[test]
fn the_message_of_ones_own_reads_as_it_is_shown() {
    let manual = read("docs/configure.md");
    let told = section(&manual, "## Messages");
    let shown = blocks(told, "text").remove(0);
    let messages = Messages::parse(&Sources::embedded(), &block(told, "mustache")).unwrap();
    assert_eq!(messages.warnings(), [""; 0]);
    let data = json!({
        "pin": "1234-5678", "client": "shop.example", "host": "challenger.example.com",
        "reference": "NBQNJR", "valid": {"hours": 24},
        "until": {"day": 30, "november": true, "year": 2026, "hour": "04", "minute": "25"},
    });
    assert_eq!(messages.render("en", &data.into()).unwrap().text, shown);
}

#[test]
fn the_page_of_ones_own_is_good() {
    let manual = read("docs/configure.md");
    let told = section(&manual, "## Pages");
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("enter-email-form.must"), block(told, "html")).unwrap();
    let mut sources = Sources::embedded();
    assert_eq!(sources.overlay(folder.path()), []);
    let (templates, errors) = Templates::compile(&sources);
    assert_eq!(errors, []);
    let email = AddressType::new("email").unwrap();
    let mut service = Service::new(email.clone());
    service.pages = templates.page_set(&email);
    let complaints = templates.warnings().map(str::to_owned).chain(templates.dead_ends(&service));
    assert_eq!(complaints.collect::<Vec<_>>(), [""; 0]);
    let data = json!({
        "client": "shop.example", "service": "Example", "nonce": "N", "can_retry": true,
        "fields": [{"shown": "a•••@example.com"}],
        "last_address": {"CONTACT_EMAIL": "ada@b.example"},
    });
    let name = PageName::EnterAddressForm;
    let page = Page { name, language: "de".to_owned(), data: data.into() };
    let html = templates.render(&page, &email).unwrap();
    for part in ["<html lang=\"de\"", "shop.example", "ada@b.example", "a•••@", "../solve/N"]
    {
        assert!(html.contains(part), "{part}: {html}");
    }
}

#[test]
fn the_reference_has_every_path() {
    let reference = read("docs/api.md");
    let table = read("challenger-proto/src/endpoint/route.rs");
    let is_route = |text: &&str| text.starts_with('/') && !text.contains([' ', '\n']);
    let routes: BTreeSet<&str> = table.split('"').filter(is_route).collect();
    assert!(routes.len() >= 12, "{routes:?}");
    for route in routes {
        assert!(reference.contains(&format!("{route}`")), "{route} is not in docs/api.md");
    }
}

/// challenger.conf(5) is compared with the program elsewhere.
#[test]
fn the_manual_has_every_option() {
    let (_, options) = read("docs/man/challenger.conf.5")
        .split_once(".SH OPTIONS\n")
        .map(|(before, options)| (before.to_owned(), options.to_owned()))
        .unwrap();
    // Only that section explains the names behind a $.
    let options = options.split(".SS [PATHS]").next().unwrap();
    let lines: Vec<&str> = options.lines().collect();
    let items = lines.windows(2).filter(|pair| pair[0] == ".TP").map(|pair| pair[1]);
    let names: BTreeSet<&str> = items
        .filter_map(|item| item.strip_prefix("\\fB")?.split_once("\\fR = ").map(|(name, _)| name))
        .collect();
    assert!(names.len() >= 29, "{names:?}");
    let manual = read("docs/configure.md");
    for name in names {
        assert!(manual.contains(&format!("{name}`")), "{name} is not in docs/configure.md");
    }
}

#[test]
fn the_manual_knows_all_programs_and_uses_no_others() {
    let manual = read("docs/manual.md");
    let (_, table) = manual.split_once("The programs:\n\n").unwrap();
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    let first_cells = rows.filter_map(|row| row.split('|').nth(1));
    let known: BTreeSet<&str> =
        first_cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    for page in fs::read_dir(root().join("docs/man")).unwrap() {
        let page = page.unwrap().file_name().into_string().unwrap();
        let program = page.strip_suffix(".1");
        assert!(program.is_none_or(|name| known.contains(name)), "{page} is not in the table");
    }

    let mut used = BTreeSet::new();
    for (path, text) in documents() {
        for line in blocks(&text, "sh").iter().flat_map(|block| block.lines()) {
            let words: Vec<&str> = line.split_whitespace().collect();
            for (index, word) in words.iter().enumerate() {
                let before = index.checked_sub(1).map_or("|", |before| words[before]);
                let begins = matches!(before, "|" | "--" | "&&") || word.contains("$(");
                let word = word.rsplit("$(").next().unwrap();
                if begins && word.starts_with("challenger") {
                    assert!(known.contains(word), "{}: {line}", path.display());
                    used.insert(word.to_owned());
                }
            }
        }
    }
    assert!(used.len() >= 5, "{used:?}");
}

#[test]
fn what_readers_are_told_to_make_can_be_made() {
    let makefile = read("Makefile");
    let rules = makefile.lines().filter(|line| !line.starts_with(['\t', '#', ' ']));
    let rules = rules.filter_map(|line| line.split_once(':'));
    let targets: BTreeSet<&str> =
        rules.flat_map(|(targets, _)| targets.split_whitespace()).collect();
    let mut told = BTreeSet::new();
    for (path, text) in documents() {
        // In a line of a script, or in the prose as code; never as a verb.
        let scripts = blocks(&text, "sh").concat();
        let outside: String = text.split("```").step_by(2).collect();
        let quoted = outside.split('`').skip(1).step_by(2);
        for line in scripts.lines().chain(quoted) {
            let line = line.trim().trim_start_matches("sudo ");
            let Some(arguments) = line.strip_prefix("make ") else { continue };
            let words = arguments.split_whitespace().take_while(|word| *word != "#");
            for target in words.filter(|word| !word.contains('=')) {
                assert!(targets.contains(target), "{}: {line}", path.display());
                told.insert(target.to_owned());
            }
        }
    }
    assert!(told.len() >= 4, "{told:?}");
}

#[test]
fn the_walk_through_works_when_pasted() {
    let reference = read("docs/api.md");
    let walk = section(&reference, "### A walk through");
    let told: Value = serde_json::from_str(&block(walk, "json")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let somebody = TcpListener::bind(("127.0.0.1", port)).unwrap();
    // Twice in the same folder: on a port that somebody has, and on one that is free.
    for held in [Some(somebody), None] {
        let proof = paste(&blocks(walk, "sh").concat(), folder.path(), port);
        assert_eq!(proof["address"], json!({"CONTACT_EMAIL": "ada@example.com"}));
        let names = |it: &Value| it.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&told), names(&proof));
        let config = fs::read_to_string(folder.path().join("try.conf")).unwrap();
        let is_there = config.contains(&format!("\nPORT = {port}\n"));
        assert_eq!(is_there, held.is_none(), "{config}");
    }
}

#[test]
fn gnu_talers_protocol_works_when_pasted() {
    let reference = read("docs/api.md");
    let walk = blocks(section(&reference, "### A walk through"), "sh");
    let other = block(section(&reference, "## GNU Taler's protocol"), "sh");
    let folder = tempfile::tempdir().unwrap();
    let commands = [&walk[0], &walk[1], &other].map(String::as_str).concat();
    let state = paste(&commands, folder.path(), free_port());
    assert_eq!(state["last_address"], json!({"CONTACT_EMAIL": "ada@example.com"}));
}

/// Pastes a script into a shell in a folder.
fn run(script: &str, folder: &Path, port: u16) -> Output {
    let programs = Path::new(binary("challenger")).parent().unwrap().display();
    let path = format!("{programs}:{}", std::env::var("PATH").unwrap());
    let mut shell = Command::new("timeout");
    shell.args(["60", "sh", "-c", script]).current_dir(folder).env("PATH", path);
    shell.env("HOME", folder).env("CHALLENGER_BASE_CONFIG", folder.join("none"));
    shell.env("PORT", port.to_string()).output().unwrap()
}

/// Pastes commands in a folder, with a port to begin at, and returns the JSON that is shown last.
fn paste(commands: &str, folder: &Path, port: u16) -> Value {
    // Whatever goes wrong, no process is left.
    let script = format!("set -eu\ntrap 'kill $SERVER || true' EXIT\n{commands}");
    let output = run(&script, folder, port);
    let (said, complained) = (stdout(&output), stderr(&output));
    assert!(said.contains("serving on"), "{complained}");
    let last = said.lines().last().unwrap();
    serde_json::from_str(last).unwrap_or_else(|_| panic!("{said}{complained}"))
}

#[test]
fn an_applications_own_tests_run_as_they_are_told() {
    let reference = read("docs/api.md");
    let told = section(&reference, "## Testing your client");
    let scripts = blocks(told, "sh");
    assert_eq!(scripts.len(), 1);
    let port = free_pair();
    let folder = tempfile::tempdir().unwrap();
    let script = scripts[0].replace("9967", &port.to_string());
    let output = run(&format!("{script}curl -sf $INBOX\n"), folder.path(), port);
    let (said, complained) = (stdout(&output), stderr(&output));
    assert!(output.status.success(), "{complained}");
    let (_, end) = said.rsplit_once("The browser goes to ").unwrap();
    let (back, inbox) = end.split_once('\n').unwrap();
    assert!(back.starts_with("http://127.0.0.1:3000/callback?code="), "{back}");
    assert!(back.contains("&state=xyz"), "{back}");
    let inbox: Value = serde_json::from_str(inbox).unwrap();
    let message: Value = serde_json::from_str(&blocks(told, "json")[0]).unwrap();
    let names = |it: &Value| it.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&message), names(&inbox[0]));
    // The demonstration ended with the script: it would have kept the port.
    assert!(TcpListener::bind(("127.0.0.1", port)).is_ok());

    // If it cannot begin, nobody waits for it.
    let _taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let output = run(&script, folder.path(), port);
    assert!(!output.status.success() && output.status.code() != Some(124), "{output:?}");
    assert!(stderr(&output).contains("--port"), "{}", stderr(&output));
}

/// The names of all tests in a file.
fn tests_in(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let after = text.split("#[test]\n").skip(1);
    let names = after.map(|rest| rest.split_once("fn ").unwrap().1.split('(').next().unwrap());
    names.map(str::to_owned).collect()
}

/// All files of ours in Rust.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push(path);
        }
    }
    found
}

#[test]
fn every_attack_is_tried_where_it_is_said() {
    let text = read("docs/attacks.md");
    let rows = text.lines().filter(|line| line.starts_with("| ") && line.matches('|').count() == 4);
    let tried = rows.filter_map(|row| row.rsplit('|').nth(1)).filter(|cell| *cell != " tried by ");
    let crates = ["challenger-proto", "challenger-server", "challenger-cli"];
    let known: BTreeSet<String> = crates
        .iter()
        .flat_map(|name| rust_files(&root().join(name)))
        .flat_map(|path| tests_in(&path))
        .collect();
    let mut named = BTreeSet::new();
    for cell in tried {
        let names: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "{cell}");
        for name in names {
            let exists = if name.ends_with(".http") {
                root().join("testdata/transcripts").join(name).exists()
            } else if name.starts_with("debian/tests/") {
                root().join(name).exists()
            } else {
                known.contains(name)
            };
            assert!(exists, "{name}");
            named.insert(name.to_owned());
        }
    }
    for path in rust_files(&root().join("challenger-cli/tests/attack")) {
        for name in tests_in(&path) {
            assert!(named.contains(&name), "{name} is not in docs/attacks.md");
        }
    }
}
