//! Helpers that misbehave, at the real server: every request is answered, and nothing of the helper
//! is left, neither a process nor a descriptor nor a thread.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod holdings;
mod site;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread;

use challenger_testkit::{Reply, at_once, wait_for};
use holdings::{Holdings, at_rest, entries};
use site::Site;

/// How many messages are sent at the same time, and how often.
const AT_ONCE: usize = 4;
const ROUNDS: usize = 2;
/// As many helpers run at the same time.
const HELPERS_MAX: usize = 16;

const SENT: &str = "";
const TIMED_OUT: &str = "timed out after 1s";

/// The misdeeds of helpers: in words, the outcome (empty if the message counts as sent), and the
/// script.
///
/// They write the processes that have to end with them into `group`, those that may outlive them
/// into `others`.
const MISDEEDS: [(&str, &str, &str); 18] = [
    ("is good", SENT, "cat >/dev/null"),
    ("fails", "status 75", "cat >/dev/null; exit 75"),
    ("hangs", TIMED_OUT, "exec sleep 1000"),
    (
        "hangs with a child, whatever one asks",
        TIMED_OUT,
        "trap '' HUP INT QUIT TERM
        sleep 1000 & echo $! >>group
        while :; do sleep 1000; done",
    ),
    (
        "hangs with many children",
        TIMED_OUT,
        "for i in 1 2 3 4 5 6 7 8 9; do sleep 1000 & echo $! >>group; done; wait",
    ),
    ("hangs without descriptors", TIMED_OUT, "exec <&- >&- 2>&-; exec sleep 1000"),
    ("stops itself", TIMED_OUT, "kill -STOP $$"),
    ("floods its output", TIMED_OUT, "exec yes"),
    ("floods its errors", TIMED_OUT, "exec yes >&2"),
    ("does not read", SENT, "exec <&-; exit 0"),
    ("closes everything", SENT, "exec <&- >&- 2>&-; exit 0"),
    ("dies", "signal 11", "kill -SEGV $$"),
    ("is killed", "signal 9", "kill -KILL $$"),
    (
        "leaves a child with its descriptors",
        SENT,
        "exec 3<&0; sleep 1000 <&3 & echo $! >>others; exit 0",
    ),
    ("fails and leaves a child", "status 1", "sleep 1000 & echo $! >>others; exit 1"),
    ("leaves a child that floods", SENT, "yes & echo $! >>group; exit 0"),
    (
        "becomes a daemon",
        SENT,
        "exec 3<&0; setsid sh -c 'echo $$ >>others; exec sleep 1000' <&3 &
        while [ ! -s others ]; do sleep 0.01; done",
    ),
    (
        "becomes a daemon and hangs",
        TIMED_OUT,
        "setsid sh -c 'echo $$ >>others; exec sleep 1000' & exec sleep 1000",
    ),
];

/// A site with a database that was written to before.
fn site(options: &str) -> Site {
    // All messages go to one address.
    let mut site = Site::new(&format!("ADDRESS_MESSAGES = 0\n{options}"));
    site.start();
    send_at_once(&site, HELPERS_MAX);
    site
}

fn send(site: &Site) -> Reply {
    let nonce = site.setup();
    site.challenge(&nonce, "ada@example.com")
}

/// Has so many messages sent.
fn send_at_once(site: &Site, count: usize) -> Vec<Reply> {
    let nonces = Mutex::new((0..count).map(|_| site.setup()).collect::<Vec<_>>());
    at_once(count, || {
        let nonce = nonces.lock().unwrap().pop().unwrap();
        site.challenge(&nonce, "ada@example.com")
    })
}

/// The processes in a file of the helper's.
fn processes(site: &Site, name: &str) -> Vec<u32> {
    let text = fs::read_to_string(site.directory.path().join(name)).unwrap_or_default();
    text.lines().map(|line| line.parse().unwrap()).collect()
}

/// Whether a process runs. Where nobody waits for orphans, a dead one stays as a zombie.
fn runs(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with(['X', 'Z']))
}

fn kill(process: u32) {
    let kill = Command::new("sh").args(["-c", "kill -KILL $0", &process.to_string()]).status();
    assert!(kill.unwrap().success());
}

/// Has messages sent by a helper, again and again, and looks for anything that it leaves behind.
fn try_helper(site: &Site, rest: &Holdings, name: &str, expected: &str) {
    for _ in 0..ROUNDS {
        for reply in send_at_once(site, AT_ONCE) {
            if expected == SENT {
                assert_eq!(reply.status, 200, "{name}: {}", site.log());
            } else {
                assert_eq!(reply.refusal(), (502, 9752), "{name}");
                let detail = reply.json()["detail"].as_str().unwrap().to_owned();
                assert!(detail.contains(expected), "{name}: {detail}");
            }
        }
    }
    for process in processes(site, "group") {
        wait_for("the processes of a helper to end", || (!runs(process)).then_some(()));
    }
    // A process that left its group, or was left by a helper that ended by itself, goes on.
    for process in processes(site, "others") {
        assert!(runs(process), "{name}");
    }
    // It holds its ends of pipes; of the server's ends, none is left.
    wait_for(&format!("the server to be as before: a helper that {name}"), || {
        (Holdings::of(site.process()) == *rest).then_some(())
    });
    processes(site, "others").into_iter().for_each(kill);
    for name in ["group", "others"] {
        let _ = fs::remove_file(site.directory.path().join(name));
    }
}

#[test]
fn helpers_leave_nothing_behind_whatever_they_do() {
    // Even quick helpers may take long on a busy machine, so only those that hang are cut off
    // early.
    let (patient, hasty) = (site(""), site("AUTH_TIMEOUT = 1 s"));
    let (patient_rest, hasty_rest) = (at_rest(&patient), at_rest(&hasty));
    for (name, expected, script) in MISDEEDS {
        let (site, rest) = match expected {
            TIMED_OUT => (&hasty, &hasty_rest),
            _ => (&patient, &patient_rest),
        };
        site.set_helper(&format!("#!/bin/sh\ncd \"$(dirname \"$0\")\"\n{script}\n"));
        try_helper(site, rest, name, expected);
    }

    let path = patient.directory.path().join("deliver.sh");
    let try_what = |name: &str| {
        try_helper(&patient, &patient_rest, name, "could not be started");
    };
    patient.set_helper("#!/no/such/interpreter\n");
    try_what("has no interpreter");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    try_what("is not executable");
    fs::remove_file(&path).unwrap();
    try_what("is missing");
    fs::create_dir(&path).unwrap();
    try_what("is a directory");
    fs::remove_dir(&path).unwrap();

    // None of them has kept its place: as many as ever run at once.
    hasty.set_helper("#!/bin/sh\nexec sleep 1000\n");
    let cut_off = send_at_once(&hasty, HELPERS_MAX);
    assert!(cut_off.iter().all(|reply| reply.refusal() == (502, 9752)), "{cut_off:?}");
    patient.set_helper(
        "#!/bin/sh\ncd \"$(dirname \"$0\")\"\necho $$ >>begun\n\
         while [ \"$(wc -l <begun)\" -lt 16 ]; do sleep 0.01; done\n",
    );
    let sent = send_at_once(&patient, HELPERS_MAX);
    assert!(sent.iter().all(|reply| reply.status == 200), "{sent:?}");
}

#[test]
fn helpers_begin_with_nothing_of_the_server() {
    let mut site = site("");
    // The masks are read by the shell itself: it blocks signals while it starts another program.
    site.set_helper(
        "#!/bin/sh\ncd \"$(dirname \"$0\")\"\n\
         while read -r name value; do echo \"$name$value\"; done </proc/$$/status >signals\n\
         ls -l /proc/$$/fd >descriptors\n\
         read -r process name state parent group rest </proc/$$/stat\n\
         echo \"$process $group\" >group\n",
    );
    assert_eq!(send(&site).status, 200);
    let read = |name: &str| fs::read_to_string(site.directory.path().join(name)).unwrap();
    // Descriptors that this test was started with were passed on to the server and the helper, too.
    let known: Vec<PathBuf> = entries(Path::new("/proc/self/fd"))
        .iter()
        .filter_map(|it| fs::read_link(it).ok())
        .collect();
    let descriptors = read("descriptors");
    let targets = descriptors.lines().filter_map(|line| Some(line.split_once(" -> ")?.1));
    let new: BTreeSet<&str> = targets.filter(|it| !known.contains(&PathBuf::from(it))).collect();
    let (pipes, files): (Vec<_>, Vec<_>) = new.into_iter().partition(|it| it.starts_with("pipe:"));
    assert_eq!(pipes.len(), 2, "one to read from and one to write to: {descriptors}");
    // The shell has its script open, and what it writes to.
    let names = ["/deliver.sh", "/descriptors"];
    assert!(files.iter().all(|it| names.iter().any(|name| it.ends_with(name))), "{descriptors}");
    let signals = read("signals");
    let mask = |name: &str| {
        let mask = signals.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        u64::from_str_radix(mask, 16).unwrap()
    };
    assert_eq!(mask("SigBlk:"), 0, "{signals}");
    assert_eq!(mask("SigIgn:") & 0x1000, 0, "SIGPIPE, which the server ignores: {signals}");
    let group = read("group");
    let (process, group) = group.trim().split_once(' ').unwrap();
    assert_eq!(group, process, "a group of its own");
    site.stop();
}

#[test]
fn a_server_that_stops_waits_for_a_helper_no_longer_than_it_may_take() {
    let mut site = site("AUTH_TIMEOUT = 3 s");
    site.set_helper(
        "#!/bin/sh\ncd \"$(dirname \"$0\")\"\ntrap '' HUP INT TERM\necho $$ >>group\n\
         sleep 1000 & echo $! >>group\nwhile :; do sleep 1000; done\n",
    );
    let nonce = site.setup();
    thread::scope(|scope| {
        let sending = scope.spawn(|| site.challenge(&nonce, "ada@example.com"));
        wait_for("the helper to begin", || (processes(&site, "group").len() == 2).then_some(()));
        site.signal("TERM");
        assert_eq!(
            sending.join().unwrap().json()["detail"],
            "the delivery failed: timed out after 3s"
        );
    });
    assert_eq!(site.wait(), Some(0), "{}", site.log());
    for process in processes(&site, "group") {
        wait_for("the processes of the helper to end", || (!runs(process)).then_some(()));
    }
}
