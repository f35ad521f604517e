//! The log of the system, such as systemd's journal: lines reach it through logger(1).

use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

/// How long a log that takes nothing may hold up a program: so many times this long.
const PATIENCE: (u32, Duration) = (100, Duration::from_millis(10));

/// Sends one line. Where there is no log of the system, nobody keeps it.
///
/// Another program does that because a journal notes the arguments of those who write to it, and
/// ours may have a secret or an address.
pub(crate) fn send(program: &str, line: &str) {
    let mut logger = Command::new("logger");
    logger.args(["-t", program, "-p", "auth.notice"]);
    logger.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let Ok(mut logger) = logger.spawn() else { return };
    if let Some(mut stdin) = logger.stdin.take() {
        let _ = writeln!(stdin, "{line}");
    }
    if !has_ended(&mut logger) {
        let _ = logger.kill();
        let _ = logger.wait();
    }
}

fn has_ended(logger: &mut Child) -> bool {
    let (times, pause) = PATIENCE;
    (0..times).any(|_| {
        let is_running = matches!(logger.try_wait(), Ok(None));
        if is_running {
            thread::sleep(pause);
        }
        !is_running
    })
}
