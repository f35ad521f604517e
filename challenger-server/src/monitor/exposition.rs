//! Everything that is known about the service, written for Prometheus.

use std::fmt;
use std::sync::Arc;

use prometheus_client::encoding::{EncodeLabelSet, prometheus_text, text};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::readiness::Readiness;
use crate::front::{Pulse, Traffic};
use crate::logging::lost_lines;
use crate::metrics::PREFIX;
use crate::os;
use crate::places::{Limits, Usage};
use crate::responder::Responder;

/// The features that this program was built with.
const FEATURES: [(&str, bool); 5] = [
    ("metrics", true),
    ("postgres", cfg!(feature = "postgres")),
    ("sqlite", cfg!(feature = "sqlite")),
    ("tiny-http", cfg!(feature = "tiny-http")),
    ("tls", cfg!(feature = "tls")),
];

/// The formats that are known to readers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// OpenMetrics 1.0, which Prometheus asks for.
    OpenMetrics,
    /// Prometheus' older format, which everybody reads.
    Text,
}

impl Format {
    /// The best of those that are accepted, by the header.
    pub(super) fn accepted(header: Option<&str>) -> Self {
        let mut ranges = header.unwrap_or_default().split(',');
        let is_asked_for = ranges.any(|range| {
            let name = range.split(';').next().unwrap_or_default().trim();
            name.eq_ignore_ascii_case("application/openmetrics-text")
        });
        if is_asked_for { Self::OpenMetrics } else { Self::Text }
    }

    pub(super) const fn media_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => prometheus_text::CONTENT_TYPE,
        }
    }
}

/// What is written, and where it comes from.
pub(super) struct Exposition {
    responder: Arc<Responder>,
    pulse: Option<Pulse>,
    connections_max: usize,
    schema: usize,
    /// When the process began, in seconds since 1970.
    begun: u64,
}

impl Exposition {
    pub(super) fn new(
        responder: Arc<Responder>,
        pulse: Option<Pulse>,
        connections_max: usize,
        schema: usize,
    ) -> Self {
        let begun = os::now().seconds();
        Self { responder, pulse, connections_max, schema, begun }
    }

    /// Writes it all.
    pub(super) fn write(
        &self,
        format: Format,
        readiness: &Readiness,
    ) -> Result<String, fmt::Error> {
        let mut written = String::new();
        let now = self.now(readiness);
        let recorded = &self.responder.metrics;
        match format {
            Format::OpenMetrics => {
                recorded.encode(|it| text::encode_registry(&mut written, it))?;
                text::encode(&mut written, &now)?;
            }
            Format::Text => {
                recorded.encode(|it| prometheus_text::encode(&mut written, it))?;
                prometheus_text::encode(&mut written, &now)?;
            }
        }
        Ok(written)
    }

    /// What is not recorded, but can be seen at any time.
    fn now(&self, readiness: &Readiness) -> Registry {
        let mut registry = Registry::default();
        registry.register_with_unit(
            "process_start_time",
            "When the process began, since 1970",
            Unit::Seconds,
            ConstGauge::new(self.begun),
        );
        let ours = registry.sub_registry_with_prefix(PREFIX);
        let features: Vec<&str> =
            FEATURES.into_iter().filter(|(_, is_there)| *is_there).map(|(name, _)| name).collect();
        let build = [
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("features", features.join(",")),
            ("schema", self.schema.to_string()),
        ];
        ours.register("build", "What this program is", Info::new(build));
        let parts = [
            ("database", readiness.database().is_ok()),
            ("helper", readiness.has_helper()),
            ("service", !readiness.is_stopping()),
        ];
        let parts = parts.map(|(part, is_ready)| ([("part", part)], u32::from(is_ready)));
        gauges(ours, "ready", "Whether a part can do its work", parts);
        self.register_places(ours);
        if let Some(pulse) = &self.pulse {
            self.register_connections(ours, pulse.traffic());
        }
        self.register_budgets(ours);
        let lost = ConstCounter::new(lost_lines());
        ours.register("log_lines_lost", "Lines of the log that nobody took in time", lost);
        registry
    }

    fn register_places(&self, ours: &mut Registry) {
        let Usage { taken, waiting, limits } = self.responder.places.usage();
        let Limits { helpers, waiting: waiting_max, .. } = limits;
        for (name, help, value) in [
            ("helpers_busy", "Helpers at work", taken),
            ("helpers_max", "Helpers that may be at work at the same time", helpers),
            ("helpers_waiting", "Requests that wait for a helper", waiting),
            ("helpers_waiting_max", "Requests that may wait for a helper", waiting_max),
        ] {
            ours.register(name, help, ConstGauge::new(value));
        }
    }

    fn register_connections(&self, ours: &mut Registry, traffic: Traffic) {
        let Traffic { open, evicted, turned_away } = traffic;
        ours.register("connections", "Open connections", ConstGauge::new(open));
        let most = ConstGauge::new(self.connections_max);
        ours.register("connections_max", "Connections that may be open", most);
        for (name, help, value) in [
            ("connections_evicted", "Connections that were ended to make room", evicted),
            ("connections_turned_away", "Connections that found no room", turned_away),
        ] {
            ours.register(name, help, ConstCounter::new(value));
        }
    }

    fn register_budgets(&self, ours: &mut Registry) {
        let balances = self.responder.metrics.budgets(os::now());
        let of = |value: fn(&(String, u32, u32)) -> u32| {
            let samples = balances.iter().map(|it| ([("account", it.0.clone())], value(it)));
            samples.collect::<Vec<_>>()
        };
        let help = "Messages of the budget that are spent, as of the last one from here";
        gauges(ours, "budget_spent_messages", help, of(|it| it.1));
        gauges(ours, "budget_max_messages", "Messages of the budget", of(|it| it.2));
    }
}

/// Registers a gauge with labels.
fn gauges<L>(
    registry: &mut Registry,
    name: &str,
    help: &str,
    samples: impl IntoIterator<Item = (L, u32)>,
) where
    L: Clone + fmt::Debug + Eq + std::hash::Hash + EncodeLabelSet + Send + Sync + 'static,
{
    let family = Family::<L, Gauge>::default();
    for (labels, value) in samples {
        family.get_or_create(&labels).set(value.into());
    }
    registry.register(name, help, family);
}
