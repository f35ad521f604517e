//! Whether the service could do its work now, and how to find out without being held up.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::process::HelperCommand;
use crate::settings::helper_missing;
use crate::store::Store;

/// How long the database may take. Whoever asks decides soon where to send people.
const LIMIT: Duration = Duration::from_secs(1);

/// How long an answer counts. Whoever asks more often learns nothing more, and nobody is asked more
/// often than that.
const FRESH: Duration = Duration::from_secs(1);

/// What the service needs besides itself.
pub(super) struct Readiness {
    command: HelperCommand,
    database: Arc<Inquiry>,
    is_stopping: AtomicBool,
}

impl Readiness {
    pub(super) fn new(store: Arc<dyn Store>, command: HelperCommand) -> Self {
        let ask = move || store.check().map_err(|error| error.to_string());
        let (database, is_stopping) = (Inquiry::new(LIMIT, ask), AtomicBool::new(false));
        Self { command, database, is_stopping }
    }

    /// From now on, it is not ready.
    pub(super) fn stopping(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }

    /// What is in the way, each in one line.
    pub(super) fn obstacles(&self) -> Vec<String> {
        let stopping = self.is_stopping().then(|| "stopping".to_owned());
        let database = self.database().err().map(|error| format!("database: {error}"));
        let helper = helper_missing(&self.command).map(|error| format!("helper: {error}"));
        let all = [stopping, database, helper];
        all.into_iter().flatten().map(|it| it.replace(char::is_control, " ")).collect()
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    /// Whether the database answers in time, with a schema that has all that is needed.
    pub(super) fn database(&self) -> Answer {
        self.database.answer()
    }

    /// Whether the helper's program can be run.
    pub(super) fn has_helper(&self) -> bool {
        self.command.exists()
    }
}

/// The answer to a question: what is wrong, if anything is.
pub(super) type Answer = Result<(), String>;

/// A question that may take long. Many may ask it at the same time, and share the answer, so that
/// there is one thread for it, however long it takes.
pub(super) struct Inquiry {
    question: Box<dyn Fn() -> Answer + Send + Sync>,
    /// How long to wait for an answer.
    limit: Duration,
    state: Mutex<State>,
    answered: Condvar,
}

#[derive(Default)]
struct State {
    /// Since when an answer is awaited.
    asked: Option<Instant>,
    /// The last answer, and when it came.
    answer: Option<(Instant, Answer)>,
}

impl Inquiry {
    pub(super) fn new(
        limit: Duration,
        question: impl Fn() -> Answer + Send + Sync + 'static,
    ) -> Arc<Self> {
        let (state, answered) = (Mutex::default(), Condvar::new());
        Arc::new(Self { question: Box::new(question), limit, state, answered })
    }

    pub(super) fn answer(self: &Arc<Self>) -> Answer {
        let mut state = self.state();
        if let Some((came, answer)) = &state.answer
            && came.elapsed() < FRESH
        {
            return answer.clone();
        }
        let asked = match state.asked {
            Some(asked) => asked,
            None => {
                self.ask()?;
                *state.asked.insert(Instant::now())
            }
        };
        let left = self.limit.saturating_sub(asked.elapsed());
        let is_awaited = |it: &mut State| it.asked == Some(asked);
        let waited = self.answered.wait_timeout_while(state, left, is_awaited);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let late = || Err(format!("has not answered within {:?}", self.limit));
        if is_awaited(&mut state) {
            return late();
        }
        state.answer.as_ref().map_or_else(late, |(_, answer)| answer.clone())
    }

    /// Asks, in a thread of its own.
    fn ask(self: &Arc<Self>) -> Answer {
        let it = Arc::clone(self);
        let ask = move || {
            let answer = catch_unwind(AssertUnwindSafe(|| (it.question)()));
            let answer =
                answer.unwrap_or_else(|_| Err("was not asked: a fault of ours".to_owned()));
            let mut state = it.state();
            *state = State { asked: None, answer: Some((Instant::now(), answer)) };
            it.answered.notify_all();
        };
        let spawned = thread::Builder::new().name("inquiry".to_owned()).spawn(ask);
        spawned.map(drop).map_err(|error| format!("was not asked: {error}"))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn a_question_that_hangs_is_asked_once() {
        let (gate, asked) = (Arc::new(Mutex::new(())), Arc::new(AtomicUsize::new(0)));
        let (theirs, count) = (Arc::clone(&gate), Arc::clone(&asked));
        let shut = gate.lock().unwrap();
        let inquiry = Inquiry::new(Duration::from_millis(20), move || {
            count.fetch_add(1, Ordering::SeqCst);
            drop(theirs.lock());
            Err("is not well".to_owned())
        });
        for _ in 0..5 {
            assert_eq!(inquiry.answer().unwrap_err(), "has not answered within 20ms");
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        drop(shut);
        let answer = || inquiry.answer().unwrap_err();
        while answer() != "is not well" {}
        assert_eq!(asked.load(Ordering::SeqCst), 1, "the late answer counts");
    }

    #[test]
    fn a_question_that_panics_is_answered() {
        let inquiry = Inquiry::new(Duration::from_secs(60), || panic!("on request"));
        assert_eq!(inquiry.answer().unwrap_err(), "was not asked: a fault of ours");
    }
}
