//! What the service counts and times of its own work, for whoever watches it.
//!
//! [`Metrics`] is the one place that is told. What is only known at the moment, such as open
//! connections, is asked for when it is read: see `monitor.rs`. A build without the feature
//! `metrics` has the same methods, which do nothing.
//!
//! No label comes from a stranger: routes, refusals and the rest are words of this program, and
//! clients and the service are the operator's.

#[cfg_attr(not(feature = "metrics"), path = "metrics/nothing.rs")]
mod recorder;
#[cfg(feature = "metrics")]
mod timing;

pub use recorder::Metrics;
#[cfg(feature = "metrics")]
pub(crate) use recorder::PREFIX;
