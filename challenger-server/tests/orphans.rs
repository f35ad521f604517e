//! A parent of orphans waits for them, and takes no status of a helper's.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use challenger_server::process::{HelperCommand, ProcessErrorKind, reap_orphans};
use challenger_testkit::wait_for;
use rustix::process::{getpid, set_child_subreaper};

/// Helpers at the same time, and how many each of them runs.
const CROWD: i32 = 8;
const ROUNDS: i32 = 25;

/// The children of this process, with those that have ended.
fn children() -> Vec<String> {
    let parent = format!(" {} ", process::id());
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let stats =
        processes.filter_map(|process| fs::read_to_string(process.path().join("stat")).ok());
    let is_child = |stat: &String| {
        let after = stat.rsplit_once(") ").map_or("", |(_, after)| after);
        after.get(1..).is_some_and(|rest| rest.starts_with(&parent))
    };
    stats.filter(is_child).collect()
}

/// One test, because it changes what this process is.
#[test]
fn orphans_are_waited_for_and_helpers_keep_their_status() {
    // As process 1 of a container, whatever a child leaves behind becomes a child of this process.
    set_child_subreaper(Some(getpid())).unwrap();
    let (is_over, reaper_is_at_work) = (AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                reap_orphans();
                reaper_is_at_work.store(true, Ordering::Relaxed);
            }
        });
        let helper = |status: i32| {
            // One orphan ends before the helper, one at the same time, and one later.
            let script = "(true &); (sleep 0.01 &); (sleep 0.1 &); exit $0";
            let shell = HelperCommand::new("sh", Duration::from_secs(60))
                .with_arguments(&["-c", &script.replace("$0", &status.to_string())]);
            for _ in 0..ROUNDS {
                let error = shell.run("", "", &[], &[]).unwrap_err();
                assert!(
                    matches!(error.kind, ProcessErrorKind::Status(it) if it == status),
                    "{status}: {error}"
                );
            }
        };
        let helpers: Vec<_> =
            (1..=CROWD).map(|status| scope.spawn(move || helper(status))).collect();
        let ends: Vec<_> = helpers.into_iter().map(thread::ScopedJoinHandle::join).collect();
        is_over.store(true, Ordering::Relaxed);
        assert!(ends.iter().all(Result::is_ok), "a status was lost");
    });
    assert!(reaper_is_at_work.into_inner());
    wait_for("the orphans to end and be waited for", || {
        reap_orphans();
        children().is_empty().then_some(())
    });
}
