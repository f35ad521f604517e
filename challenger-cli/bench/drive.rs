//! Many people at once, each going through flows one after the other (a closed loop).

use std::collections::BTreeMap;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::codes::Post;
use super::flow::{Client, Person, Reader, STEPS, Times, Trouble};
use super::procs;
use super::wire::Place;

/// How long somebody waits after a failure, so that a service that is away is not asked a million
/// times.
const PAUSE: Duration = Duration::from_millis(20);

/// A service to drive, its client, and the processes whose CPU time counts.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where its servers listen. Each person asks them in turn.
    pub places: Vec<Place>,
    pub client: Client,
    pub reader: Reader,
    pub post: Post,
    /// The processes of its servers, if they are ours to look at.
    pub servers: Vec<u32>,
    /// The first process of the database.
    pub database: Option<u32>,
}

/// The result of one run.
#[derive(Clone, Debug, Default)]
pub struct Run {
    pub connections: usize,
    pub flows: u64,
    pub requests: u64,
    pub elapsed: Duration,
    /// In the order of [`STEPS`], sorted, in microseconds.
    pub latencies: Vec<Vec<u64>>,
    /// Counts by error.
    pub errors: BTreeMap<String, u64>,
    /// Microseconds of CPU time by process.
    pub cpu: BTreeMap<&'static str, u64>,
    /// Of all servers at the end, in KiB.
    pub memory_kib: Option<u64>,
}

/// The result of one thread.
#[derive(Default)]
struct Tally {
    flows: u64,
    latencies: [Vec<u64>; STEPS.len()],
    errors: BTreeMap<String, u64>,
}

impl Target {
    /// Lets this many people go through flows for this time. Each goes through one before, so that
    /// all connections are there and warm.
    pub fn run(&self, connections: usize, time: Duration) -> Result<Run, String> {
        let mut people = Vec::new();
        for number in 0..connections {
            let codes = self.post.open(number).map_err(|error| format!("codes: {error}"))?;
            people.push(Person::new(&self.places, &self.client, self.reader, codes, number));
        }
        let start = Barrier::new(connections + 1);
        let (tallies, begun, cpu) = thread::scope(|scope| {
            let threads: Vec<_> = people
                .into_iter()
                .map(|mut person| {
                    let start = &start;
                    scope.spawn(move || {
                        let warm = person.walk(&mut Times::default());
                        start.wait();
                        warm.map(|()| go_on(&mut person, time))
                    })
                })
                .collect();
            start.wait();
            let (begun, cpu) = (Instant::now(), self.cpu());
            let tallies: Vec<_> = threads.into_iter().map(thread::ScopedJoinHandle::join).collect();
            (tallies, begun, cpu)
        });
        let mut run = Run { connections, elapsed: begun.elapsed(), ..Run::default() };
        run.cpu = self.cpu();
        for (who, micros) in cpu {
            run.cpu.entry(who).and_modify(|it| *it = it.saturating_sub(micros));
        }
        let memory = self.servers.iter().filter_map(|it| procs::memory_kib(*it));
        run.memory_kib = (!self.servers.is_empty()).then(|| memory.map(|(now, _)| now).sum());
        run.latencies = vec![Vec::new(); STEPS.len()];
        for tally in tallies {
            let tally = tally.map_err(|_| "a thread of the driver panicked")?;
            run.add(tally.map_err(|Trouble(what)| format!("the first flow failed: {what}"))?);
        }
        run.latencies.iter_mut().for_each(|all| all.sort_unstable());
        Ok(run)
    }

    fn cpu(&self) -> BTreeMap<&'static str, u64> {
        let mut cpu = BTreeMap::from([("driver", procs::cpu_micros(std::process::id()))]);
        for server in &self.servers {
            let own = procs::cpu_micros(*server);
            *cpu.entry("server").or_default() += own;
            let helpers = procs::family_cpu_micros(*server).saturating_sub(own);
            *cpu.entry("helpers").or_default() += helpers;
        }
        cpu.extend(self.database.map(|it| ("database", procs::family_cpu_micros(it))));
        cpu
    }
}

fn go_on(person: &mut Person<'_>, time: Duration) -> Tally {
    let mut tally = Tally::default();
    let begun = Instant::now();
    while begun.elapsed() < time {
        let mut times = Times::default();
        match person.walk(&mut times) {
            Ok(()) => tally.flows += 1,
            Err(Trouble(what)) => {
                *tally.errors.entry(what).or_default() += 1;
                thread::sleep(PAUSE);
            }
        }
        for (all, time) in tally.latencies.iter_mut().zip(times) {
            all.extend(time.and_then(|it| u64::try_from(it.as_micros()).ok()));
        }
    }
    tally
}

impl Run {
    fn add(&mut self, tally: Tally) {
        self.flows += tally.flows;
        for (all, more) in self.latencies.iter_mut().zip(tally.latencies) {
            self.requests += more.len() as u64;
            all.extend(more);
        }
        for (what, count) in tally.errors {
            *self.errors.entry(what).or_default() += count;
        }
    }

    /// Whole flows per second.
    pub fn flows_per_second(&self) -> f64 {
        self.flows as f64 / self.elapsed.as_secs_f64()
    }

    /// CPU milliseconds of a process for each flow.
    pub fn cpu_ms_per_flow(&self, who: &str) -> Option<f64> {
        let micros = self.cpu.get(who).copied()?;
        (self.flows > 0).then(|| micros as f64 / 1000.0 / self.flows as f64)
    }

    /// A percentile of one step, or of all requests, in milliseconds.
    pub fn percentile(&self, step: Option<usize>, percent: usize) -> f64 {
        let sorted = match step {
            Some(step) => self.latencies.get(step).cloned().unwrap_or_default(),
            None => {
                let mut all = self.latencies.concat();
                all.sort_unstable();
                all
            }
        };
        // The smallest that so many in a hundred do not exceed.
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted.get(rank - 1).copied().unwrap_or_default() as f64 / 1000.0
    }

    /// The result as JSON, for programs.
    pub fn to_json(&self) -> Value {
        let of = |step: Option<usize>| {
            let value = |percent| json!(self.percentile(step, percent));
            json!({"p50": value(50), "p90": value(90), "p99": value(99), "max": value(100)})
        };
        let mut steps: Map<String, Value> = STEPS
            .iter()
            .enumerate()
            .map(|(number, name)| ((*name).to_owned(), of(Some(number))))
            .collect();
        steps.insert("all".to_owned(), of(None));
        let cpu: Map<String, Value> = self
            .cpu
            .keys()
            .map(|who| ((*who).to_owned(), json!(self.cpu_ms_per_flow(who))))
            .collect();
        json!({
            "connections": self.connections,
            "cpu_ms_per_flow": cpu,
            "errors": self.errors,
            "flows": self.flows,
            "flows_per_second": self.flows_per_second(),
            "latency_ms": steps,
            "memory_kib": self.memory_kib,
            "requests": self.requests,
            "requests_per_second": self.requests as f64 / self.elapsed.as_secs_f64(),
            "seconds": self.elapsed.as_secs_f64(),
        })
    }
}
