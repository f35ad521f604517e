//! The real server as process 1 of a container: nothing that a helper leaves behind stays as a
//! zombie, and the status of each helper counts.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod site;

use std::fs;
use std::process::{Command, Stdio};

use challenger_testkit::wait_for;
use site::Site;

/// How many messages are sent, each of which leaves three processes behind.
const ROUNDS: usize = 5;

/// The processes whose parent is this one: their numbers and states.
fn children(parent: u32) -> Vec<(u32, char)> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let numbers = processes.filter_map(|it| it.file_name().to_str()?.parse::<u32>().ok());
    let child = |number: u32| {
        let stat = fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
        let mut after = stat.rsplit_once(") ")?.1.split(' ');
        let state = after.next()?.chars().next()?;
        (after.next()? == parent.to_string()).then_some((number, state))
    };
    numbers.filter_map(child).collect()
}

#[test]
fn process_1_of_a_container_leaves_no_zombies() {
    let mut site = Site::new("");
    // Descriptors closed, so that the helper has ended long before the last of them.
    site.set_helper(
        "#!/bin/sh\ncat >/dev/null\nexec >&- 2>&-\n\
         (true &)\n(sleep 0.1 &)\n(setsid sleep 0.3 &)\n\
         case $1 in *bad*) exit 7;; esac\n",
    );
    let server = site.server();
    // It takes a new PID namespace to be process 1, and root, or a new user, to make one.
    let mut unshare = Command::new("unshare");
    unshare.args(["--user", "--map-root-user", "--pid", "--fork", "--mount-proc"]);
    // A test that fails leaves no server behind.
    unshare.arg("--kill-child");
    unshare.arg(server.get_program()).args(server.get_args()).stdin(Stdio::null());
    unshare.current_dir(server.get_current_dir().unwrap());
    unshare.envs(server.get_envs().filter_map(|(name, value)| Some((name, value?))));
    site.start_as(unshare);
    site.wait_for_server();
    let [(server, _)] = children(site.process())[..] else { panic!("no server") };

    for round in 0..ROUNDS {
        let nonce = site.setup();
        let good = site.challenge(&nonce, &format!("ada{round}@example.com"));
        assert_eq!(good.status, 200, "{}", site.log());
        let nonce = site.setup();
        let bad = site.challenge(&nonce, &format!("bad{round}@example.com"));
        assert_eq!(bad.refusal(), (502, 9752), "{}", site.log());
        assert!(bad.json()["detail"].as_str().unwrap().contains("status 7"), "{}", site.log());
    }
    wait_for("the orphans to end and be waited for", || children(server).is_empty().then_some(()));

    let kill = Command::new("sh").args(["-c", "kill -TERM $0", &server.to_string()]).status();
    assert!(kill.unwrap().success());
    assert_eq!(site.wait(), Some(0), "{}", site.log());
}
