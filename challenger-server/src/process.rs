//! Runs the operator's program that delivers a message, and returns the result.
//!
//! The program gets the address as its only argument and the message on its standard input; its
//! exit status alone decides. Whatever it does, [`HelperCommand::run`] returns in time, and leaves
//! neither a zombie nor an open descriptor behind. A program that stays for many messages is in
//! `resident.rs`.

mod children;
mod pipes;
mod redact;
pub(crate) mod resident;

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{self, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{Access, access};
use rustix::io::ioctl_fionbio;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use children::Started;
pub use children::reap_orphans;
use pipes::{Exchanged, Pipes};
pub(crate) use redact::Kept;
pub use redact::Private;
use redact::Redaction;

/// How much of the program's output is kept for the log, in bytes: enough for an error message and
/// its context. A flood is read and dropped.
pub const OUTPUT_MAX: usize = 4096;

/// How often to check whether a program has ended where the kernel does not wake us: Linux before
/// 5.3, or a filter of system calls without `pidfd_open`. Also while one is killed.
const TICK: Duration = Duration::from_millis(2);
/// How long to wait for more output after the program has ended: what it wrote is in the pipe
/// already, and the pipe stays open only when something it left running holds it.
const OUTPUT_GRACE: Duration = Duration::from_millis(100);
/// How long a program whose time is up may take to clean up, beyond that time: it gets SIGTERM, and
/// SIGKILL after this. Deleting a few files takes less, and people are waiting for an answer.
pub const TERM_GRACE: Duration = Duration::from_secs(2);
/// How long a killed program may take to end before another thread waits for it. One that became
/// another user cannot be killed, and one in the middle of a disk access only later.
const KILL_GRACE: Duration = Duration::from_secs(1);

/// Prefixes of the service's own variables: its sockets, its database, its settings.
const PRIVATE_PREFIXES: [&[u8]; 5] =
    [b"CHALLENGER_", b"LISTEN_", b"NOTIFY_SOCKET", b"PG", b"WATCHDOG_"];

/// A text of somebody else, such as an answer, as it may be printed: on one line, with `***` in
/// place of private texts, however they are spelled.
pub fn hide(text: &str, private: &[Private<'_>]) -> String {
    Redaction::new(private, &BTreeMap::new()).line(text.as_bytes(), false)
}

/// A program that delivers messages.
#[derive(Clone)]
pub struct HelperCommand {
    program: String,
    arguments: Vec<String>,
    timeout: Duration,
    environment: BTreeMap<String, String>,
}

/// Without the values of the variables, which may be passwords.
impl fmt::Debug for HelperCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { program, arguments, timeout, environment } = self;
        let names: Vec<&String> = environment.keys().collect();
        write!(f, "HelperCommand({program:?}, {arguments:?}, {timeout:?}, {names:?})")
    }
}

impl HelperCommand {
    /// A program by its path, or by its name to be looked up in `PATH`. No shell is involved. All
    /// of its process group gets SIGTERM when it takes longer than `timeout`, and is killed as soon
    /// as that had its effect, or after [`TERM_GRACE`].
    pub fn new(program: impl Into<String>, timeout: Duration) -> Self {
        let (arguments, environment) = (Vec::new(), BTreeMap::new());
        Self { program: program.into(), arguments, timeout, environment }
    }

    /// The same program with arguments before the address.
    #[must_use]
    pub fn with_arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments = arguments.iter().map(ToString::to_string).collect();
        self
    }

    /// The same program with more variables in its environment: the operator's settings for it,
    /// such as a password. They take precedence over all others. Those whose names say that they
    /// are secret, and those with a login, are hidden in the program's output.
    #[must_use]
    pub fn with_environment(mut self, settings: BTreeMap<String, String>) -> Self {
        self.environment = settings;
        self
    }

    /// The program, as it was given.
    pub fn program(&self) -> &str {
        &self.program
    }

    /// How long it may take.
    pub const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Whether the program exists and may be run. A bare name is looked up in the `PATH` of its own
    /// environment, else in ours.
    pub fn exists(&self) -> bool {
        let runs = |path: &Path| path.is_file() && access(path, Access::EXEC_OK).is_ok();
        if self.program.contains('/') {
            return runs(Path::new(&self.program));
        }
        let own = self.environment.get("PATH").map(OsString::from);
        let path = own.or_else(|| env::var_os("PATH")).unwrap_or_default();
        env::split_paths(&path).any(|folder| runs(&folder.join(&self.program)))
    }

    /// Has a message delivered, and returns what the program printed: one line without control
    /// characters for the log, in which `***` stands for everything `private`, however it is
    /// spelled. `variables` go into its environment.
    ///
    /// Background processes of a successful program go on undisturbed, but their output is not read
    /// any more.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use challenger_server::process::{HelperCommand, Private};
    ///
    /// let echo = HelperCommand::new("echo", Duration::from_secs(30));
    /// let printed = echo.run("for Ada", "Your code: 1234-5678", &[], &[Private::Address("Ada")])?;
    /// assert_eq!(printed, "for ***");
    /// # Ok::<(), challenger_server::process::ProcessError>(())
    /// ```
    ///
    /// # Errors
    /// [`ProcessError`], whenever the exit status is not 0.
    pub fn run(
        &self,
        address_argument: &str,
        message: &str,
        variables: &[(&str, &str)],
        private: &[Private<'_>],
    ) -> Result<String, ProcessError> {
        let (child, output) = match self.start(address_argument, variables) {
            Ok(started) => started,
            Err(error) => return Err(ProcessErrorKind::NotStarted(error).into()),
        };
        let mut pipes = Pipes::for_one(message.as_bytes(), output);
        let failure = self.attend(child, &mut pipes);
        let output = self.printable(&pipes.output.kept, pipes.output.is_cut, private);
        match failure {
            None => Ok(output),
            Some(kind) => Err(ProcessError { kind, output }),
        }
    }

    /// Runs the program with these arguments and without a message. Returns the lines that it
    /// printed about errors, each as [`Self::run`] returns them, and how it failed, if it did.
    pub(crate) fn examine(&self, arguments: &[&str]) -> (Vec<String>, Option<ProcessErrorKind>) {
        let Some((last, others)) = arguments.split_last() else { return (Vec::new(), None) };
        let command = self.clone().with_arguments(others);
        let started = pipe().and_then(|(output, stdout)| {
            let (errors, stderr) = pipe()?;
            let child = command.spawn(last, &[], stdout, stderr)?;
            Ok((child, Pipes::for_none(output, errors)))
        });
        let (child, mut pipes) = match started {
            Ok(started) => started,
            Err(error) => return (Vec::new(), Some(ProcessErrorKind::NotStarted(error))),
        };
        let failure = command.attend(child, &mut pipes);
        let lines = pipes.errors.kept.split(|byte| *byte == b'\n');
        let lines = lines.map(|line| command.printable(line, false, &[]));
        (lines.filter(|line| !line.is_empty()).collect(), failure)
    }

    /// What a program printed, in the form that [`Self::run`] returns. It may have been cut off.
    pub(crate) fn printable(
        &self,
        printed: &[u8],
        is_cut: bool,
        private: &[Private<'_>],
    ) -> String {
        Redaction::new(private, &self.environment).line(printed, is_cut)
    }

    /// Starts the program and returns it with the pipe of its stdout and stderr.
    fn start(
        &self,
        address_argument: &str,
        variables: &[(&str, &str)],
    ) -> io::Result<(Started, PipeReader)> {
        let (reader, writer) = pipe()?;
        let child = self.spawn(address_argument, variables, writer.try_clone()?, writer)?;
        Ok((child, reader))
    }

    /// Starts the program with this last argument, and with pipes.
    fn spawn(
        &self,
        argument: &str,
        variables: &[(&str, &str)],
        stdout: PipeWriter,
        stderr: PipeWriter,
    ) -> io::Result<Started> {
        let mut command = process::Command::new(&self.program);
        command.args(&self.arguments).arg(argument);
        command.process_group(0);
        command.stdin(Stdio::piped()).stdout(stdout).stderr(stderr);
        for (name, _) in env::vars_os().filter(|(name, _)| is_private(name)) {
            command.env_remove(name);
        }
        command.envs(variables.iter().copied()).envs(&self.environment);
        // `command` holds our copies of the writing ends: they have to go for the output to end.
        Started::spawn(&mut command)
    }

    /// Serves the program until it has ended; `None` is success.
    fn attend(&self, mut child: Started, pipes: &mut Pipes) -> Option<ProcessErrorKind> {
        let end = end_of(&child);
        let exchanged = pipes
            .connect(&mut child)
            .and_then(|()| pipes.exchange(&mut child, end.as_ref(), self.timeout, |_| false));
        match exchanged {
            Ok(Exchanged::Ended(status)) => {
                pipes.drain(OUTPUT_GRACE);
                failure_of(status)
            }
            Ok(Exchanged::Enough | Exchanged::TimeUp) => {
                // Even if it succeeds now, it was too late.
                terminate(child, end.as_ref(), pipes);
                Some(ProcessErrorKind::TimedOut(self.timeout))
            }
            Err(error) => {
                kill(child);
                Some(ProcessErrorKind::Lost(error))
            }
        }
    }
}

/// A pipe whose reader cannot block us.
fn pipe() -> io::Result<(PipeReader, PipeWriter)> {
    let (reader, writer) = io::pipe()?;
    ioctl_fionbio(&reader, true)?;
    Ok((reader, writer))
}

/// A descriptor by which the kernel reports the end of a program, if it can.
fn end_of(child: &Started) -> Option<OwnedFd> {
    pidfd_open(Pid::from_child(child), PidfdFlags::empty()).ok()
}

/// The meaning of an end; `None` is success.
fn failure_of(status: ExitStatus) -> Option<ProcessErrorKind> {
    match (status.code(), status.signal()) {
        (Some(0), _) => None,
        (Some(code), _) => Some(ProcessErrorKind::Status(code)),
        (None, Some(signal)) => Some(ProcessErrorKind::Signal(signal)),
        (None, None) => Some(ProcessErrorKind::Lost(io::Error::other(status.to_string()))),
    }
}

/// Whether a variable of our environment is withheld from the program.
fn is_private(name: &OsStr) -> bool {
    PRIVATE_PREFIXES.iter().any(|prefix| name.as_encoded_bytes().starts_with(prefix))
}

/// Ends the program with all of its process group, and gives it a moment to clean up.
fn terminate(child: Started, end: Option<&OwnedFd>, pipes: &mut Pipes) {
    // An error means that there is nothing left to end.
    let _ = kill_process_group(Pid::from_child(&child), Signal::TERM);
    pipes.wait_for_end(&child, end, TERM_GRACE);
    kill(child);
    pipes.drain(OUTPUT_GRACE);
}

/// Kills the program with all of its process group, and makes sure that it is waited for.
fn kill(mut child: Started) {
    // Either may fail because nothing is left to kill; the loop below finds out.
    let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
    let _ = child.kill();
    let killed = Instant::now();
    while killed.elapsed() < KILL_GRACE {
        match child.try_wait() {
            Ok(None) => thread::sleep(TICK),
            Ok(Some(_)) | Err(_) => return,
        }
    }
    // Without a thread, the worst is a zombie.
    let _ = thread::Builder::new().name("reaper".to_string()).spawn(move || child.wait());
}

/// How a program failed.
#[derive(Debug)]
pub enum ProcessErrorKind {
    /// It could not be watched, and so was killed.
    Lost(io::Error),
    /// It never ran.
    NotStarted(io::Error),
    /// A signal ended it.
    Signal(i32),
    /// It ended with a status other than 0.
    Status(i32),
    /// It was ended after this time.
    TimedOut(Duration),
}

/// The message was not delivered. `Display` says how the program failed, without its output.
#[derive(Debug)]
pub struct ProcessError {
    /// How the program failed.
    pub kind: ProcessErrorKind,
    /// The program's output, in the form that [`HelperCommand::run`] returns.
    pub output: String,
}

impl From<ProcessErrorKind> for ProcessError {
    fn from(kind: ProcessErrorKind) -> Self {
        Self { kind, output: String::new() }
    }
}

impl fmt::Display for ProcessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl fmt::Display for ProcessErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(error) => write!(f, "lost: {error}"),
            Self::NotStarted(error) => write!(f, "could not be started: {error}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::Status(status) => write!(f, "status {status}"),
            Self::TimedOut(timeout) => write!(f, "timed out after {timeout:?}"),
        }
    }
}

impl Error for ProcessError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.kind {
            ProcessErrorKind::Lost(error) | ProcessErrorKind::NotStarted(error) => Some(error),
            ProcessErrorKind::Signal(_)
            | ProcessErrorKind::Status(_)
            | ProcessErrorKind::TimedOut(_) => None,
        }
    }
}
