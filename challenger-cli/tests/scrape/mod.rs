//! A site that is watched, and what it tells.

#![allow(dead_code, reason = "each test uses its part of it")]
#![allow(clippy::float_arithmetic, reason = "samples are such numbers")]

use std::collections::BTreeMap;
use std::fs;

use challenger_testkit::{Peer, Place, Reply, request};

use crate::site::{Site, free_port};

/// The media type of OpenMetrics, as a reader asks for it.
pub(crate) const OPEN_METRICS: &str = "application/openmetrics-text;version=1.0.0";

/// A place where a service tells how it does.
#[derive(Clone)]
pub(crate) struct Monitor(pub(crate) Place);

impl Monitor {
    /// Has a site tell, on a port of its own, and returns that.
    pub(crate) fn of(site: &Site) -> Self {
        let port = free_port();
        let text = fs::read_to_string(site.config()).unwrap();
        let section = format!("\n[challenger-metrics]\nSERVE = tcp\nPORT = {port}\n");
        fs::write(site.config(), text + &section).unwrap();
        Self(Place::Tcp(port))
    }

    pub(crate) fn port(&self) -> u16 {
        let Place::Tcp(port) = self.0 else { panic!("it has no port") };
        port
    }

    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
        let mut peer = Peer::new(self.0.connect().unwrap());
        peer.send(request(method, path, headers, b""));
        peer.reply_to(method).unwrap()
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, &[])
    }

    /// What is in the way of the service; nothing if it is ready.
    pub(crate) fn obstacles(&self) -> Vec<String> {
        let reply = self.get("readyz");
        match reply.status {
            200 => assert_eq!(reply.body, "ready\n"),
            status => assert_eq!(status, 503, "{}", reply.body),
        }
        let lines = reply.body.lines().filter(|_| reply.status == 503);
        lines.map(str::to_owned).collect()
    }

    pub(crate) fn scrape(&self) -> Scrape {
        let reply = self.get("metrics");
        assert_eq!(reply.status, 200, "{}", reply.body);
        Scrape::read(&reply.body)
    }
}

/// The samples of one moment, by their names with labels in order.
#[derive(Clone, Debug)]
pub(crate) struct Scrape {
    pub(crate) samples: BTreeMap<String, f64>,
    /// The types of metrics, by their names.
    pub(crate) types: BTreeMap<String, String>,
    pub(crate) text: String,
}

impl Scrape {
    fn read(text: &str) -> Self {
        let (mut samples, mut types) = (BTreeMap::new(), BTreeMap::new());
        for line in text.lines() {
            if let Some(line) = line.strip_prefix("# TYPE ") {
                let (name, kind) = line.split_once(' ').unwrap();
                assert!(types.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} twice");
            } else if !line.starts_with('#') {
                let (name, value) = line.rsplit_once(' ').unwrap();
                let before = samples.insert(sorted(name), value.parse().unwrap());
                assert_eq!(before, None, "{name} twice");
            }
        }
        Self { samples, types, text: text.to_owned() }
    }

    /// A value; 0 for one that is not there, as for whoever computes with it.
    pub(crate) fn value(&self, name: &str) -> f64 {
        self.samples.get(&sorted(name)).copied().unwrap_or_default()
    }

    /// What has changed since then, without durations and their buckets, which nobody can foresee.
    pub(crate) fn since(&self, before: &Self) -> Vec<String> {
        let changes = self.samples.iter().map(|(name, value)| (name, value - before.value(name)));
        let changes = changes.filter(|(name, change)| {
            *change != 0.0 && !name.contains("_seconds_sum") && !name.contains("_seconds_bucket")
        });
        changes.map(|(name, change)| format!("{name} {change:+}")).collect()
    }
}

/// A sample's name with its labels in order, without those that are empty. Prometheus makes no
/// difference.
fn sorted(sample: &str) -> String {
    let Some((name, labels)) = sample.split_once('{') else { return sample.to_owned() };
    let labels = labels.strip_suffix("\"}").unwrap();
    let mut labels: Vec<&str> = labels.split("\",").filter(|it| !it.ends_with("=\"")).collect();
    labels.sort_unstable();
    let labels: Vec<String> = labels.into_iter().map(|it| format!("{it}\"")).collect();
    format!("{name}{{{}}}", labels.join(","))
}
