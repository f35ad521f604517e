//! The outside of `monitor.rs` for a build without the feature `metrics`, whose settings never ask
//! for it.

use std::io;
use std::sync::Arc;

use crate::front::{Listener, Pulse};
use crate::listen::SocketFile;
use crate::responder::Responder;
use crate::server::VitalSign;
use crate::settings::Settings;

pub(crate) struct Watched;

impl Watched {
    pub(crate) const fn new(_: &Settings) -> Self {
        Self
    }
}

pub(crate) struct Monitor;

impl Monitor {
    pub(crate) fn start(
        _: (Listener, Option<SocketFile>),
        _: Watched,
        _: Arc<Responder>,
        _: Option<Pulse>,
        _: VitalSign,
    ) -> io::Result<Self> {
        Ok(Self)
    }

    pub(crate) const fn stopping(&self) {}
}
