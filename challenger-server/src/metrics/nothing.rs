//! The methods of `recorder.rs` for a build without the feature `metrics`: they record nothing.

use std::time::Instant;

use challenger_proto::store::{Alert, Balance, Commit, Write};
use challenger_proto::{Failure, Refusal};

use crate::store::StoreError;

/// Records nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Metrics;

impl Metrics {
    /// Records nothing, either.
    pub const fn recording() -> Self {
        Self
    }

    pub(crate) const fn answered(
        &self,
        _: &'static str,
        _: u16,
        _: Option<Refusal>,
        _: Option<Instant>,
    ) {
    }

    pub(crate) fn send(&self, send: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
        send()
    }

    pub(crate) fn load<T>(
        &self,
        load: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        load()
    }

    pub(crate) fn commit(
        &self,
        _: &Write,
        commit: impl FnOnce() -> Result<Commit, StoreError>,
    ) -> Result<Commit, StoreError> {
        commit()
    }

    pub(crate) const fn retried(&self) {}

    pub(crate) const fn charged(&self, _: &Balance, _: Option<Alert>) {}
}
