//! `challenger-dbinit --garbagecollect`, run beside a measurement.

use std::process::{Child, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::site::Site;

/// How often to look whether it has ended, or the measurement has.
const LOOK: Duration = Duration::from_millis(20);

/// Does something while expired rows are deleted again and again: at most once in this time, and
/// without a pause if that is too short.
pub fn while_collecting<T>(
    site: &Site,
    every: Duration,
    work: impl FnOnce() -> Result<T, String>,
) -> Result<T, String> {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let collector = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let begun = Instant::now();
                let mut command = site.command("challenger-dbinit")?;
                command.arg("--garbagecollect").stdout(Stdio::null());
                let child = command.spawn().map_err(|error| error.to_string())?;
                let Some(status) = end_of(child, &over)? else { break };
                if !status.success() {
                    return Err(format!("challenger-dbinit: {status}"));
                }
                while begun.elapsed() < every && !over.load(Ordering::Relaxed) {
                    thread::sleep(LOOK);
                }
            }
            Ok(())
        });
        let done = work();
        over.store(true, Ordering::Relaxed);
        let collected = collector.join().map_err(|_| "the collector panicked".to_owned())?;
        collected.and(done)
    })
}

/// Waits for the end of a program. None if the measurement is over before: it is ended then.
fn end_of(mut child: Child, over: &AtomicBool) -> Result<Option<ExitStatus>, String> {
    loop {
        let ended = child.try_wait().map_err(|error| error.to_string())?;
        if ended.is_some() {
            return Ok(ended);
        }
        if over.load(Ordering::Relaxed) {
            let _ = child.kill();
            let _ = child.wait();
            return Ok(None);
        }
        thread::sleep(LOOK);
    }
}
