//! Counts of everything that a swarm reached: they show that the tests really went there.

use std::collections::BTreeMap;

use challenger_proto::Refusal;

use super::faults::Fault;

/// Refusals that no request can lead to here, and why.
pub(crate) const UNREACHABLE: [(Refusal, &str); 7] = [
    (Refusal::ContentLengthMalformed, "the front reads lengths"),
    (Refusal::ExpectationUnknown, "the front reads expectations"),
    (Refusal::HeadMalformed, "the front reads heads"),
    (Refusal::HeadTooLarge, "the front reads heads"),
    (Refusal::RequestTimeout, "the front waits"),
    (Refusal::TransferEncodingUnsupported, "the front reads bodies"),
    (Refusal::VersionUnsupported, "the front reads versions"),
];

/// How far a validation may get.
const STATES: [&str; 5] = ["Open", "Challenged", "Solved", "Redeemed", "Revoked"];

/// The deeds of people, clients and others.
const DEEDS: [&str; 53] = [
    "a person comes back by a bookmark",
    "a person comes by a pushed request",
    "a person comes by themselves",
    "a person comes too late",
    "a person double-clicks",
    "a person enters a code",
    "a person fixes a typo in the address",
    "a person gives up",
    "a person gives an address",
    "a person has another message sent",
    "a person holds a grant",
    "a person mistypes a code",
    "a person opens a link again",
    "a program looks at a link first",
    "a person mistypes the address",
    "a person proves an address at another client",
    "a person reloads",
    "a person renews a code",
    "a person submits an old form",
    "a person submits an old form after a crash",
    "a person waits for a budget",
    "a person does without an address whose budget is spent",
    "a client asks about a token",
    "a client asks for a validation",
    "a client asks how it stands",
    "a client asks twice",
    "a client proposes an address",
    "a client fixes an address",
    "a client changes its state",
    "a client uses no PKCE",
    "a client uses PKCE in plain",
    "a client uses PKCE with S256",
    "a client pushes a request",
    "a client redeems",
    "a client redeems twice",
    "a client replays a code late",
    "a client reads the address",
    "a client reads the address after it gave the token up",
    "a client revokes a token",
    "a guesser guesses",
    "a guesser enters another address's code",
    "a bomber asks for a message",
    "a swarmer asks for a message",
    "a swarmer guesses",
    "Mallory asks about another client's token",
    "Mallory bends a request",
    "Mallory changes a fixed address",
    "Mallory replaces a pushed request",
    "Mallory revokes another client's token",
    "Mallory steals a request_uri",
    "a bungler sends nonsense",
    "pages",
    "JSON",
];

/// How often everything happened.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub steps: u64,
    pub seeds: u64,
    pub validations: u64,
    /// The most requests that somebody needed in the end, once nothing failed any more.
    pub patience: usize,
    /// How often somebody was told then that a budget is spent, at most.
    pub delays: usize,
    pub refusals: BTreeMap<Refusal, u64>,
    states: BTreeMap<&'static str, u64>,
    deeds: BTreeMap<&'static str, u64>,
    faults: BTreeMap<Fault, u64>,
}

impl Tally {
    pub fn refused(&mut self, refusal: Refusal) {
        *self.refusals.entry(refusal).or_default() += 1;
    }

    pub fn reached(&mut self, state: &'static str) {
        *self.states.entry(state).or_default() += 1;
    }

    pub fn did(&mut self, deed: &'static str) {
        *self.deeds.entry(deed).or_default() += 1;
    }

    pub fn struck(&mut self, fault: Fault) {
        *self.faults.entry(fault).or_default() += 1;
    }

    pub fn add(&mut self, other: &Self) {
        self.steps += other.steps;
        self.seeds += other.seeds;
        self.validations += other.validations;
        self.patience = self.patience.max(other.patience);
        self.delays = self.delays.max(other.delays);
        add(&mut self.refusals, &other.refusals);
        add(&mut self.states, &other.states);
        add(&mut self.deeds, &other.deeds);
        add(&mut self.faults, &other.faults);
    }

    /// Everything that was never reached, and should have been; and the reverse.
    pub fn gaps(&self) -> Vec<String> {
        let excused = |refusal: &Refusal| UNREACHABLE.iter().any(|(it, _)| it == refusal);
        let mut gaps = Vec::new();
        for refusal in Refusal::ALL {
            if self.refusals.contains_key(refusal) == excused(refusal) {
                gaps.push(format!("refusal {refusal:?}"));
            }
        }
        let missing = |names: &[&'static str], found: &BTreeMap<&'static str, u64>| {
            let never = names.iter().filter(|it| !found.contains_key(*it));
            let unknown = found.keys().filter(|it| !names.contains(it));
            never.chain(unknown).map(ToString::to_string).collect::<Vec<_>>()
        };
        gaps.extend(missing(&STATES, &self.states));
        gaps.extend(missing(&DEEDS, &self.deeds));
        let never = Fault::ALL.into_iter().filter(|it| !self.faults.contains_key(it));
        gaps.extend(never.map(|it| format!("fault {it:?}")));
        gaps
    }

    /// Prints the counts.
    pub fn print(&self) {
        for (refusal, count) in &self.refusals {
            println!("{count:9} refusal {refusal:?}");
        }
        for (refusal, why) in UNREACHABLE {
            println!("        – refusal {refusal:?}: {why}");
        }
        for name in STATES {
            println!("{:9} state {name}", self.states.get(name).unwrap_or(&0));
        }
        for name in DEEDS {
            println!("{:9} {name}", self.deeds.get(name).unwrap_or(&0));
        }
        for (fault, count) in &self.faults {
            println!("{count:9} fault {fault:?}");
        }
    }
}

fn add<K: Copy + Ord>(sum: &mut BTreeMap<K, u64>, more: &BTreeMap<K, u64>) {
    for (key, count) in more {
        *sum.entry(*key).or_default() += count;
    }
}
