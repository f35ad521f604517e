//! A program that stays: it gets one message after the other, each as a line of JSON, and answers
//! each with a line of JSON.
//!
//! One that does anything else is ended. So nothing of one message reaches the next.

use std::error::Error;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;

use super::children::Started;
use super::pipes::{Exchanged, Pipes, has_ended};
use super::{
    HelperCommand, Kept, OUTPUT_GRACE, OUTPUT_MAX, ProcessErrorKind, TERM_GRACE, end_of,
    failure_of, kill, pipe, terminate,
};

/// The argument by which a program is asked to stay.
pub(crate) const SERVE: &str = "--serve";

/// The longest answer, in bytes without the end of the line: room for a long text for the log, with
/// each of its characters escaped.
pub const ANSWER_MAX: usize = 16 * 1024;

/// How long a program may take to end after one of its pipes was closed.
const END_GRACE: Duration = Duration::from_secs(2);

/// A program that stays, and has no message at the moment. It has to be ended by [`Resident::end`],
/// unless it ended or was ended during a message.
pub(crate) struct Resident {
    child: Started,
    end: Option<OwnedFd>,
    pipes: Pipes,
    /// That of the message that it has, or had last.
    reference: String,
    /// What is private about that message: the program may speak of it late.
    pub(crate) private: Vec<Kept>,
    pub(crate) passport: Passport,
}

/// How one is told from others.
#[derive(Clone, Copy)]
pub(crate) struct Passport {
    pub(crate) process: u32,
    pub(crate) started: Instant,
}

/// The outcome of a message.
pub(crate) struct Asked {
    /// Why it was not delivered.
    pub(crate) result: Result<(), ResidentError>,
    /// What the program had to say about it, as it was printed; it may have been cut off.
    pub(crate) said: (Vec<u8>, bool),
    /// The program; if it has ended or was ended, in a few words why.
    pub(crate) resident: Result<Resident, String>,
}

/// How a program that stays failed to deliver a message.
#[derive(Debug)]
pub enum ResidentError {
    /// It did not answer as it should, and was ended; in words that follow "it".
    Answer(&'static str),
    /// It failed again and again, and is not started again before this time has passed.
    Paused(Duration),
    /// As a program fails that was started for the message. A status is that of the answer, or of
    /// a program that ended without one.
    Process(ProcessErrorKind),
}

impl fmt::Display for ResidentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(problem) => f.write_str(problem),
            Self::Paused(pause) => {
                write!(f, "failed several times, and is not started again for {pause:.1?}")
            }
            Self::Process(kind) => kind.fmt(f),
        }
    }
}

impl Error for ResidentError {}

/// How a program without a message ended.
pub(crate) enum End {
    /// By itself, with status 0.
    Good,
    /// In another way, in a few words.
    Bad(String),
}

impl Resident {
    /// Starts a program that is to stay.
    pub(crate) fn start(command: &HelperCommand) -> io::Result<Self> {
        let (output, stdout) = pipe()?;
        let (errors, stderr) = pipe()?;
        let mut child = command.spawn(SERVE, &[], stdout, stderr)?;
        // With one byte more than an answer may have, and the end of the line.
        let mut pipes = Pipes::for_many(output, ANSWER_MAX + 2, errors);
        if let Err(error) = pipes.connect(&mut child) {
            kill(child);
            return Err(error);
        }
        let passport = Passport { process: child.id(), started: Instant::now() };
        let (reference, private) = (String::new(), Vec::new());
        Ok(Self { end: end_of(&child), child, pipes, reference, private, passport })
    }

    /// Whether it may get a message: it runs, listens, and has said nothing by itself. What it
    /// prints about errors meanwhile is dropped.
    pub(crate) fn is_ready(&mut self) -> bool {
        self.pipes.errors.catch_up();
        self.pipes.are_quiet() && !has_ended(&self.child)
    }

    /// Gives it a message, which is a line without its end, and waits for the answer until the
    /// time is up. An answer that has a reference must have this one.
    pub(crate) fn ask(mut self, message: &str, reference: &str, limit: Duration) -> Asked {
        reference.clone_into(&mut self.reference);
        self.pipes.give(format!("{message}\n").as_bytes());
        let begun = Instant::now();
        let is_enough = |pipes: &Pipes| {
            let answer = &pipes.output.kept;
            answer.contains(&b'\n') || answer.len() > ANSWER_MAX || pipes.is_broken()
        };
        let mut exchanged = self.exchange(limit, is_enough);
        if matches!(exchanged, Ok(Exchanged::Enough)) && self.answer().is_none() {
            // It is probably about to end, and its status says more.
            let left = limit.saturating_sub(begun.elapsed());
            exchanged = self.exchange(left.min(END_GRACE), |_| false);
            if matches!(exchanged, Ok(Exchanged::TimeUp)) {
                return self.fail(ResidentError::Answer("closed a pipe and did not answer"));
            }
        }
        match exchanged {
            Ok(Exchanged::Enough) => self.pipes.errors.catch_up(),
            Ok(Exchanged::Ended(status)) => {
                self.pipes.drain(OUTPUT_GRACE);
                return self.ended(status);
            }
            Ok(Exchanged::TimeUp) => {
                return self.fail(ResidentError::Process(ProcessErrorKind::TimedOut(limit)));
            }
            Err(error) => return self.fail(ResidentError::Process(ProcessErrorKind::Lost(error))),
        }
        match self.answer() {
            Some(Ok(answer)) => self.answered(&answer),
            Some(Err(problem)) => self.fail(ResidentError::Answer(problem)),
            None => self.fail(ResidentError::Answer("did not answer")),
        }
    }

    fn exchange(
        &mut self,
        limit: Duration,
        is_enough: impl Fn(&Pipes) -> bool,
    ) -> io::Result<Exchanged> {
        self.pipes.exchange(&mut self.child, self.end.as_ref(), limit, is_enough)
    }

    fn answered(self, answer: &Answer) -> Asked {
        let said = said(answer.log.as_bytes(), &self.pipes);
        Asked { result: answer.result(), said, resident: Ok(self) }
    }

    /// The outcome if it has ended: its answer counts if there is one. Then it goes back like any
    /// other, and is found to have ended.
    fn ended(self, status: ExitStatus) -> Asked {
        let error = match self.answer() {
            Some(Ok(answer)) => return self.answered(&answer),
            Some(Err(problem)) => ResidentError::Answer(problem),
            None => {
                let without = ResidentError::Answer("ended without an answer");
                failure_of(status).map_or(without, ResidentError::Process)
            }
        };
        let said = said(&self.pipes.output.kept, &self.pipes);
        let how = error.to_string();
        Asked { result: Err(error), said, resident: Err(how) }
    }

    /// Ends it, because it failed.
    fn fail(self, error: ResidentError) -> Asked {
        let Self { child, end, mut pipes, .. } = self;
        terminate(child, end.as_ref(), &mut pipes);
        let said = said(&pipes.output.kept, &pipes);
        let how = error.to_string();
        Asked { result: Err(error), said, resident: Err(how) }
    }

    /// Ends some that have no message, all at the same time: their input ends, and those that go on
    /// get signals.
    pub(crate) fn end(mut residents: Vec<Self>) -> Vec<(Passport, End)> {
        for resident in &mut residents {
            resident.pipes.forget_answer();
            resident.pipes.close();
        }
        let closed = Instant::now();
        let (mut ended, mut stubborn) = (Vec::new(), Vec::new());
        for mut resident in residents {
            let left = END_GRACE.saturating_sub(closed.elapsed());
            match resident.exchange(left, |_| false) {
                Ok(Exchanged::Ended(status)) => {
                    resident.pipes.output.catch_up();
                    ended.push((resident.passport, resident.end_with(status)));
                }
                Ok(Exchanged::Enough | Exchanged::TimeUp) | Err(_) => stubborn.push(resident),
            }
        }
        for resident in &stubborn {
            // An error means that there is nothing left to end.
            let _ = kill_process_group(Pid::from_child(&resident.child), Signal::TERM);
        }
        let warned = Instant::now();
        for Self { child, end, mut pipes, passport, .. } in stubborn {
            let left = TERM_GRACE.saturating_sub(warned.elapsed());
            pipes.wait_for_end(&child, end.as_ref(), left);
            kill(child);
            ended.push((passport, End::Bad("did not end with its input".to_owned())));
        }
        ended
    }

    /// The answer among what was printed, once it is whole, or what is wrong with it.
    fn answer(&self) -> Option<Result<Answer, &'static str>> {
        let printed = &self.pipes.output.kept;
        let end = printed.iter().position(|byte| *byte == b'\n');
        let len = end.unwrap_or(printed.len());
        if len > ANSWER_MAX {
            return Some(Err("answered with a line of more than 16 KiB"));
        }
        let (line, rest) = printed.split_at_checked(end?)?;
        if rest.len() > 1 {
            return Some(Err("answered with more than one line"));
        }
        if !self.pipes.is_written() {
            return Some(Err("answered before it had read the message"));
        }
        let answer: Value = serde_json::from_slice(line).unwrap_or_default();
        if answer.get("reference").is_some_and(|it| it != self.reference.as_str()) {
            return Some(Err("answered another message"));
        }
        Some(parse(&answer).ok_or("did not answer with an object that has a status from 0 to 255"))
    }

    fn end_with(&self, status: ExitStatus) -> End {
        match failure_of(status) {
            None if self.pipes.output.kept.is_empty() => End::Good,
            None => End::Bad("printed something that was no answer".to_owned()),
            Some(kind) => End::Bad(kind.to_string()),
        }
    }
}

/// An answer.
struct Answer {
    status: u8,
    log: String,
}

impl Answer {
    fn result(&self) -> Result<(), ResidentError> {
        match self.status {
            0 => Ok(()),
            status => Err(ResidentError::Process(ProcessErrorKind::Status(status.into()))),
        }
    }
}

/// Other members are ignored: a later server may have a use for them.
fn parse(answer: &Value) -> Option<Answer> {
    let status = answer.as_object()?.get("status")?.as_u64()?;
    let log = answer.get("log").map_or(Some(""), Value::as_str)?;
    Some(Answer { status: status.try_into().ok()?, log: log.to_owned() })
}

/// What a program said, and whether it was cut off: its words for the log or its wrong answer, and
/// then what it printed about errors.
fn said(first: &[u8], pipes: &Pipes) -> (Vec<u8>, bool) {
    let parts = [first, &pipes.errors.kept].map(<[u8]>::trim_ascii);
    let mut said = parts.into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>().join(&b'\n');
    let is_cut = pipes.errors.is_cut || said.len() > OUTPUT_MAX;
    said.truncate(OUTPUT_MAX);
    (said, is_cut)
}
