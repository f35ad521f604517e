//! What the service logs of a validation, from its first request to its last, as text and as JSON.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod markdown;
mod site;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use challenger_proto::store::Milestone;
use challenger_testkit::{Reply, escape, wrong};
use markdown::{read, root, section};
use serde_json::{Map, Value};
use site::{SECRET, Site, admin, stderr, stdout};

const ADA: &str = "ada@example.com";
const BOB: &str = "bob@example.com";
const STATE: &str = "hush-hush";
const HTML: (&str, &str) = ("Accept", "text/html");

/// A line of text as an object, with texts as values.
fn object(line: &str) -> Map<String, Value> {
    let (time, rest) = line.split_once(' ').unwrap();
    let (level, rest) = rest.split_once(' ').unwrap();
    // Outside of quotes, words are separated by spaces.
    let mut words = vec![String::new()];
    for (index, part) in rest.split('"').enumerate() {
        if index % 2 == 1 {
            words.last_mut().unwrap().push_str(part);
            continue;
        }
        let mut parts = part.split(' ');
        words.last_mut().unwrap().push_str(parts.next().unwrap());
        words.extend(parts.map(str::to_owned));
    }
    let begin = words.iter().position(|word| word.contains('=')).unwrap_or(words.len());
    let event = words[..begin].join(" ");
    let fixed = [("time", time), ("level", level), ("event", &event)];
    let pairs = words[begin..].iter().map(|word| word.split_once('=').unwrap());
    fixed.into_iter().chain(pairs).map(|(key, value)| (key.to_owned(), value.into())).collect()
}

/// What is in a line, whatever it looks like: texts and numbers alike as text.
fn known(line: &Map<String, Value>, keys: &[&str]) -> String {
    let value = |key: &&str| match line.get(*key) {
        None => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    };
    keys.iter().map(value).collect::<Vec<_>>().join(" ")
}

/// The letters that a page shows beside the word.
fn reference_on(page: &Reply) -> String {
    let (_, after) = page.body.rsplit_once("reference ").unwrap();
    after.trim_start_matches("<b>").get(..6).unwrap().to_owned()
}

/// Enters an address in a browser.
fn enter(site: &Site, nonce: &str, address: &str) -> Reply {
    let form = format!("CONTACT_EMAIL={}", escape(address));
    site.post(&format!("challenge/{nonce}"), &[HTML], form)
}

/// Two validations, and requests that are about none; the references that their pages showed.
fn happen(site: &mut Site) -> [String; 2] {
    site.remember(STATE);
    site.start();
    let ada = site.setup();
    site.get(&format!("authorize/{ada}?response_type=code&client_id=1&state={STATE}"), &[HTML]);
    let page = enter(site, &ada, ADA);
    assert_eq!(page.status, 200);
    let first = reference_on(&page);
    let pin = site.pin(ADA);
    assert_eq!(site.solve(&ada, &wrong(&pin)).status, 403);
    let solved = site.solve(&ada, &pin).json()["redirect_url"].as_str().unwrap().to_owned();
    let bearer = format!("Bearer {SECRET}");
    assert_eq!(site.get(&format!("status/{ada}"), &[("Authorization", &bearer)]).status, 200);
    let token = site.token(&challenger_testkit::code_of(&solved)).member("access_token").unwrap();
    assert_eq!(site.info(&token).status, 200);
    assert_eq!(site.info(&"0".repeat(52)).status, 404);
    assert_eq!(site.post("setup/1", &[("Authorization", "Bearer none")], "").status, 404);
    assert_eq!(site.post("setup/77", &[("Authorization", &bearer)], "").status, 404);
    let unknown = "0".repeat(52);
    assert_eq!(site.solve(&unknown, "12345678").status, 404);

    site.set_helper("#!/bin/sh\ncat\necho \"$1\"\nexit 75\n");
    let bob = site.setup();
    site.get(&format!("authorize/{bob}?response_type=code&client_id=1"), &[HTML]);
    let page = enter(site, &bob, BOB);
    assert_eq!(page.status, 502);
    let second = reference_on(&page);

    let [data, away] = ["data", "away"].map(|name| site.directory.path().join(name));
    fs::rename(&data, &away).unwrap();
    assert_eq!(site.solve(&bob, "12345678").status, 500);
    fs::rename(&away, &data).unwrap();
    site.signal("TERM");
    site.wait();
    [first, second]
}

/// What is in the log of that, for each line: event, route, status, refusal, client, reference.
const EXPECTED: &str = "
    serving - - - - -
    opened - - - 1 ADA
    request /setup/$CLIENT_ID 200 - 1 ADA
    request /authorize/$NONCE 200 - 1 ADA
    budget exhausted - - - 1 ADA
    message - - - 1 ADA
    request /challenge/$NONCE 200 - 1 ADA
    request /solve/$NONCE 403 PinInvalid 1 ADA
    proved - - - 1 ADA
    request /solve/$NONCE 200 - 1 ADA
    request /status/$NONCE 200 - 1 ADA
    redeemed - - - 1 ADA
    request /token 200 - 1 ADA
    fetched - - - 1 -
    request /info 200 - 1 -
    request /info 404 GrantUnknown - -
    request /setup/$CLIENT_ID 404 ClientUnknown 1 -
    request /setup/$CLIENT_ID 404 ClientUnknown - -
    request /solve/$NONCE 404 ValidationUnknown - -
    opened - - - 1 BOB
    request /setup/$CLIENT_ID 200 - 1 BOB
    request /authorize/$NONCE 200 - 1 BOB
    budget exhausted - - - 1 BOB
    message - - - 1 BOB
    request /challenge/$NONCE 502 HelperFailed 1 BOB
    database /solve/$NONCE - StorageUnreadable 1 BOB
    request /solve/$NONCE 500 StorageUnreadable 1 BOB
    stopping - - - - -
";

#[test]
fn every_line_about_a_validation_names_its_client_and_reference() {
    for format in ["text", "json"] {
        let options = format!("LOG_FORMAT = {format}\nADDRESS_MESSAGES = 1\nPIN_TRANSMISSIONS = 1");
        let mut site = Site::new(&options);
        let [first, second] = happen(&mut site);
        let log = site.log();
        let lines: Vec<Map<String, Value>> = match format {
            "text" => log.lines().map(object).collect(),
            _ => log.lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
        };
        let keys = ["event", "route", "status", "refusal", "client", "reference"];
        let events: Vec<String> = lines.iter().map(|line| known(line, &keys)).collect();
        let expected = EXPECTED.replace("ADA", &first).replace("BOB", &second);
        let expected: Vec<&str> = expected.trim().lines().map(str::trim).collect();
        assert_eq!(events, expected, "{log}");
        assert_ne!(first, second);
    }
}

#[test]
fn json_has_numbers_as_numbers_and_nothing_that_is_unknown() {
    let mut site = Site::new("LOG_FORMAT = JSON");
    site.start();
    site.prove(ADA);
    site.stop();
    let log = site.log();
    for line in log.lines() {
        assert!(line.starts_with("{\"time\":\"20"), "{line}");
        let object: Map<String, Value> = serde_json::from_str(line).unwrap();
        let level = object["level"].as_str().unwrap();
        assert!(["INFO", "WARNING"].contains(&level), "{line}");
        for (key, value) in object {
            let is_number = ["client", "grant", "ms", "status"].contains(&key.as_str());
            assert!(if is_number { value.is_u64() } else { value.is_string() }, "{key}: {line}");
        }
    }
    let requests = log.lines().filter(|line| line.contains("\"event\":\"request\"")).count();
    assert_eq!(requests, 5, "{log}");
    assert_eq!(log.matches("\"event\":\"fetched\",\"client\":1,\"grant\":1}").count(), 1, "{log}");
}

#[test]
fn at_the_usual_level_a_flow_without_trouble_leaves_no_line() {
    let mut site = Site::new("");
    let mut server = site.command("challenger-httpd");
    server.stdin(std::process::Stdio::null());
    site.start_as(server);
    site.wait_for_server();
    site.prove(ADA);
    site.stop();
    assert_eq!(site.log(), "");
}

#[test]
fn the_format_is_one_of_two() {
    let site = Site::new("LOG_FORMAT = xml");
    for arguments in [&["--check"][..], &[]] {
        let output = site.run("challenger-httpd", arguments);
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(6), ""));
        let complaint = "[challenger] LOG_FORMAT = \"xml\": expected json or text";
        assert!(stderr(&output).contains(complaint), "{}", stderr(&output));
    }
    // It is none of the business of other programs.
    assert_eq!(admin(&site, &["--list"]).status.code(), Some(0));
}

/// Events with their keys.
type Events = BTreeMap<String, BTreeSet<String>>;

/// The events that a source logs, by what stands in its macros: `(level, key = …, key:%; "event")`.
fn logged_in(source: &str, events: &mut Events) {
    let begins = ["log::error!(", "log::warn!(", "log::info!(", "log::log!("];
    let calls = begins.iter().flat_map(|begin| source.split(begin).skip(1));
    for call in calls {
        let (mut depth, mut is_text, mut parts, mut event) = (0, false, vec![String::new()], None);
        for (index, c) in call.char_indices() {
            match c {
                '"' => is_text = !is_text,
                _ if is_text => {}
                '(' | '[' => depth += 1,
                ')' | ']' if depth == 0 => break,
                ')' | ']' => depth -= 1,
                ',' if depth == 0 => parts.push(String::new()),
                ';' if depth == 0 => {
                    event = call[index..].split('"').nth(1);
                    break;
                }
                _ => {}
            }
            parts.last_mut().unwrap().push(c);
        }
        // Others are sentences.
        let Some(event) = event else { continue };
        let names = match event {
            "{event}" if source.contains("milestone()") => {
                Milestone::ALL.iter().map(|it| it.name()).collect()
            }
            "{event}" => vec!["budget exhausted", "budget nearly exhausted"],
            event => vec![event],
        };
        let key = |part: &String| {
            let part = part.trim_matches(|c: char| c == ',' || c.is_whitespace());
            part.split([':', '=', ' ']).next().unwrap().to_owned()
        };
        let keys: Vec<String> = parts.iter().map(key).collect();
        for name in names {
            let known = events.entry(name.to_owned()).or_default();
            known.extend(keys.iter().filter(|key| !key.is_empty() && *key != "level").cloned());
        }
    }
}

fn search(folder: &Path, events: &mut Events) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            search(&path, events);
        } else if path.extension().is_some_and(|it| it == "rs") {
            logged_in(&fs::read_to_string(path).unwrap(), events);
        }
    }
}

#[test]
fn the_manual_has_each_event_with_its_keys() {
    let mut events = Events::new();
    for folder in ["challenger-server/src", "challenger-cli/src"] {
        search(&root().join(folder), &mut events);
    }
    // The logger's own.
    for (event, key) in [("log lines", "lost"), ("log not reopened", "error")] {
        let source = read("challenger-cli/src/logger.rs");
        assert!(
            source.contains(&format!("\"{event}\"")) && source.contains(&format!("(\"{key}\""))
        );
        events.insert(event.to_owned(), BTreeSet::from([key.to_owned()]));
    }
    let manual = read("docs/operate.md");
    let mut told = Events::new();
    let levels = ["| ERROR ", "| WARNING ", "| INFO "];
    let rows = section(&manual, "## The log").lines();
    for row in rows.filter(|row| levels.iter().any(|level| row.starts_with(level))) {
        let cells: Vec<&str> = row.split('|').collect();
        let words = |cell: &str| -> Vec<String> {
            cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
        };
        for event in words(cells[2]) {
            told.entry(event).or_default().extend(words(cells[3]));
        }
    }
    let service = read("challenger-cli/src/httpd.rs");
    for event in ["stopped by a second signal", "stopping"] {
        assert!(service.contains(&format!("!(\"{event}\");")), "{event}");
        events.insert(event.to_owned(), BTreeSet::new());
    }
    assert!(events.len() > 20, "{events:?}");
    assert_eq!(told, events);
}
