//! Runs real programs that stay, good and bad: a message costs no other one, and nothing is left
//! behind.
#![expect(clippy::expect_used, reason = "the functions below are part of the tests")]

use std::collections::BTreeSet;
use std::fs;
use std::process;
use std::thread;
use std::time::{Duration, Instant};

use challenger_server::process::{HelperCommand, OUTPUT_MAX, Private, ProcessErrorKind};
use challenger_server::residents::{ANSWER_MAX, Delivered, ResidentError, Residents};
use challenger_testkit::{at_once, wait_for};
use tempfile::TempDir;

/// Nothing takes that long; a test that gets here has failed.
const LONG: Duration = Duration::from_secs(60);
/// Long enough for a program to begin, also on a busy machine.
const READY: Duration = Duration::from_secs(8);
const SHORT: Duration = Duration::from_millis(500);

/// That of each message.
const REFERENCE: &str = "ABCDEF";

/// Answers each message well.
const GOOD: &str = "while read -r line; do echo '{\"status\":0}'; done";

/// Shells that stay, with a folder for their notes, which is their working directory.
struct Crew {
    folder: TempDir,
    residents: Residents,
}

impl Crew {
    fn new(script: &str) -> Self {
        Self::with(script, LONG, LONG)
    }

    fn with(script: &str, timeout: Duration, idle: Duration) -> Self {
        let folder = TempDir::new().expect("a directory");
        // Each notes its start.
        let script = format!("cd '{}'\necho $$ >>started\n{script}", folder.path().display());
        let shell = HelperCommand::new("sh", timeout).with_arguments(&["-c", &script]);
        let residents = Residents::new(shell, idle).expect("a thread");
        Self { folder, residents }
    }

    fn deliver(&self, message: &str) -> Delivered {
        self.residents.deliver(message, REFERENCE, &[])
    }

    /// How a message failed, or an empty text.
    fn failure(&self, message: &str) -> String {
        self.deliver(message).result.err().map_or_else(String::new, |error| error.to_string())
    }

    fn lines(&self, name: &str) -> Vec<String> {
        let text = fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn started(&self) -> usize {
        self.lines("started").len()
    }

    /// Waits until no process in this file runs, or is left as a zombie of ours.
    fn wait_until_gone(&self, name: &str) {
        for line in self.lines(name) {
            wait_for("a process to end", || (!runs(&line)).then_some(()));
        }
    }
}

/// Whether a process runs, or is a zombie that we should have waited for.
fn runs(process: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let Some((_, state)) = stat.rsplit_once(") ") else { return false };
    let is_ours = state.get(1..).is_some_and(|it| it.starts_with(&format!(" {} ", process::id())));
    !state.starts_with(['X', 'Z']) || is_ours
}

#[test]
fn one_process_gets_one_message_after_the_other() {
    let crew = Crew::new(
        "echo \"$*\" >arguments; env >environment
         while read -r line; do
             printf '%s\\n' \"$line\" >>got; echo '{\"status\":0,\"new\":{}}'
         done",
    );
    for message in ["{\"a\":1}", "{\"b\":\"\\\\n\"}", "{}"] {
        let Delivered { result, said } = crew.deliver(message);
        assert!(result.is_ok() && said.is_empty(), "{result:?} {said}");
    }
    assert_eq!(crew.lines("got"), ["{\"a\":1}", "{\"b\":\"\\\\n\"}", "{}"]);
    assert_eq!(crew.lines("started").len(), 1);
    // The first argument of `sh -c` is its name.
    assert_eq!(crew.lines("arguments"), [""]);
    assert!(!crew.lines("environment").iter().any(|it| it.starts_with("CHALLENGER_")));
    crew.residents.finish();
    crew.wait_until_gone("started");
}

#[test]
fn it_is_asked_to_serve() {
    let crew = Crew::new(&format!("echo $0 >argument\n{GOOD}"));
    assert_eq!(crew.failure("{}"), "");
    assert_eq!(crew.lines("argument"), ["--serve"]);
}

#[test]
fn a_status_means_the_same_as_that_of_a_program_and_ends_nobody() {
    let crew = Crew::new(
        "while read -r status; do
             printf '{\"status\":%s,\"log\":\"a\\\\nb\",\"reference\":\"ABCDEF\"}\\n' \"$status\"
         done",
    );
    for (status, expected) in
        [("75", "status 75"), ("0", ""), ("67", "status 67"), ("255", "status 255")]
    {
        let Delivered { result, said } = crew.deliver(status);
        let error = result.err().map_or_else(String::new, |error| error.to_string());
        assert_eq!((error.as_str(), said.as_str()), (expected, r"a\nb"));
    }
    assert_eq!(crew.started(), 1);
}

#[test]
fn what_is_no_answer_costs_one_message_and_the_helper() {
    let long = format!("head -c {ANSWER_MAX} /dev/zero | tr '\\0' ' '");
    let object = "did not answer with an object that has a status from 0 to 255";
    let cases = [
        ("echo", object),
        ("echo sent", object),
        ("echo 0", object),
        ("echo '[0]'", object),
        ("echo '{}'", object),
        ("echo '{\"status\":256}'", object),
        ("echo '{\"status\":-1}'", object),
        ("echo '{\"status\":0.0}'", object),
        ("echo '{\"status\":\"0\"}'", object),
        ("echo '{\"status\":null}'", object),
        ("echo '{\"status\":0,\"log\":1}'", object),
        ("echo '{\"status\":0} {}'", object),
        ("printf '{\"status\":0,\"log\":\"\\377\"}\\n'", object),
        ("printf '{\"status\":0}\\n{\"status\":0}\\n'", "answered with more than one line"),
        ("printf '{\"status\":0}\\n '", "answered with more than one line"),
        ("echo '{\"status\":0,\"reference\":\"ABCDEG\"}'", "answered another message"),
        ("echo '{\"status\":0,\"reference\":null}'", "answered another message"),
        (&format!("{long}; echo '{{\"status\":0}}'"), "answered with a line of more than 16 KiB"),
        (&format!("{long}; printf x; sleep 1000"), "answered with a line of more than 16 KiB"),
        ("exec yes", object),
        ("exec yes | tr -d '\\n'", "answered with a line of more than 16 KiB"),
        ("exit 0", "ended without an answer"),
        ("printf '{\"status\":0}'; exit 0", "ended without an answer"),
        ("exit 75", "status 75"),
        ("kill -SEGV $$", "signal 11"),
        ("exec <&-; exit 3", "status 3"),
        ("exec >&-; exit 3", "status 3"),
        ("exec >&-; sleep 1000", "closed a pipe and did not answer"),
    ];
    thread::scope(|scope| {
        for (misdeed, expected) in cases {
            scope.spawn(move || {
                let script = format!("read -r line; [ -e next ] || {{ >next; {misdeed}; }}\n");
                let crew = Crew::new(&format!("{script}echo '{{\"status\":0}}'\n{GOOD}"));
                let failure = crew.failure("{}");
                // More than one line may be read in pieces.
                let expected = [expected, "answered with more than one line"];
                assert!(expected.contains(&failure.as_str()), "{misdeed}: {failure}");
                // Its process is gone, and after one failure the next one comes at once.
                crew.wait_until_gone("started");
                assert_eq!(crew.failure("{}"), "", "{misdeed}");
                assert_eq!(crew.failure("{}"), "", "{misdeed}");
                assert_eq!(crew.started(), 2, "{misdeed}");
            });
        }
    });
}

#[test]
fn a_greeting_is_no_answer() {
    let crew = Crew::new(&format!("echo ready\n{GOOD}"));
    for _ in 0..2 {
        let Delivered { result, said } = crew.deliver("{}");
        let error = result.expect_err("it is not the answer").to_string();
        // The answer may have followed already.
        let expected = ["did not answer with an object", "answered with more than one line"];
        assert!(expected.iter().any(|it| error.starts_with(it)), "{error}");
        assert!(said.starts_with("ready"), "{said}");
    }
    assert_eq!(crew.started(), 2);
}

#[test]
fn an_answer_counts_even_if_the_helper_ends_behind_it() {
    let crew = Crew::new("read -r line; echo '{\"status\":75}'; exit 3");
    for _ in 0..4 {
        // It works, so there is no pause, however often.
        assert_eq!(crew.failure("{}"), "status 75");
        crew.wait_until_gone("started");
    }
    assert_eq!(crew.started(), 4);
}

#[test]
fn one_that_hangs_is_ended_with_all_of_its_group() {
    let hangs = "sleep 1000 & echo $! >>group; sleep 1000";
    for script in [
        format!("read -r line; {hangs}"),
        format!("trap '' TERM HUP INT; read -r line; {hangs}"),
        "kill -STOP $$".to_owned(),
        "exec sleep 1000".to_owned(),
        "read -r line; yes >&2".to_owned(),
        "read -r line; exec <&-; sleep 1000".to_owned(),
    ] {
        let crew = Crew::with(&script, SHORT, LONG);
        let error = crew.deliver("{}").result.expect_err(&script);
        let ResidentError::Process(ProcessErrorKind::TimedOut(SHORT)) = error else {
            panic!("{script}: {error}");
        };
        for file in ["started", "group"] {
            crew.wait_until_gone(file);
        }
    }
}

#[test]
fn an_answer_that_comes_too_late_reaches_nobody() {
    let crew = Crew::with(
        "read -r line; if [ ! -e next ]; then >next
             trap 'echo \"{\\\"status\\\":67}\"; exit 0' TERM; sleep 1000; fi
         echo '{\"status\":0}'\n",
        READY,
        LONG,
    );
    assert_eq!(crew.failure("{}"), "timed out after 8s");
    assert_eq!(crew.failure("{}"), "");
    crew.wait_until_gone("started");
}

#[test]
fn a_long_message_arrives_as_a_whole() {
    let message = format!("\"{}\"", "0123456789abcdef".repeat(64 * 1024));
    let crew = Crew::new(
        "while head -n 1 >got; [ -s got ]; do echo '{\"status\":0}'; rm got; break; done; cat",
    );
    assert_eq!(crew.failure(&message), "");

    let unread = Crew::with("sleep 1000", SHORT, LONG);
    assert_eq!(unread.failure(&message), "timed out after 500ms");
    let hasty = Crew::new("echo '{\"status\":0}'; sleep 1000");
    assert_eq!(hasty.failure(&message), "answered before it had read the message");
    let half = Crew::new("head -c 9 >got; exec <&-; sleep 1000");
    assert_eq!(half.failure(&message), "closed a pipe and did not answer");
}

#[test]
fn processes_that_it_leaves_hold_up_nothing() {
    let crew = Crew::new(
        "exec 3<&0; sleep 1000 <&3 & echo $! >>others
         read -r line; echo '{\"status\":0}'; read -r line; exit 3",
    );
    assert_eq!(crew.failure("{}"), "");
    assert_eq!(crew.failure("{}"), "status 3");
    crew.wait_until_gone("started");
    for process in crew.lines("others") {
        assert!(runs(&process), "as with other programs, it goes on");
        process::Command::new("kill").args(["-9", &process]).status().expect("kill");
    }
}

#[test]
fn one_that_is_unfit_between_two_messages_costs_nothing() {
    for after in [
        "exit 3",
        "kill -KILL $$",
        "sleep 0.1; echo '{\"status\":67}'",
        "exec <&-; sleep 1000",
        "exec >&-; sleep 1000",
    ] {
        let crew = Crew::new(&format!(
            "read -r line; echo '{{\"status\":0}}'; [ -e next ] || {{ >next; {after}; }}; >over\n\
             {GOOD}"
        ));
        assert_eq!(crew.failure("{}"), "");
        // Nobody asks it, and it ends all the same: the attendant looks after it.
        crew.wait_until_gone("started");
        assert_eq!(crew.failure("{}"), "", "{after}");
        assert_eq!(crew.failure("{}"), "", "{after}");
        assert_eq!(crew.started(), 2, "{after}");
    }
    // Also if the attendant has not looked yet.
    let crew = Crew::new("read -r line; echo '{\"status\":0}'; exit 3");
    for _ in 0..20 {
        assert_eq!(crew.failure("{}"), "");
        for process in crew.lines("started") {
            wait_for("it to end", || {
                let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
                (stat.is_empty() || stat.contains(") Z ")).then_some(())
            });
        }
    }
}

#[test]
fn what_it_says_is_logged_with_its_message_and_without_personal_data() {
    let crew = Crew::new(
        "while read -r line; do
             echo 'no ADA@example.com' >&2
             echo '{\"status\":75,\"log\":\"450 \\u0061da%40example.com\\u0000 busy\"}'
             while [ ! -e late ]; do sleep 0.01; done; echo 'late: bob@example.com' >&2; >written
             read -r line; echo '{\"status\":0}'
         done",
    );
    let private = [Private::Address("ada@example.com")];
    let Delivered { said, .. } = crew.residents.deliver("{}", REFERENCE, &private);
    assert_eq!(said, r"450 ***\0 busy\nno ***");
    // What comes behind an answer belongs to no message.
    fs::write(crew.folder.path().join("late"), "").expect("a file");
    wait_for("it to be written", || {
        (!crew.lines("written").is_empty() || crew.folder.path().join("written").exists())
            .then_some(())
    });
    let Delivered { result, said } = crew.residents.deliver("{}", REFERENCE, &private);
    assert!(result.is_ok() && said.is_empty(), "{said}");

    // What comes as late as during the next message is logged with that one.
    let crew = Crew::new(
        "while read -r line; do
             [ -z \"$before\" ] || echo \"sent to $before\" >&2
             before=$line; echo '{\"status\":0}'
         done",
    );
    let deliver =
        |name: &str| crew.residents.deliver(name, REFERENCE, &[Private::Address(name)]).said;
    assert_eq!(
        ["ada@example.com", "bob@example.org", "cyd@example.net"].map(deliver),
        ["", "sent to ***", "sent to ***"]
    );

    let settings = [("API_KEY".to_owned(), "hunter2".to_owned())].into();
    let shell =
        "read -r line; echo \"nonsense: $API_KEY 1234-5678\"; echo $API_KEY >&2; sleep 1000";
    let shell = HelperCommand::new("sh", LONG).with_arguments(&["-c", shell]);
    let residents = Residents::new(shell.with_environment(settings), LONG).expect("a thread");
    assert!(!format!("{residents:?}").contains("hunter2"));
    let Delivered { said, .. } = residents.deliver("{}", REFERENCE, &[Private::Text("1234-5678")]);
    assert!(said.starts_with("nonsense: *** ***"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn a_flood_of_errors_is_read_and_dropped() {
    let crew = Crew::new(
        "while read -r line; do
             head -c 3000000 /dev/zero | tr '\\0' x >&2; echo '{\"status\":0,\"log\":\"fine\"}'
         done",
    );
    for _ in 0..2 {
        let Delivered { result, said } = crew.deliver("{}");
        assert!(result.is_ok());
        assert!(said.starts_with(r"fine\nxxx"), "{said}");
        assert_eq!(said.replace(r"\n", "\n").len(), OUTPUT_MAX);
    }
    let crew = Crew::new(
        "while read -r line; do log=$(head -c 9000 /dev/zero | tr '\\0' y)
             echo not this >&2; echo \"{\\\"status\\\":0,\\\"log\\\":\\\"$log\\\"}\"; done",
    );
    assert_eq!(crew.deliver("{}").said, "y".repeat(OUTPUT_MAX));
    // One that never stops is given the next message all the same.
    let crew = Crew::new(&format!("yes >&2 & echo $! >yes\n{GOOD}"));
    for _ in 0..3 {
        assert_eq!(crew.failure("{}"), "");
    }
    assert_eq!(crew.started(), 1);
    for process in crew.lines("yes") {
        process::Command::new("kill").args(["-9", &process]).status().expect("kill");
    }
}

#[test]
fn as_many_as_messages_and_the_latest_first() {
    const MANY: usize = 8;
    // Each waits until all of them have a message.
    let crew = Crew::new(&format!(
        "read -r line; echo >>begun; while [ \"$(wc -l <begun)\" -lt {MANY} ]; do sleep 0.01; done
         echo '{{\"status\":0}}'
         while read -r line; do echo $$ >>used; echo '{{\"status\":0}}'; done"
    ));
    let failures = at_once(MANY, || crew.failure("{}"));
    assert_eq!(failures, [""; MANY]);
    assert_eq!(crew.started(), MANY);
    for _ in 0..MANY {
        assert_eq!(crew.failure("{}"), "");
    }
    assert_eq!(crew.lines("used").iter().collect::<BTreeSet<_>>().len(), 1, "one is enough");
    assert_eq!(crew.started(), MANY);
    // All of them end together.
    crew.residents.finish();
    crew.wait_until_gone("started");
}

#[test]
fn those_that_are_idle_are_ended_without_any_traffic() {
    let ends = "trap 'echo TERM >>signals' TERM; while read -r line; do echo '{\"status\":0}'; done
                echo $$ >>ended";
    let crew = Crew::with(ends, LONG, SHORT);
    assert_eq!(crew.failure("{}"), "");
    wait_for("it to end", || (crew.lines("ended").len() == 1).then_some(()));
    crew.wait_until_gone("started");
    assert!(crew.lines("signals").is_empty(), "its input ended");
    // That was no failure.
    assert_eq!(crew.failure("{}"), "");
    assert_eq!(crew.started(), 2);
    drop(crew);

    // One that does not care is ended by signals.
    for trap in ["", "trap '' TERM"] {
        let crew = Crew::with(&format!("{trap}\n{GOOD}; sleep 1000"), LONG, SHORT);
        assert_eq!(crew.failure("{}"), "");
        crew.wait_until_gone("started");
    }
}

#[test]
fn the_end_waits_for_all_and_leaves_nobody() {
    let script = format!(
        "{GOOD}; echo $$ >>asked; [ -e stubborn ] || {{ >stubborn; trap '' TERM; sleep 1000; }}"
    );
    let crew = Crew::new(&script);
    // Both have a message at the same time.
    let gate = Crew::new("while read -r line; do echo '{\"status\":0}'; sleep 0.5; done");
    assert!(at_once(2, || gate.failure("{}")).iter().all(String::is_empty));
    assert_eq!(crew.failure("{}"), "");
    crew.residents.finish();
    gate.residents.finish();
    for crew in [&crew, &gate] {
        assert!(crew.started() > 0);
        for process in crew.lines("started") {
            assert!(!runs(&process), "it has ended before");
        }
    }
    // One that comes back later is ended at once.
    assert_eq!(crew.failure("{}"), "");
    for process in crew.lines("started") {
        assert!(!runs(&process), "it has ended before");
    }
}

#[test]
fn a_crash_loop_has_growing_pauses() {
    let crew = Crew::new("read -r line; exit 1");
    let begun = Instant::now();
    for _ in 0..5 {
        assert_eq!(crew.failure("{}"), "status 1");
    }
    // After the first none, then 100, 200 and 400 ms.
    assert!(begun.elapsed() >= Duration::from_millis(700));

    // A message that would have less than half of its time behind a pause does not wait for it.
    let crew = Crew::with("read -r line; exit 1", READY, LONG);
    let mut tried = 0;
    let pause = loop {
        match crew.deliver("{}").result.expect_err("it fails") {
            ResidentError::Paused(pause) => break pause,
            _ => tried += 1,
        }
        assert_eq!(tried, crew.started());
        assert!(tried < 12, "it waits for the longest pause");
    };
    assert!(tried >= 4 && pause < READY, "{tried} {pause:?}");
}

#[test]
fn a_success_ends_the_pauses() {
    let crew = Crew::with(
        "while read -r line; do [ \"$line\" = good ] || exit 1; echo '{\"status\":0}'; done",
        READY,
        LONG,
    );
    for _ in 0..6 {
        assert_eq!(crew.failure("bad"), "status 1");
        assert_eq!(crew.failure("bad"), "status 1");
        assert_eq!(crew.failure("good"), "");
    }
    assert_eq!(crew.started(), 13);
}

#[test]
fn what_cannot_be_started_is_an_error_without_a_pause() {
    let missing = HelperCommand::new("no-such-helper-in-the-path", LONG);
    let residents = Residents::new(missing, LONG).expect("a thread");
    for _ in 0..20 {
        let Delivered { result, .. } = residents.deliver("{}", REFERENCE, &[]);
        let error = result.expect_err("it is not there").to_string();
        assert!(error.starts_with("could not be started: No such file"), "{error}");
    }
}
