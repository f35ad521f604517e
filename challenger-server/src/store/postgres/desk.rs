//! The desk: which tasks travel to the database when, and on which connection.
//!
//! ```text
//!   as many connections as tasks ──▶ each travels at once, alone
//!   more tasks than connections  ──▶ they wait
//!                                      ├─▶ fewer than four trips are under way: the task that has
//!                                      │   waited longest leads the next one, and takes along what
//!                                      │   waits then
//!                                      └─▶ too long: an error
//! ```
//!
//! The thread of the request that leads makes the trip. So no thread stands between a request and
//! the database, and nobody waits for others to come.
//!
//! A connection may be dead without being noticed, because the database was restarted. Checking it
//! before each use would cost a round trip. Instead, the first connection that is found dead, or
//! that does not answer in time, begins a new generation, and those of earlier ones are not used
//! again. So a primary that is lost without a word costs the requests of that moment, and no later
//! ones.

#[cfg(test)]
mod tests;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use super::error::{LATE, PostgresError};
use super::task::{Answer, Task};
use crate::store::lock;

/// Maximum number of connections. More statements at once do not make a database faster.
const CONNECTIONS_MAX: usize = 16;

/// How many trips there are at a time once there are more tasks than connections. Fuller trips cost
/// the database less than more of them, and together they still keep it busy.
const TRIPS_OF_MANY: usize = 4;

/// A trip that takes longer than this may wait for something, such as a locked row, and does not
/// count as one of them.
const SLOW: Duration = Duration::from_millis(500);

/// The same, with those that hang. They end when the database goes on or they break; until then, no
/// more are made.
const CONNECTIONS_MAX_WITH_HUNG: usize = 32;

/// Maximum number of tasks that travel together.
const TRIP_MAX: usize = 64;

/// How long a request waits for a connection, for example while the database restarts.
const CHECKOUT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long to wait before connecting again, after that failed.
const PAUSE: Duration = Duration::from_millis(250);

/// A connection, as the desk sees it.
pub(super) trait Wire: Send {
    /// Makes a round trip for all of them, and answers them. The first leads: at its deadline, the
    /// trip ends.
    fn carry(&mut self, trip: &[Ticket]) -> Fate;

    /// Waits until the database is done with it, however long that takes.
    fn end(self: Box<Self>);
}

/// What becomes of a connection after a trip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The trip did not end in time, and the database may still be working on it. Idle connections
    /// may be as bad.
    Hung,
    /// It is dead, and so may be all others that were made until now.
    Lost,
    /// It is not used again, which says nothing about others.
    Spent,
    /// It is used again.
    Usable,
}

/// A task, and where its answer goes.
#[derive(Clone)]
pub(super) struct Ticket {
    pub(super) task: Arc<Task>,
    /// Whether it has to travel without others.
    is_alone: bool,
    turn: SyncSender<Turn>,
}

/// What comes to the thread that has a ticket.
enum Turn {
    Answer(Answer),
    /// It leads a trip on this line.
    Lead(Line),
}

/// A connection, and the generation in which it was begun.
struct Line {
    wire: Box<dyn Wire>,
    generation: u64,
    number: u64,
}

/// A trip under way.
struct Trip {
    /// The number of the line.
    line: u64,
    tasks: usize,
    begun: Instant,
}

impl Ticket {
    fn new(task: &Arc<Task>, is_alone: bool) -> (Self, Receiver<Turn>) {
        let (turn, turns) = mpsc::sync_channel(1);
        (Self { task: Arc::clone(task), is_alone, turn }, turns)
    }

    /// Answers it. Only the first answer counts.
    pub(super) fn answer(&self, answer: Answer) {
        // A caller who gave up does not need to know.
        self.turn.try_send(Turn::Answer(answer)).ok();
    }
}

/// Makes connections.
type Connect = dyn Fn() -> Result<Box<dyn Wire>, PostgresError> + Send + Sync;

/// Where tasks wait for connections.
pub(super) struct Desk {
    connect: Box<Connect>,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    /// In the order of their deadlines, so that a task that tries again keeps its place.
    waiting: Vec<Ticket>,
    /// The one that was used last is used next.
    free: Vec<Line>,
    trips: Vec<Trip>,
    /// How many connections were made.
    made: u64,
    /// How many there are: free, travelling, and being made.
    connections: usize,
    /// How many are being made.
    connecting: usize,
    /// How many more there are that hang.
    hung: usize,
    generation: u64,
    /// Why the last attempt to connect failed, if it did: part of the error for all that wait.
    failure: Option<PostgresError>,
}

impl Queue {
    fn enter(&mut self, ticket: Ticket) {
        let earlier = |it: &Ticket| it.task.deadline <= ticket.task.deadline;
        self.waiting.insert(self.waiting.partition_point(earlier), ticket);
    }

    /// Takes a task out that waited in vain, unless it is under way.
    fn leave(&mut self, task: &Arc<Task>) -> bool {
        let place = self.waiting.iter().position(|it| Arc::ptr_eq(&it.task, task));
        place.map(|place| self.waiting.remove(place)).is_some()
    }

    /// Takes out what travels with the task that leads on this line. A trip ends with its leader,
    /// so one that has little time left takes nobody along.
    fn companions(&mut self, line: u64, leader: &Ticket) -> Vec<Ticket> {
        if leader.is_alone || left_until(leader.task.deadline) < SLOW {
            return Vec::new();
        }
        let companions: Vec<Ticket> =
            self.waiting.extract_if(.., |ticket| !ticket.is_alone).take(TRIP_MAX - 1).collect();
        let mine = self.trips.iter_mut().find(|trip| trip.line == line);
        mine.into_iter().for_each(|trip| trip.tasks += companions.len());
        companions
    }

    /// Whether another trip may begin. As long as there are as many connections as tasks, each
    /// travels at once: PostgreSQL itself gathers the commits of many connections. After that, few
    /// trips carry them all.
    fn may_travel(&self) -> bool {
        let under_way = self.trips.iter().map(|trip| trip.tasks).sum::<usize>();
        let fast = self.trips.iter().filter(|trip| trip.begun.elapsed() < SLOW);
        self.waiting.len() + under_way <= CONNECTIONS_MAX || fast.count() < TRIPS_OF_MANY
    }

    /// Gives free connections to those that have waited longest.
    fn dispatch(&mut self) {
        while !self.waiting.is_empty() && self.may_travel() {
            let Some(line) = self.free.pop() else { return };
            self.trips.push(Trip { line: line.number, tasks: 1, begun: Instant::now() });
            // Its thread is there: it leaves the queue before it goes.
            self.waiting.remove(0).turn.try_send(Turn::Lead(line)).ok();
        }
    }

    /// Takes a connection back. Returns those that are not used again, itself last.
    fn take_back(&mut self, line: Line, fate: Fate) -> Vec<Line> {
        self.trips.retain(|trip| trip.line != line.number);
        if matches!(fate, Fate::Hung | Fate::Lost) {
            self.generation = self.generation.max(line.generation.saturating_add(1));
        }
        let generation = self.generation;
        let mut ended: Vec<Line> =
            self.free.extract_if(.., |it| it.generation < generation).collect();
        if fate != Fate::Usable || line.generation < generation {
            ended.push(line);
        } else {
            self.free.push(line);
        }
        self.connections -= ended.len();
        if fate == Fate::Hung {
            self.hung += 1;
        }
        self.dispatch();
        ended
    }

    /// Whether another connection would help. While connecting fails, one attempt at a time does.
    fn needs_connection(&self) -> bool {
        let most = if self.failure.is_some() { 1 } else { self.waiting.len() };
        self.connecting < most.min(self.waiting.len())
            && self.may_travel()
            && self.connections < CONNECTIONS_MAX
            && self.connections + self.hung < CONNECTIONS_MAX_WITH_HUNG
    }
}

impl Desk {
    /// A desk without connections: they are made when they are needed.
    pub(super) fn new(connect: Box<Connect>) -> Arc<Self> {
        Arc::new(Self { connect, queue: Mutex::default() })
    }

    /// Carries out a task, without others if it has to be alone. It is over at its deadline.
    pub(super) fn run(self: &Arc<Self>, task: &Arc<Task>, is_alone: bool) -> Answer {
        let checkout = task.deadline.min(Instant::now() + CHECKOUT_TIMEOUT);
        let (ticket, turns) = Ticket::new(task, is_alone);
        lock(&self.queue).enter(ticket.clone());
        let turn = loop {
            let mut queue = lock(&self.queue);
            queue.dispatch();
            self.connect_if_needed(queue);
            // Trips under way may become slow meanwhile.
            match turns.recv_timeout(left_until(checkout).min(SLOW)) {
                Ok(turn) => break turn,
                Err(_) if Instant::now() < checkout => {}
                Err(_) if lock(&self.queue).leave(task) => return Err(self.timed_out()),
                Err(_) => match turns.recv_timeout(left_until(task.deadline)) {
                    Ok(turn) => break turn,
                    Err(_) => return Err(abandoned()),
                },
            }
        };
        match turn {
            Turn::Answer(answer) => answer,
            Turn::Lead(line) => {
                let companions = lock(&self.queue).companions(line.number, &ticket);
                self.lead(line, [vec![ticket], companions].concat(), &turns)
            }
        }
    }

    /// Leads a trip, and returns the answer to the first ticket.
    fn lead(self: &Arc<Self>, mut line: Line, trip: Vec<Ticket>, turns: &Receiver<Turn>) -> Answer {
        // A fault of ours costs those who travel, and this connection.
        let carried = catch_unwind(AssertUnwindSafe(|| line.wire.carry(&trip)));
        let fate = carried.unwrap_or(Fate::Spent);
        for ticket in trip {
            ticket.answer(Err(abandoned()));
        }
        self.take_back(line, fate);
        answer(turns)
    }

    /// Takes a connection back, or a new one.
    fn take_back(self: &Arc<Self>, line: Line, fate: Fate) {
        let mut queue = lock(&self.queue);
        let mut ended = queue.take_back(line, fate);
        self.connect_if_needed(queue);
        // While nobody waits for the queue.
        if fate == Fate::Hung {
            ended.pop().into_iter().for_each(|line| self.await_end(line));
        }
        drop(ended);
    }

    /// Waits for a connection that hangs, in a thread of its own.
    fn await_end(self: &Arc<Self>, line: Line) {
        let desk = Arc::clone(self);
        let work = move || {
            catch_unwind(AssertUnwindSafe(|| line.wire.end())).ok();
            let mut queue = lock(&desk.queue);
            queue.hung -= 1;
            desk.connect_if_needed(queue);
        };
        if spawn(work).is_err() {
            lock(&self.queue).hung -= 1;
        }
    }

    fn connect_if_needed(self: &Arc<Self>, mut queue: MutexGuard<'_, Queue>) {
        while queue.needs_connection() {
            let desk = Arc::clone(self);
            match spawn(move || desk.connect()) {
                Ok(()) => {
                    queue.connections += 1;
                    queue.connecting += 1;
                }
                Err(error) => {
                    queue.failure = Some(PostgresError::no_thread(&error));
                    return;
                }
            }
        }
    }

    /// Connects, and tries again as long as somebody waits for it.
    fn connect(self: Arc<Self>) {
        loop {
            // Read first: whatever happens from now on may concern this connection.
            let generation = lock(&self.queue).generation;
            let fault = |_| Err(PostgresError::Unreachable("a fault of ours".to_owned()));
            let made = catch_unwind(AssertUnwindSafe(|| (self.connect)())).unwrap_or_else(fault);
            let mut queue = lock(&self.queue);
            queue.failure = made.as_ref().err().cloned();
            if made.is_err() && queue.connecting == 1 {
                drop(queue);
                // Meanwhile it keeps its place, so that no other attempt begins.
                thread::sleep(PAUSE);
                queue = lock(&self.queue);
                if !queue.waiting.is_empty() {
                    continue;
                }
            }
            queue.connecting -= 1;
            match made {
                Err(_) => queue.connections -= 1,
                Ok(wire) => {
                    queue.made += 1;
                    let line = Line { wire, generation, number: queue.made };
                    drop(queue);
                    self.take_back(line, Fate::Usable);
                }
            }
            return;
        }
    }

    /// The error of a request that got no connection.
    fn timed_out(&self) -> PostgresError {
        let queue = lock(&self.queue);
        let cause = match &queue.failure {
            Some(failure) => failure.to_string(),
            None if queue.connections >= CONNECTIONS_MAX => "all of them are in use".to_owned(),
            None if queue.hung >= CONNECTIONS_MAX => "too many of them hang".to_owned(),
            None => LATE.to_owned(),
        };
        PostgresError::Unreachable(format!("timed out waiting for a connection: {cause}"))
    }
}

/// Makes one trip, without a desk.
pub(super) fn travel(wire: &mut dyn Wire, tasks: Vec<Task>) -> (Vec<Answer>, Fate) {
    let tickets = tasks.into_iter().map(|task| Ticket::new(&Arc::new(task), false));
    let (trip, turns): (Vec<_>, Vec<_>) = tickets.unzip();
    let fate = wire.carry(&trip);
    (turns.iter().map(answer).collect(), fate)
}

/// The answer to a ticket that has travelled.
fn answer(turns: &Receiver<Turn>) -> Answer {
    match turns.try_recv() {
        Ok(Turn::Answer(answer)) => answer,
        Ok(Turn::Lead(_)) | Err(_) => Err(abandoned()),
    }
}

fn spawn(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name("database".to_owned()).spawn(work).map(drop)
}

fn left_until(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

/// The error of a task that has no answer at its deadline.
fn abandoned() -> PostgresError {
    PostgresError::Abandoned(LATE.to_owned())
}
