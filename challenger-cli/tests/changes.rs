//! What operators change is on record with who changed it: in the log of the system, or in a file.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod markdown;
mod site;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::{Output, Stdio};

use markdown::{read, root, section};
use site::{REDIRECT_URI, SECRET, Site, stderr, stdout, write_script};

const OTHER: &str = "https://other.example/cb";

/// What is done to clients and budgets, and what of it is on record.
const CHANGES: &[(&[&str], &[&str])] = &[
    (&["--generate", OTHER], &["action=add client=2"]),
    (&["--list"], &[]),
    (&["--budgets"], &[]),
    (
        &["--messages-per-day=5", "--open", OTHER],
        &["action=messages-per-day client=2 messages=5", "action=open client=2"],
    ),
    (
        &["--messages-per-day=unlimited", "--close", OTHER],
        &["action=close client=2", "action=messages-per-day client=2 messages=unlimited"],
    ),
    (
        &["--name=Shop", "--disable", OTHER],
        &["action=name client=2 name=Shop", "action=disable client=2"],
    ),
    (&["--enable", "2"], &["action=enable client=2"]),
    (&["--rotate", SECRET, REDIRECT_URI], &["action=rotate client=1"]),
    (&["--regenerate", OTHER], &["action=rotate client=2"]),
    (&["--forgive=service"], &["action=forgive budget=service"]),
    (&["--forgive=Ada@Example.com"], &["action=forgive budget=address"]),
    (&["--forgive=ada@example.com"], &[]),
    (&["--find=ada@example.com"], &[]),
    (&["--forget=Ada@example.com"], &["action=forget validations=0 access_tokens=0 balances=0"]),
    (&["--delete", OTHER], &["action=delete client=2"]),
    (&["--delete", OTHER], &[]),
];

/// A site where a message was sent to Ada, on account of the service as well.
fn used() -> Site {
    let mut site = Site::new("SERVICE_MESSAGES = 100");
    site.start();
    let nonce = site.setup();
    assert_eq!(site.challenge(&nonce, "ada@example.com").status, 200);
    site.stop();
    site
}

/// Keeps its arguments and what it reads, in the place of logger(1).
const LOGGER: &str = "#!/bin/sh\n(echo \"$@\"; cat) >>\"$(dirname \"$0\")/journal\"\n";

/// Takes nothing, and does not end.
const HANGS: &str = "#!/bin/sh\necho $$ >\"$(dirname \"$0\")/process\"\nexec sleep 1000\n";

/// What `challenger-admin` prints, called with sudo, where this is the logger.
fn administer(site: &Site, arguments: &[&str], logger: &str) -> Output {
    let folder = site.directory.path().join("bin");
    fs::create_dir_all(&folder).unwrap();
    write_script(&folder.join("logger"), logger);
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let mut program = site.command("challenger-admin");
    program.args(arguments).env("PATH", path).env("SUDO_UID", "1234");
    program.stdin(Stdio::null()).output().unwrap()
}

/// Whether a line is about this change, and says who made it.
fn is(event: &str, change: &str) -> bool {
    let uid = fs::metadata("/proc/self").unwrap().uid();
    let who = event.strip_prefix(&format!("changed {change} uid={uid} "));
    who.is_some_and(|who| who.ends_with("sudo_uid=1234"))
}

#[test]
fn changes_go_to_the_log_of_the_system_and_nothing_is_printed_of_them() {
    for level in ["WARNING", "NONE"] {
        let site = used();
        let journal = site.directory.path().join("bin/journal");
        for (arguments, expected) in CHANGES {
            let output = administer(&site, &[*arguments, &["-L", level]].concat(), LOGGER);
            let said = stdout(&output) + &stderr(&output);
            assert!(!said.contains("changed action"), "{arguments:?}: {said}");
            let text = fs::read_to_string(&journal).unwrap_or_default();
            // The journal notes the arguments of who writes to it.
            assert!(!text.contains("ada@") && !text.contains("secret-token"), "{text}");
            let lines: Vec<&str> = text.lines().collect();
            assert_eq!(lines.len(), 2 * expected.len(), "{arguments:?}: {text}");
            for (call, expected) in lines.chunks(2).zip(*expected) {
                assert_eq!(call[0], "-t challenger-admin -p auth.notice");
                assert!(is(call[1], expected), "{expected}: {text}");
            }
            fs::write(&journal, "").unwrap();
        }
    }
}

#[test]
fn changes_go_to_the_file_instead_if_there_is_one() {
    let site = used();
    let file = site.directory.path().join("log");
    for (arguments, _) in CHANGES {
        let log = ["-L", "NONE", "-l", file.to_str().unwrap()];
        administer(&site, &[*arguments, &log].concat(), LOGGER);
    }
    assert!(!site.directory.path().join("bin/journal").exists());
    let text = fs::read_to_string(file).unwrap();
    let events: Vec<&str> = text.lines().map(|it| it.split_once(" INFO ").unwrap().1).collect();
    let expected: Vec<&str> = CHANGES.iter().flat_map(|(_, changes)| *changes).copied().collect();
    assert_eq!(events.len(), expected.len(), "{text}");
    assert!(events.iter().zip(expected).all(|(event, change)| is(event, change)), "{text}");
}

#[test]
fn where_nobody_keeps_a_log_changes_are_made_all_the_same() {
    let site = used();
    for (id, logger) in (2..).zip(["#!/bin/sh\nexit 1\n", "#!/nowhere\n", HANGS]) {
        let redirect_uri = format!("https://other.example/{id}");
        let arguments = ["--generate", "--quiet", "-L", "DEBUG", &redirect_uri];
        let output = administer(&site, &arguments, logger);
        assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
        assert!(stdout(&output).starts_with(&format!("{id}\n")), "{}", stdout(&output));
    }
    let hanging = fs::read_to_string(site.directory.path().join("bin/process")).unwrap();
    let process = format!("/proc/{}", hanging.trim());
    assert!(!fs::exists(process).unwrap(), "it is not left behind");
}

#[test]
fn the_manual_has_each_change() {
    let mut changes = BTreeSet::new();
    for entry in fs::read_dir(root().join("challenger-cli/src/admin")).unwrap() {
        let source = fs::read_to_string(entry.unwrap().path()).unwrap();
        let calls = source.split("recorded(").skip(1).map(str::trim_start);
        let actions = calls.filter_map(|call| call.strip_prefix('"')?.split('"').next());
        changes.extend(actions.map(str::to_owned));
    }
    let manual = read("docs/operate.md");
    let (_, table) = section(&manual, "## The log").split_once("| `action` |").unwrap();
    let rows = table.lines().skip(2).take_while(|row| row.starts_with('|'));
    let first = rows.filter_map(|row| row.split('|').nth(1));
    let told: BTreeSet<String> =
        first.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect();
    assert!(changes.len() >= 7, "{changes:?}");
    assert_eq!(told, changes);
}
