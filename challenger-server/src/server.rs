//! The server: settings in, a running service out.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use challenger_proto::address::AddressType;
use challenger_proto::http::Page;
#[cfg(feature = "tiny-http")]
use challenger_proto::http::Request;

use crate::front::{Engine, Front, Limits, Pulse, Respond};
#[cfg(feature = "tiny-http")]
use crate::front::{Present, Tiny, Watch};
use crate::helper::{AuthCommand, Program};
use crate::listen::{Listen, ListenError, SocketFile};
use crate::metrics::Metrics;
use crate::monitor::{Monitor, Watched};
use crate::os::{OsEntropy, SystemClock};
use crate::pages::Templates;
use crate::places::Places;
use crate::ports::{Helper, Pages};
use crate::recent::Recent;
use crate::residents::{self, Residents};
use crate::responder::Responder;
use crate::settings::Settings;
use crate::statistics::{Saver, Statistics};
use crate::store::StoreError;
use crate::this_process;

/// A running service.
pub struct Server {
    // Before the engine, because it has to be dropped first.
    socket_file: Option<SocketFile>,
    engine: Running,
    responder: Arc<Responder>,
    saver: Saver,
    /// The helpers, if they stay.
    residents: Option<Arc<Residents>>,
    monitor: Option<Monitor>,
}

/// The engine at work.
enum Running {
    Front(Front),
    #[cfg(feature = "tiny-http")]
    TinyHttp(Tiny, Watch),
}

impl Running {
    /// How the front does, if that is the engine.
    fn pulse(&self) -> Option<Pulse> {
        match self {
            Self::Front(front) => Some(front.pulse()),
            #[cfg(feature = "tiny-http")]
            Self::TinyHttp(..) => None,
        }
    }

    fn vital_sign(&self, responder: Arc<Responder>) -> VitalSign {
        match self {
            Self::Front(front) => {
                let pulse = front.pulse();
                Box::new(move |within| {
                    // If somebody never gives the lock back, this thread waits for it, too.
                    responder.places.usage();
                    pulse.answers(within)
                })
            }
            #[cfg(feature = "tiny-http")]
            Self::TinyHttp(_, watch) => {
                let watch = watch.clone();
                Box::new(move |_| {
                    let answer = responder.respond(Request::get("/config"), &Present);
                    watch.is_open() && answer.status.0 == 200
                })
            }
        }
    }
}

/// A question that may be asked from another thread: whether the service answers a request of its
/// own in time. The request does not come from outside, so a service that is busy with strangers
/// answers, too.
pub type VitalSign = Box<dyn Fn(Duration) -> bool + Send + Sync>;

/// Why a server did not start.
#[derive(Debug)]
pub enum StartError {
    /// Threads or file descriptors are not available.
    Front(io::Error),
    /// It is not possible to listen there.
    Listen(ListenError),
    /// The store cannot be used.
    Store(StoreError),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Front(error) => write!(f, "cannot begin to serve: {error}"),
            Self::Listen(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StartError {}

impl Server {
    /// Starts the service.
    ///
    /// # Errors
    /// The store or the place to listen cannot be used.
    pub fn start(settings: Settings) -> Result<Self, StartError> {
        Self::start_with(settings, |command| Arc::new(command))
    }

    /// Starts the service with another helper in place of the operator's command.
    ///
    /// # Errors
    /// As for [`Self::start`].
    pub fn start_with(
        settings: Settings,
        helper: impl FnOnce(AuthCommand) -> Arc<dyn Helper>,
    ) -> Result<Self, StartError> {
        for warning in settings.warnings.iter().chain(&settings.helper_missing()) {
            log::warn!("{warning}");
        }
        provide_descriptors(&settings.limits, settings.places.helpers);
        // Without a reader, there is nothing to record.
        let metrics = match &settings.metrics {
            Some(_) => Metrics::recording(),
            None => Metrics::default(),
        };
        let store = settings.database.store(metrics.clone()).map_err(StartError::Store)?;
        let watched = Watched::new(&settings);
        let address_type = settings.service.address_type.clone();
        let (program, residents) = if settings.stays {
            let residents = Residents::new(settings.command, residents::IDLE);
            let residents = Arc::new(residents.map_err(StartError::Front)?);
            (Program::Stays(Arc::clone(&residents)), Some(residents))
        } else {
            (Program::Once(settings.command), None)
        };
        let statistics = Arc::new(Statistics::default());
        let responder = Arc::new(Responder {
            service: settings.service,
            store,
            helper: helper(AuthCommand {
                program,
                messages: settings.messages,
                host: settings.host,
            }),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(OsEntropy),
            pages: Arc::new(RenderedPages {
                templates: Arc::new(settings.templates),
                address_type,
            }),
            places: Places::new(settings.places),
            recent: Recent::default(),
            statistics: Arc::clone(&statistics),
            metrics,
        });
        let monitored = settings.metrics.map(Listen::open).transpose();
        let monitored = monitored.map_err(StartError::Listen)?;
        let (listener, socket_file) = settings.listen.open().map_err(StartError::Listen)?;
        let respond: Arc<dyn Respond> = Arc::<Responder>::clone(&responder);
        let engine = match settings.engine {
            Engine::Front => Front::start(listener, respond, settings.limits).map(Running::Front),
            #[cfg(feature = "tiny-http")]
            Engine::TinyHttp => {
                let messages = settings.places.helpers.saturating_add(settings.places.waiting);
                let workers = messages.saturating_add(OTHER_WORKERS);
                listener.watch().and_then(|watch| {
                    let tiny = Tiny::start(listener, &respond, workers)?;
                    watch.clone().stop_when_closed()?;
                    Ok(Running::TinyHttp(tiny, watch))
                })
            }
        };
        let engine = engine.map_err(StartError::Front)?;
        let saver = Saver::start(statistics, Arc::clone(&responder.store));
        let saver = saver.map_err(StartError::Front)?;
        let monitor = monitored.map(|place| {
            let vital_sign = engine.vital_sign(Arc::clone(&responder));
            Monitor::start(place, watched, Arc::clone(&responder), engine.pulse(), vital_sign)
        });
        let monitor = monitor.transpose().map_err(StartError::Front)?;
        let server = Self { socket_file, engine, responder, saver, residents, monitor };
        log::info!(place = server.place(); "serving");
        Ok(server)
    }

    /// The place where it listens: an address with a port, or a path.
    pub fn place(&self) -> &str {
        match &self.engine {
            Running::Front(front) => front.place(),
            #[cfg(feature = "tiny-http")]
            Running::TinyHttp(tiny, _) => tiny.place(),
        }
    }

    /// How to find out whether the service answers, from another thread.
    pub fn vital_sign(&self) -> VitalSign {
        self.engine.vital_sign(Arc::clone(&self.responder))
    }

    /// Stops accepting, lets requests in flight finish, and ends the helpers that stay. Returns
    /// whether all requests were served in time, and the engine had not failed before.
    pub fn drain(mut self, timeout: Duration) -> bool {
        if let Some(monitor) = &self.monitor {
            monitor.stopping();
        }
        drop(self.socket_file.take());
        let is_done = match &mut self.engine {
            Running::Front(front) => front.drain(timeout),
            #[cfg(feature = "tiny-http")]
            Running::TinyHttp(tiny, watch) => tiny.drain(timeout) && watch.is_open(),
        };
        if let Some(residents) = &self.residents {
            residents.finish();
        }
        self.saver.finish();
        if let Err(error) = self.responder.store.finish() {
            log::warn!("{error}");
        }
        is_done
    }
}

/// How many requests tiny_http serves besides those that have a helper at work or wait for one.
#[cfg(feature = "tiny-http")]
const OTHER_WORKERS: usize = 16;

/// File descriptors besides those of connections and helpers. Most are the store's: up to 32
/// connections to PostgreSQL with 4 or so each, or 64 readers of SQLite, with 3 or so.
const OTHER_DESCRIPTORS: usize = 320;
/// File descriptors per helper: both ends of three pipes while it starts.
const HELPER_DESCRIPTORS: usize = 8;

/// Raises the limit of file descriptors so that all connections and helpers have theirs.
fn provide_descriptors(limits: &Limits, helpers: usize) {
    let helpers = helpers.saturating_mul(HELPER_DESCRIPTORS);
    let wanted = OTHER_DESCRIPTORS.saturating_add(helpers).saturating_add(limits.connections);
    let wanted = wanted.try_into().unwrap_or(u64::MAX);
    let granted = this_process::want_descriptors(wanted);
    if granted < wanted {
        log::warn!(
            "this process may open {granted} files, and should be allowed {wanted} (ulimit -n, or \
             LimitNOFILE of its unit)"
        );
    }
}

/// Templates, for one type of address.
pub struct RenderedPages {
    /// The templates.
    pub templates: Arc<Templates>,
    /// The type of address, which chooses the form.
    pub address_type: AddressType,
}

impl Pages for RenderedPages {
    fn render(&self, page: &Page) -> Option<String> {
        self.templates.render(page, &self.address_type)
    }
}
