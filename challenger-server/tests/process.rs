//! Runs real programs, good and bad, and looks for anything that they leave behind.
#![expect(clippy::expect_used, reason = "the functions below are part of the tests")]

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::Path;
use std::process;
use std::thread;
use std::time::Duration;

use challenger_server::process::{
    HelperCommand, OUTPUT_MAX, Private, ProcessError, ProcessErrorKind,
};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tempfile::TempDir;

/// No program needs that long; a test that gets here has failed.
const LONG: Duration = Duration::from_secs(60);
/// Long enough for a program to begin, also on a busy machine.
const READY: Duration = Duration::from_secs(8);
const SHORT: Duration = Duration::from_millis(300);
const MESSAGE: &str = "Your code: 1234-5678\nZürich grüßt. ✓\n";

fn helper(name: &str) -> String {
    format!("{}/../testdata/helpers/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A directory for a helper's notes to the test; the address names it.
struct Outbox(TempDir);

impl Outbox {
    fn new() -> Self {
        Self(TempDir::new().expect("a directory"))
    }

    fn address(&self) -> String {
        format!(r#"{{"NAME":"Ada $HOME `id`; '*'","OUTBOX":"{}"}}"#, self.0.path().display())
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.0.path().join(name)).expect("the helper wrote the file")
    }

    fn pid(&self, name: &str) -> Pid {
        let number = self.text(name).trim().parse().expect("a number");
        Pid::from_raw(number).expect("a process id")
    }
}

fn run(name: &str, timeout: Duration, outbox: &Outbox) -> Result<String, ProcessError> {
    HelperCommand::new(helper(name), timeout).run(
        &outbox.address(),
        MESSAGE,
        &[],
        &[Private::Text(&outbox.address())],
    )
}

/// The part after the name in the status line of a process: its state, its parent, and more.
fn stat(path: &Path) -> Option<String> {
    let stat = fs::read_to_string(path.join("stat")).ok()?;
    stat.rsplit(") ").next().map(ToString::to_string)
}

/// Whether a process still runs. Where nobody waits for orphans, a dead one stays as a zombie.
fn is_running(pid: Pid) -> bool {
    let path = format!("/proc/{}", pid.as_raw_pid());
    stat(Path::new(&path)).is_some_and(|stat| !stat.starts_with(['X', 'Z']))
}

fn has_been_waited_for(pid: Pid) -> bool {
    test_kill_process(pid).is_err()
}

#[test]
fn delivers() {
    let outbox = Outbox::new();
    let output = run("delivers.sh", LONG, &outbox).expect("delivered");
    assert_eq!(outbox.text("argument"), outbox.address());
    assert_eq!(outbox.text("count"), "1\n");
    assert_eq!(outbox.text("message"), MESSAGE);
    assert_eq!(output, "delivered to ***");
    assert!(has_been_waited_for(outbox.pid("pid")));
}

#[test]
fn arguments_of_the_operator_come_first() {
    let command = HelperCommand::new("printf", LONG).with_arguments(&["%s|", "-x", "a b"]);
    let output = command.run("--Ada", MESSAGE, &[], &[]).expect("printed");
    assert_eq!(output, "-x|a b|--Ada|");
}

#[test]
fn delivers_a_message_longer_than_a_pipe_holds() {
    let outbox = Outbox::new();
    let message = "0123456789abcdef".repeat(64 * 1024);
    let command = HelperCommand::new(helper("delivers.sh"), LONG);
    command.run(&outbox.address(), &message, &[], &[]).expect("delivered");
    assert!(outbox.text("message") == message);
}

#[test]
fn finds_bare_names_in_the_path_and_needs_no_shell() {
    let echo = HelperCommand::new("echo", LONG);
    assert_eq!(echo.run("$HOME `id`", "", &[], &[]).expect("ran"), "$HOME `id`");
    let error = HelperCommand::new("echo hello", LONG).run("", "", &[], &[]).expect_err("one word");
    assert!(matches!(error.kind, ProcessErrorKind::NotStarted(_)), "{error}");
}

#[test]
fn fails_with_a_status() {
    let command = HelperCommand::new(helper("fails.sh"), LONG);
    let secrets = [Private::Address("ada@example.com"), Private::Text("1234-5678")];
    let error = command.run("ada@example.com", "PIN 1234-5678\n", &[], &secrets);
    let error = error.expect_err("status 75");
    assert_eq!(error.to_string(), "status 75");
    assert_eq!(error.output, r"not sent: ***\nthe message was: PIN ***");
}

#[test]
fn no_spelling_of_an_address_or_a_code_is_returned() {
    let shell = HelperCommand::new("sh", LONG).with_arguments(&[
        "-c",
        "printf '%s|' 0041791234567 '079 123 45 67' '+41 (0)79-123-45-67' %2B41791234567
         printf '%s|' '12 34 56 78'
         printf '%s|' 1234–5678 ADA@EXAMPLE.COM ada%40example.com 'Ada: unknown' 'line 12, tls'",
    ]);
    let private = [
        Private::Address("+41791234567"),
        Private::Address("ada@example.com"),
        Private::Address("l"),
        Private::Text("1234-5678"),
    ];
    let printed = shell.run("", "", &[], &private).expect("printed");
    let expected = "***|***|+***|***|***|***|***|***|***: unknown|line 12, tls|";
    assert_eq!(printed, expected);
}

#[test]
fn dies_by_a_signal() {
    let error = run("dies.sh", LONG, &Outbox::new()).expect_err("killed");
    assert_eq!(error.to_string(), "signal 11");
    assert_eq!(error.output, "about to die");
}

#[test]
fn hanging_takes_down_the_whole_group() {
    let outbox = Outbox::new();
    let error = run("hangs.sh", SHORT, &outbox).expect_err("timed out");
    assert_eq!(error.to_string(), "timed out after 300ms");
    assert!(has_been_waited_for(outbox.pid("pid")));
    while is_running(outbox.pid("child")) {
        thread::yield_now();
    }
}

#[test]
fn what_cleans_up_gets_its_moment() {
    // A shell does it once the program that it waits for has ended, of the same signal. The last
    // one is not waited for by the program that was started, and is given its moment all the same.
    let cleans_up = "folder=$(mktemp -d \"$OUTBOX/XXXXXX\"); trap 'rm -r \"$folder\"' EXIT
                     trap 'exit 1' TERM; echo letter >\"$folder/letter\"; echo ready
                     sleep 1000";
    let slowly = cleans_up.replace("'rm", "'sleep 0.3; rm");
    let below = format!("cat >/dev/null; sh -c '{}'; exit 1", slowly.replace('\'', "'\\''"));
    let check = |script: &str| {
        let outbox = Outbox::new();
        let folder = outbox.0.path();
        let settings = [("OUTBOX".to_owned(), folder.display().to_string())].into();
        let shell = HelperCommand::new("sh", READY).with_environment(settings);
        let shell = shell.with_arguments(&["-c", script]);
        let error = shell.run("", MESSAGE, &[], &[]).expect_err("timed out");
        assert!(matches!(error.kind, ProcessErrorKind::TimedOut(READY)), "{error}");
        assert!(error.output.starts_with("ready"), "{}", error.output);
        let left: Vec<_> = fs::read_dir(folder).expect("it is there").collect();
        assert!(left.is_empty(), "{script}: {left:?}");
    };
    thread::scope(|scope| {
        for script in [cleans_up, &slowly, &below] {
            scope.spawn(move || check(script));
        }
    });
}

#[test]
fn a_success_that_comes_too_late_does_not_count() {
    let shell =
        HelperCommand::new("sh", SHORT).with_arguments(&["-c", "trap 'exit 0' TERM; sleep 1000"]);
    let error = shell.run("", MESSAGE, &[], &[]).expect_err("timed out");
    assert!(matches!(error.kind, ProcessErrorKind::TimedOut(SHORT)), "{error}");
}

#[test]
fn a_flood_is_read_and_dropped() {
    let error = run("floods.sh", SHORT, &Outbox::new()).expect_err("timed out");
    assert!(matches!(error.kind, ProcessErrorKind::TimedOut(SHORT)), "{error}");
    assert!(error.output.starts_with(r"the beginning\na line"), "{}", error.output);
    // Each line break takes two characters in the log.
    assert_eq!(error.output.replace(r"\n", "\n").len(), OUTPUT_MAX);
}

#[test]
fn what_it_leaves_in_the_background_neither_delays_nor_dies() {
    let outbox = Outbox::new();
    assert_eq!(run("forks.sh", LONG, &outbox).expect("delivered"), "queued");
    assert!(has_been_waited_for(outbox.pid("pid")));
    assert!(is_running(outbox.pid("child")));
    kill_process(outbox.pid("child"), Signal::KILL).expect("ours to end");
}

#[test]
fn a_message_that_nobody_reads_is_no_failure() {
    let command = HelperCommand::new(helper("ignores-stdin.sh"), LONG);
    let message = "x".repeat(1 << 20);
    assert_eq!(command.run("{}", &message, &[], &[]).expect("delivered"), "no time to read");
}

#[test]
fn what_cannot_be_started_is_an_error() {
    let cases = [
        (helper("no-such-helper.sh"), "No such file"),
        (helper("not-executable.sh"), "Permission denied"),
        (helper(""), "Permission denied"),
        ("no-such-helper-in-the-path".to_string(), "No such file"),
        (String::new(), "No such file"),
        ("nul\0".to_string(), "nul byte"),
    ];
    for (program, reason) in cases {
        let error =
            HelperCommand::new(&program, LONG).run("{}", MESSAGE, &[], &[]).expect_err(&program);
        let text = error.to_string();
        assert!(text.starts_with("could not be started: "), "{program}: {text}");
        assert!(text.contains(reason), "{program}: {text}");
    }
    let delivers = HelperCommand::new(helper("delivers.sh"), LONG);
    let error = delivers.run("nul\0", MESSAGE, &[], &[]).expect_err("NUL ends an argument");
    assert!(error.to_string().contains("nul byte"), "{error}");
}

#[test]
fn the_environment_arrives_without_our_own_variables() {
    let environment = [
        ("AUTH_TOKEN", "kept"),
        ("CHALLENGER_SECRET", "private"),
        ("LISTEN_FDS", "private"),
        ("LISTEN_PID", "private"),
        ("MYPG", "kept"),
        ("NOTIFY_SOCKET", "private"),
        ("PGPASSWORD", "private"),
        ("WATCHDOG_PID", "private"),
        ("WATCHDOG_USEC", "private"),
    ];
    if !is_alone("the_environment_arrives_without_our_own_variables", &environment) {
        return;
    }
    let outbox = Outbox::new();
    run("delivers.sh", LONG, &outbox).expect("delivered");
    let environment = outbox.text("environment");
    for kept in ["AUTH_TOKEN=kept\n", "MYPG=kept\n", "PATH="] {
        assert!(environment.contains(kept), "{kept}");
    }
    assert!(!environment.contains("private"));

    // The operator's variables are there under any name, and before all others.
    let settings = [("MYPG", "set"), ("PGHOST", "set"), ("CHALLENGER_LANGUAGE", "rm")];
    let settings = settings.map(|(name, value)| (name.to_string(), value.to_string())).into();
    let told = [("CHALLENGER_LANGUAGE", "de"), ("CHALLENGER_SUBJECT", "Ihr Code für x.example")];
    let command = HelperCommand::new(helper("delivers.sh"), LONG).with_environment(settings);
    command.run(&outbox.address(), MESSAGE, &told, &[]).expect("delivered");
    let environment = outbox.text("environment");
    for there in [
        "AUTH_TOKEN=kept\n",
        "CHALLENGER_LANGUAGE=rm\n",
        "CHALLENGER_SUBJECT=Ihr Code für x.example\n",
        "MYPG=set\n",
        "PGHOST=set\n",
    ] {
        assert!(environment.contains(there), "{there}");
    }
    assert!(!environment.contains("private"));
}

#[test]
fn what_it_prints_of_its_secrets_is_hidden() {
    let settings =
        [("SMTP_PASSWORD", "hunter2"), ("API_KEY", "xyz"), ("SMTP_HOST", "mail.example.com")];
    let settings = settings.map(|(name, value)| (name.to_string(), value.to_string())).into();
    let command = HelperCommand::new(helper("fails.sh"), LONG).with_environment(settings);
    assert!(!format!("{command:?}").contains("hunter2"), "{command:?}");
    let error = command.run("no login with Hunter2, XYZ at mail.example.com", "", &[], &[]);
    let error = error.expect_err("status 75");
    assert!(
        error.output.starts_with("not sent: no login with ***, *** at mail.example.com"),
        "{error:?}"
    );
}

#[test]
fn nothing_is_left_behind() {
    if !is_alone("nothing_is_left_behind", &[]) {
        return;
    }
    let outbox = Outbox::new();
    let before = descriptors();
    for (name, timeout) in [
        ("delivers.sh", LONG),
        ("dies.sh", LONG),
        ("fails.sh", LONG),
        ("floods.sh", SHORT),
        ("forks.sh", LONG),
        ("hangs.sh", SHORT),
        ("ignores-stdin.sh", LONG),
        ("no-such-helper.sh", LONG),
        ("not-executable.sh", LONG),
    ] {
        let result = run(name, timeout, &outbox);
        if name == "forks.sh" {
            kill_process(outbox.pid("child"), Signal::KILL).expect("ours to end");
        }
        assert_eq!(descriptors(), before, "{name}: {result:?}");
        assert_eq!(children(), Vec::<String>::new(), "{name}: {result:?}");
    }
}

/// Repeats a test in a process of its own, with more environment and no other test in the way;
/// true in that process.
fn is_alone(test: &str, environment: &[(&str, &str)]) -> bool {
    if env::var_os("ALONE").is_some() {
        return true;
    }
    let mut command = process::Command::new(env::current_exe().expect("this test"));
    command.args(["--exact", test]).envs(environment.iter().copied()).env("ALONE", "1");
    let output = command.output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    false
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").expect("procfs").count()
}

/// The status of every child of ours, zombies included.
fn children() -> Vec<String> {
    let parent = format!(" {} ", process::id());
    let entries = fs::read_dir("/proc").expect("procfs");
    let stats = entries.filter_map(|entry| stat(&entry.ok()?.path()));
    stats.filter(|stat| stat.get(1..).is_some_and(|rest| rest.starts_with(&parent))).collect()
}

#[test]
fn a_bare_name_is_looked_up_in_the_path_that_the_program_is_given() {
    let folder = TempDir::new().expect("a directory");
    let script = fs::canonicalize(helper("delivers.sh")).expect("the helper");
    std::os::unix::fs::symlink(script, folder.path().join("only-here")).expect("a link");
    let with_path = |path: String| {
        let settings = BTreeMap::from([("PATH".to_owned(), path)]);
        HelperCommand::new("only-here", LONG).with_environment(settings)
    };
    let good = with_path(format!("{}:/usr/bin:/bin", folder.path().display()));
    assert!(good.exists());
    let outbox = Outbox::new();
    good.run(&outbox.address(), MESSAGE, &[], &[]).expect("it runs");
    for missing in [with_path("/usr/bin:/bin".to_owned()), HelperCommand::new("only-here", LONG)] {
        assert!(!missing.exists());
        let error = missing.run(&outbox.address(), MESSAGE, &[], &[]).expect_err("not there");
        assert!(matches!(error.kind, ProcessErrorKind::NotStarted(_)), "{error}");
    }
}
