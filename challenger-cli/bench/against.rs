//! Two services in turn, such as an older build and this one, so that other work of the machine
//! affects both alike.

use serde_json::{Map, Value, json};

use super::drive::Run;
use super::flows::{Cell, Plan};
use super::spread::Spread;
use super::tell;

/// A figure of a run, if it has that.
type Figure = fn(&Run) -> Option<f64>;

const FLOWS: &str = "flows/s";

/// The figures that are compared, with how many digits to show.
const FIGURES: [(&str, usize, Figure); 5] = [
    (FLOWS, 0, |run| Some(run.flows_per_second())),
    ("server CPU ms/flow", 3, |run| run.cpu_ms_per_flow("server")),
    ("database CPU ms/flow", 3, |run| run.cpu_ms_per_flow("database")),
    ("p50 of a request, ms", 2, |run| Some(run.percentile(None, 50))),
    ("p99 of a request, ms", 2, |run| Some(run.percentile(None, 99))),
];

/// Two services with the same number of connections, in pairs of runs.
pub struct Pair {
    pub old: Cell,
    pub new: Cell,
}

/// A figure of both, and that of the new one divided by that of the old one.
pub struct Compared {
    pub what: &'static str,
    pub digits: usize,
    pub old: Spread,
    pub new: Spread,
    pub ratio: Spread,
}

impl Pair {
    fn new(name: &str, connections: usize) -> Self {
        Self { old: Cell::new(name, connections), new: Cell::new(name, connections) }
    }

    /// All figures. The ratios are those of neighbouring runs.
    pub fn compared(&self) -> Vec<Compared> {
        let of = |(what, digits, figure): (&'static str, usize, Figure)| {
            let runs = self.old.runs.iter().zip(&self.new.runs);
            let pairs = runs.filter_map(|(old, new)| figure(old).zip(figure(new)));
            let pairs: Vec<(f64, f64)> = pairs.collect();
            let old = Spread::of(pairs.iter().map(|(old, _)| *old));
            let new = Spread::of(pairs.iter().map(|(_, new)| *new));
            let ratio = Spread::of(pairs.iter().map(|(old, new)| new / old));
            (!pairs.is_empty()).then_some(Compared { what, digits, old, new, ratio })
        };
        FIGURES.into_iter().filter_map(of).collect()
    }

    /// Flows per second of the new one divided by those of the old one.
    pub fn flows_ratio(&self) -> Option<f64> {
        let compared = self.compared();
        compared.iter().find(|it| it.what == FLOWS).map(|it| it.ratio.median())
    }

    pub fn to_json(&self) -> Value {
        let compared = self.compared();
        let ratios: Map<String, Value> =
            compared.iter().map(|it| (it.what.to_owned(), it.ratio.to_json())).collect();
        json!({
            "new": self.new.to_json(),
            "old": self.old.to_json(),
            "ratios": ratios,
        })
    }
}

/// Measures services of two plans, which differ in one thing: old, new, new, old, and so on.
pub fn measure(old_plan: &Plan, plan: &Plan) -> Result<Vec<Pair>, String> {
    let mut pairs = Vec::new();
    for kind in &plan.kinds {
        let (old, new) = (old_plan.start(*kind)?, plan.start(*kind)?);
        let (old, new) = (old.target(plan.reader), new.target(plan.reader));
        let of_kind = plan.connections.iter().map(|number| Pair::new(kind.name(), *number));
        let mut of_kind: Vec<Pair> = of_kind.collect();
        for run in 1..=plan.runs {
            for pair in &mut of_kind {
                let connections = pair.new.connections;
                tell(format_args!("run {run}: {}, {connections} connections", pair.new.name));
                let mut both = [(&old, &mut pair.old), (&new, &mut pair.new)];
                if run % 2 == 0 {
                    both.reverse();
                }
                for (target, cell) in both {
                    cell.runs.push(target.run(connections, plan.time)?);
                }
            }
        }
        pairs.extend(of_kind);
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn run(flows: u64) -> Run {
        Run { flows, elapsed: Duration::from_secs(1), ..Run::default() }
    }

    #[test]
    fn ratios_are_those_of_neighbours() {
        let mut pair = Pair::new("a service", 8);
        // The machine was twice as busy in the first pair of runs.
        pair.old.runs = vec![run(100), run(200), run(200)];
        pair.new.runs = vec![run(150), run(300), run(310)];
        let compared = pair.compared();
        let flows = compared.first().unwrap();
        assert_eq!((flows.what, flows.ratio.median(), flows.ratio.most()), ("flows/s", 1.5, 1.55));
        // There is no CPU time of a process that was not looked at.
        assert!(compared.iter().all(|it| !it.what.contains("CPU")));
    }
}
