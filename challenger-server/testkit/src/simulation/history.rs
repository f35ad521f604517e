//! The latest events of a simulation, which a failure prints.

use std::collections::VecDeque;

use challenger_proto::{Refusal, Timestamp};

use super::server::Errand;
use crate::world;

/// How many events are printed.
const LATEST: usize = 40;

#[derive(Debug, Default)]
pub struct History(VecDeque<Event>);

#[derive(Debug)]
struct Event {
    now: Timestamp,
    /// The number of a request, and its sender.
    request: Option<(usize, Errand)>,
    name: &'static str,
    refusal: Option<Refusal>,
}

impl History {
    pub fn add(
        &mut self,
        now: Timestamp,
        request: Option<(usize, Errand)>,
        name: &'static str,
        refusal: Option<Refusal>,
    ) {
        if self.0.len() == LATEST {
            self.0.pop_front();
        }
        self.0.push_back(Event { now, request, name, refusal });
    }

    pub fn print(&self) {
        for Event { now, request, name, refusal } in &self.0 {
            let seconds = now.since(world::START).as_seconds();
            let refusal = refusal.map_or(String::new(), |it| format!(": {it:?}"));
            match request {
                None => println!("{seconds:6} s  {name}"),
                Some((number, Errand { who, what })) => {
                    println!("{seconds:6} s  #{number} actor {who}, {what:?}, {name}{refusal}");
                }
            }
        }
    }
}
