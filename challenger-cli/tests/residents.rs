//! A helper that stays, at the real server: people prove addresses with it, its misdeeds cost one
//! message each, and it ends with the service.

#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod holdings;
mod provider;
mod site;

use std::fs;
use std::path::Path;
use std::sync::Mutex;

use challenger_testkit::{Reply, at_once, wait_for};
use holdings::{Holdings, at_rest};
use provider::{Act, Provider};
use serde_json::{Value, json};
use site::Site;

/// The head of a helper's script: it works in the folder of the site, and notes its start.
const HEAD: &str = "#!/bin/sh\ncd \"$(dirname \"$0\")\"\necho $$ >>started\n";

/// Keeps each message in the outbox.
const KEEP: &str = r#"keep() {
    name=$(mktemp outbox/XXXXXX)
    printf '%s' "$line" | jq -j .argument >"$name.address"
    printf '%s' "$line" | jq -j .message >"$name.message"
}
"#;

/// Keeps all messages, and answers well.
const GOOD: &str = "while read -r line; do keep; echo '{\"status\":0}'; done\n";

fn started(options: &str, script: &str) -> Site {
    let mut site = Site::new(&format!("AUTH_HELPER = resident\nADDRESS_MESSAGES = 0\n{options}"));
    site.set_helper(&format!("{HEAD}{KEEP}{script}"));
    site.start();
    site
}

fn send(site: &Site) -> Reply {
    site.challenge(&site.setup(), "ada@example.com")
}

/// Has so many messages sent at the same time.
fn send_at_once(site: &Site, count: usize) -> Vec<Reply> {
    let nonces = Mutex::new((0..count).map(|_| site.setup()).collect::<Vec<_>>());
    at_once(count, || {
        let nonce = nonces.lock().unwrap().pop().unwrap();
        site.challenge(&nonce, "ada@example.com")
    })
}

fn lines(site: &Site, name: &str) -> Vec<String> {
    let text = fs::read_to_string(site.directory.path().join(name)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Whether a process runs. Where nobody waits for orphans, a dead one stays as a zombie.
fn runs(process: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with(['X', 'Z']))
}

#[test]
fn people_prove_their_addresses_by_one_process() {
    let mut site = started(
        "",
        &format!(
            "env >environment\n{}",
            GOOD.replace("keep;", "keep; printf '%s\\n' \"$line\" >>got;")
        ),
    );
    for name in ["ada", "bob", "cyd"] {
        site.prove(&format!("{name}@example.com"));
    }
    let reply = site.post(
        &format!("challenge/{}", site.setup()),
        &[("Accept-Language", "de")],
        "CONTACT_EMAIL=d%40example.com",
    );
    assert_eq!(reply.status, 200);
    assert_eq!(lines(&site, "started").len(), 1);
    let got: Vec<Value> =
        lines(&site, "got").iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(got.len(), 4);
    let last = got[3].as_object().unwrap();
    let names: Vec<&str> = last.keys().map(String::as_str).collect();
    assert_eq!(names, ["address", "argument", "language", "message", "reference", "subject"]);
    assert_eq!(last["address"], json!({"CONTACT_EMAIL": "d@example.com"}));
    assert_eq!(last["argument"], "{\"CONTACT_EMAIL\":\"d@example.com\"}");
    assert_eq!(last["language"], "de");
    let reference = last["reference"].as_str().unwrap();
    let subject = last["subject"].as_str().unwrap();
    assert_eq!(subject, format!("Ihr Code für client.example (Referenz {reference})"));
    assert!(
        last["message"]
            .as_str()
            .unwrap()
            .starts_with("client.example möchte Ihre E-Mail-Adresse überprüfen. ")
    );
    let environment = lines(&site, "environment");
    assert!(!environment.iter().any(|it| it.starts_with("CHALLENGER_")), "{environment:?}");
    site.stop();
    let log = site.log();
    assert_eq!(log.matches(" INFO helper started program=").count(), 1, "{log}");
    assert_eq!(log.matches(" INFO helper ended program=").count(), 1, "{log}");
    assert_eq!(log.matches(" INFO message program=").count(), 4, "{log}");
}

#[test]
fn a_misdeed_costs_one_message_and_is_logged_without_secrets() {
    let tells = "echo \"$line\" >&2; printf 'nothing for %s\\n' \"$line\"";
    let quoted =
        "printf '%s' \"$line\" | jq -c '{status: 75, log: \"\\(.argument) \\(.message)\"}'";
    for (script, error, kind) in [
        ("exit 78", "status 78", "configuration"),
        ("kill -KILL $$", "signal 9", "unknown"),
        (quoted, "status 75", "later"),
        (tells, "did not answer with an object", "unknown"),
        ("echo '{\"status\":67}'", "status 67", "address"),
        ("sleep 1000", "timed out after 8s", "unknown"),
    ] {
        let once =
            format!("while read -r line; do [ -e next ] || {{ >next; {script}; continue; }}");
        let options = match script {
            "sleep 1000" => "AUTH_TIMEOUT = 8 s",
            _ => "",
        };
        let mut site = started(options, &format!("{once}; keep; echo '{{\"status\":0}}'; done\n"));
        let reply = send(&site);
        assert_eq!(reply.refusal(), (502, 9752), "{script}: {}", reply.body);
        let detail = reply.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(error), "{script}: {detail}");
        site.prove("ada@example.com");
        site.stop();
        let log = site.log();
        let line = log.lines().find(|line| line.contains(" WARNING message program="));
        let line = line.unwrap_or_else(|| panic!("{log}"));
        assert!(line.contains(&format!(" failure={kind} error=\"{error}")), "{line}");
        let stayed = lines(&site, "started").len() == 1;
        assert_eq!(stayed, matches!(script, it if it == quoted || it.contains("67")), "{script}");
        let failed = log.lines().filter(|line| line.contains(" WARNING helper failed program="));
        let failed: Vec<&str> = failed.collect();
        assert_eq!(failed.is_empty(), stayed, "{log}");
        assert!(failed.iter().all(|line| line.ends_with(" pause_ms=0")), "{failed:?}");
        assert!(script != tells || line.contains("said=\"nothing for {"), "{line}");
        // The site looks for the address and the code in the log.
    }
}

#[test]
fn as_many_as_may_be_are_at_work_and_nothing_is_left_of_them() {
    let mut site = started(
        "HELPERS_MAX = 6",
        "read -r line; echo >>begun; while [ \"$(wc -l <begun)\" -lt 6 ]; do sleep 0.01; done
         echo '{\"status\":0}'; while read -r line; do echo '{\"status\":0}'; done\n",
    );
    let rest = at_rest(&site);
    for _ in 0..3 {
        let replies = send_at_once(&site, 6);
        assert!(replies.iter().all(|reply| reply.status == 200), "{replies:?}");
    }
    let first = lines(&site, "started");
    assert_eq!(first.len(), 6);
    // Each of them is replaced.
    for process in &first {
        let kill = std::process::Command::new("kill").args(["-KILL", process]).status();
        assert!(kill.unwrap().success());
    }
    wait_for("the server to be as before", || (Holdings::of(site.process()) == rest).then_some(()));
    let replies = send_at_once(&site, 6);
    assert!(replies.iter().all(|reply| reply.status == 200), "{replies:?}");
    site.stop();
    let all = lines(&site, "started");
    assert!(all.len() <= 12, "{all:?}");
    assert!(!all.iter().any(|process| runs(process)));
}

#[test]
fn misdeeds_leave_nothing_behind() {
    let mut site = started("AUTH_TIMEOUT = 1 s", GOOD);
    let rest = at_rest(&site);
    for misdeed in [
        "exit 1",
        "kill -SEGV $$",
        "exec sleep 1000",
        "kill -STOP $$",
        "trap '' TERM; sleep 1000 & echo $! >>started; while :; do wait; done",
        "exec yes",
        "yes >&2",
        "exec <&- >&- 2>&-; exec sleep 1000",
        "echo; sleep 1000",
        "read -r line; echo '{\"status\":0}'; echo late; sleep 1000",
        "exec /no/such/program",
    ] {
        site.set_helper(&format!("{HEAD}{misdeed}\n"));
        send_at_once(&site, 4);
        for process in lines(&site, "started") {
            wait_for(misdeed, || (!runs(&process)).then_some(()));
        }
        wait_for(misdeed, || (Holdings::of(site.process()) == rest).then_some(()));
    }
    site.stop();
}

#[test]
fn it_ends_with_the_service_after_its_message() {
    // The second one ignores the end of its input, and signals.
    for end in ["", "trap '' HUP INT TERM; sleep 1000 & echo $! >>started; while :; do wait; done"]
    {
        let slow = "while read -r line; do echo >>begun; while [ ! -e go ]; do sleep 0.01; done
                    echo '{\"status\":0}'; done\n";
        let mut site = started("", &format!("{slow}{end}\n"));
        let nonce = site.setup();
        std::thread::scope(|scope| {
            let sending = scope.spawn(|| site.challenge(&nonce, "ada@example.com"));
            wait_for("the helper to begin", || (lines(&site, "begun").len() == 1).then_some(()));
            site.signal("TERM");
            fs::write(site.directory.path().join("go"), "").unwrap();
            assert_eq!(sending.join().unwrap().json()["transmitted"], true);
        });
        assert_eq!(site.wait(), Some(0), "{}", site.log());
        for process in lines(&site, "started") {
            wait_for("the processes of the helper to end", || (!runs(&process)).then_some(()));
        }
    }
}

#[test]
fn it_ends_by_itself_if_the_service_is_killed() {
    let mut site = started("", GOOD);
    assert_eq!(send(&site).status, 200);
    site.signal("KILL");
    assert_eq!(site.wait(), None);
    for process in lines(&site, "started") {
        wait_for("the helper to end", || (!runs(&process)).then_some(()));
    }
}

#[test]
fn the_examples_of_the_manual_deliver() {
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/deliver.md");
    let manual = fs::read_to_string(manual).unwrap();
    let (_, chapter) = manual.split_once("\n## A helper that stays\n").unwrap();
    for language in ["python", "sh"] {
        let (_, code) = chapter.split_once(&format!("```{language}\n#!")).unwrap();
        let script = format!("#!{}", code.split("```").next().unwrap());
        let gateway = Provider::start(|asked| {
            let body: Value = serde_json::from_slice(&asked.body).unwrap();
            match body["to"].as_str().unwrap() {
                "+41791234567" => Act::Answer(200, String::new()),
                _ => Act::Answer(403, String::new()),
            }
        });
        let mut site = started(
            &format!(
                "ADDRESS_TYPE = phone\n[challenger-helper]\nGATEWAY_URL = {}/messages\n\
                 GATEWAY_TOKEN = swordfish",
                gateway.url()
            ),
            "",
        );
        site.set_helper(&script);
        for (number, status) in [("41791234567", 200), ("41797654321", 502), ("41791234567", 200)] {
            site.remember(number);
            let body = format!("CONTACT_PHONE=%2B{number}");
            let reply = site.post(&format!("challenge/{}", site.setup()), &[], body);
            assert_eq!(reply.status, status, "{language}: {}\n{}", reply.body, site.log());
        }
        let asked = gateway.asked();
        assert_eq!(asked.len(), 3);
        assert_eq!(asked[0].header("Authorization"), "Bearer swordfish");
        let body: Value = serde_json::from_slice(&asked[0].body).unwrap();
        assert!(body["text"].as_str().unwrap().starts_with("Code "), "{body}");
        site.stop();
        let log = site.log();
        assert_eq!(log.matches(" INFO helper started program=").count(), 1, "{log}");
        assert!(log.contains("403") && !log.contains("WARNING helper failed"), "{log}");
    }
}
