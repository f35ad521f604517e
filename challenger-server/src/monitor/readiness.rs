//! Whether the service could do its work now.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::process::HelperCommand;
use crate::settings::helper_missing;
use crate::store::{Store, StoreError};

/// How long the database may take. Whoever asks decides soon where to send people.
const LIMIT: Duration = Duration::from_secs(1);

/// How long an answer of the database counts. Whoever asks more often learns nothing more, and the
/// database is not asked more often than that.
const FRESH: Duration = Duration::from_secs(1);

/// What the service needs besides itself.
pub(super) struct Readiness {
    command: HelperCommand,
    database: Arc<Inquiry>,
    is_stopping: AtomicBool,
}

impl Readiness {
    pub(super) fn new(store: Arc<dyn Store>, command: HelperCommand) -> Self {
        let database = Inquiry { store, state: Mutex::default(), answered: Condvar::new() };
        Self { command, database: Arc::new(database), is_stopping: AtomicBool::new(false) }
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
    pub(super) fn database(&self) -> Result<(), StoreError> {
        Inquiry::answer(&self.database)
    }

    /// Whether the helper's program can be run.
    pub(super) fn has_helper(&self) -> bool {
        self.command.exists()
    }
}

/// The question to the database. Many may ask it at the same time, and share the answer, so that
/// there is one thread and one connection for it, however long it takes.
struct Inquiry {
    store: Arc<dyn Store>,
    state: Mutex<State>,
    answered: Condvar,
}

#[derive(Default)]
struct State {
    /// Since when an answer is awaited.
    asked: Option<Instant>,
    /// The last answer, and when it came.
    answer: Option<(Instant, Result<(), StoreError>)>,
}

impl Inquiry {
    fn answer(this: &Arc<Self>) -> Result<(), StoreError> {
        let mut state = this.state();
        if let Some((came, answer)) = &state.answer
            && came.elapsed() < FRESH
        {
            return answer.clone();
        }
        let asked = match state.asked {
            Some(asked) => asked,
            None => {
                Self::ask(this)?;
                *state.asked.insert(Instant::now())
            }
        };
        let left = LIMIT.saturating_sub(asked.elapsed());
        let is_awaited = |it: &mut State| it.asked == Some(asked);
        let waited = this.answered.wait_timeout_while(state, left, is_awaited);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let late = || Err(StoreError("has not answered within a second".to_owned()));
        if is_awaited(&mut state) {
            return late();
        }
        state.answer.as_ref().map_or_else(late, |(_, answer)| answer.clone())
    }

    /// Asks, in a thread of its own.
    fn ask(this: &Arc<Self>) -> Result<(), StoreError> {
        let it = Arc::clone(this);
        let ask = move || {
            let checked = catch_unwind(AssertUnwindSafe(|| it.store.check()));
            let fault = |_| Err(StoreError("was not asked: a fault of ours".to_owned()));
            let answer = checked.unwrap_or_else(fault);
            let mut state = it.state();
            *state = State { asked: None, answer: Some((Instant::now(), answer)) };
            it.answered.notify_all();
        };
        let spawned = thread::Builder::new().name("readiness".to_owned()).spawn(ask);
        spawned.map(drop).map_err(|error| StoreError(format!("was not asked: {error}")))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
