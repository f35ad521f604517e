//! What operators change is on record with who changed it: in the log of the system, or in a file.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod markdown;
mod site;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};

use markdown::{read, root, section};
use site::{REDIRECT_URI, SECRET, Site, stderr, stdout};

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
    (&["--rotate", SECRET, REDIRECT_URI], &["action=rotate client=1"]),
    (&["--regenerate", OTHER], &["action=rotate client=2"]),
    (&["--forgive=service"], &["action=forgive budget=service"]),
    (&["--forgive=Ada@Example.com"], &["action=forgive budget=address"]),
    (&["--forgive=ada@example.com"], &[]),
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

/// A program in a file system where this is `/dev`, with a journal if the test has one.
fn with_journal(program: &Command, journal: Option<&str>) -> Command {
    let link = journal.map_or_else(String::new, |place| format!("ln -s '{place}' /dev/log\n"));
    let script = format!("mount -t tmpfs none /dev\n{link}exec \"$0\" \"$@\"");
    let mut unshare = Command::new("unshare");
    unshare.args(["--user", "--map-root-user", "--mount", "sh", "-ec", &script]);
    unshare.arg(program.get_program()).args(program.get_args());
    unshare.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    unshare.env("SUDO_UID", "1234").stdin(Stdio::null());
    unshare
}

/// Whether a line is about this change, and says who made it.
fn is(event: &str, change: &str) -> bool {
    let who = event.strip_prefix(&format!("changed {change} uid=0 user=root"));
    who.is_some_and(|who| who.ends_with(" sudo_uid=1234"))
}

#[test]
fn changes_go_to_the_log_of_the_system_and_nothing_is_printed_of_them() {
    for level in ["WARNING", "NONE"] {
        let site = used();
        let place = site.directory.path().join("journal");
        let journal = UnixDatagram::bind(&place).unwrap();
        journal.set_nonblocking(true).unwrap();
        for (arguments, expected) in CHANGES {
            let mut program = site.command("challenger-admin");
            program.args(*arguments).args(["-L", level]);
            let output = with_journal(&program, place.to_str()).output().unwrap();
            let said = stdout(&output) + &stderr(&output);
            assert!(!said.contains("changed action"), "{arguments:?}: {said}");
            for expected in *expected {
                let mut buffer = [0; 1000];
                let length = journal.recv(&mut buffer).expect(&said);
                let line = std::str::from_utf8(&buffer[..length]).unwrap();
                let (head, event) = line.split_once("]: ").unwrap();
                assert!(head.starts_with("<37>challenger-admin["), "{line}");
                assert!(is(event, expected), "{expected}: {line}");
                assert!(!line.contains("ada") && !line.contains("secret-token"), "{line}");
            }
            assert!(journal.recv(&mut [0; 1]).is_err(), "{arguments:?}");
        }
    }
}

#[test]
fn changes_go_to_the_file_instead_if_there_is_one() {
    let site = used();
    let (file, place) = (site.directory.path().join("log"), site.directory.path().join("journal"));
    let journal = UnixDatagram::bind(&place).unwrap();
    journal.set_nonblocking(true).unwrap();
    for (arguments, _) in CHANGES {
        let mut program = site.command("challenger-admin");
        program.args(*arguments).args(["-L", "NONE", "-l"]).arg(&file);
        with_journal(&program, place.to_str()).output().unwrap();
    }
    assert!(journal.recv(&mut [0; 1]).is_err());
    let text = fs::read_to_string(file).unwrap();
    let events: Vec<&str> = text.lines().map(|it| it.split_once(" INFO ").unwrap().1).collect();
    let expected: Vec<&str> = CHANGES.iter().flat_map(|(_, changes)| *changes).copied().collect();
    assert_eq!(events.len(), expected.len(), "{text}");
    assert!(events.iter().zip(expected).all(|(event, change)| is(event, change)), "{text}");
}

#[test]
fn where_nobody_keeps_a_log_changes_are_made_all_the_same() {
    let site = used();
    let mut program = site.command("challenger-admin");
    program.args(["--generate", "--quiet", "-L", "DEBUG", OTHER]);
    let output = with_journal(&program, None).output().unwrap();
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
    assert!(stdout(&output).starts_with("2\n"), "{}", stdout(&output));
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
