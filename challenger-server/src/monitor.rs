//! Health and metrics, on a listener of their own: `[challenger-metrics]`.
//!
//! ```text
//!   /healthz   the service answers itself
//!   /readyz    it could do its work now: the database, the helper; or what is in the way
//!   /metrics   what it has done, and what it is doing
//! ```
//!
//! It shares nothing with the service but the front's code: strangers cannot take its connections.

mod exposition;
mod readiness;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use challenger_proto::Refused;
use challenger_proto::http::{Method, Request, Status};

use self::exposition::{Exposition, Format};
use self::readiness::{Inquiry, Readiness};
use crate::front::{Answer, Front, Limits, Listener, Peer, Pulse, Respond};
use crate::listen::SocketFile;
use crate::process::HelperCommand;
use crate::responder::Responder;
use crate::server::VitalSign;
use crate::settings::Settings;

/// How long the service may take to answer itself: on a machine that is busy, it may be long.
const HEALTH: Duration = Duration::from_secs(5);

/// What plain text is.
const TEXT: &str = "text/plain; charset=utf-8";

/// What is only known before the service has begun.
pub(crate) struct Watched {
    command: HelperCommand,
    connections_max: usize,
    schema: usize,
}

impl Watched {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            command: settings.command.clone(),
            connections_max: settings.limits.connections,
            schema: settings.database.schema(),
        }
    }
}

/// The listener.
pub(crate) struct Monitor {
    // Before the front, because it has to be dropped first.
    _file: Option<SocketFile>,
    _front: Front,
    readiness: Arc<Readiness>,
}

impl Monitor {
    /// Begins to tell. `pulse` is that of the service's front, if that is its engine.
    ///
    /// # Errors
    /// Threads or file descriptors are not available.
    pub(crate) fn start(
        (listener, file): (Listener, Option<SocketFile>),
        watched: Watched,
        responder: Arc<Responder>,
        pulse: Option<Pulse>,
        vital_sign: VitalSign,
    ) -> io::Result<Self> {
        let Watched { command, connections_max, schema } = watched;
        let readiness = Arc::new(Readiness::new(Arc::clone(&responder.store), command));
        let exposition = Exposition::new(responder, pulse, connections_max, schema);
        let health = Inquiry::new(HEALTH, move || {
            let answers = vital_sign(HEALTH);
            answers.then_some(()).ok_or_else(|| "does not answer itself".to_owned())
        });
        let desk = Arc::new(Desk { health, readiness: Arc::clone(&readiness), exposition });
        let front = Front::start(listener, desk, limits())?;
        log::info!(place = front.place(); "serving metrics");
        Ok(Self { _file: file, _front: front, readiness })
    }

    /// From now on, the service is not ready: it ends.
    pub(crate) fn stopping(&self) {
        self.readiness.stopping();
    }
}

/// Few read this, and each of them little.
fn limits() -> Limits {
    Limits {
        connections: 16,
        connections_per_peer: 16,
        head: Duration::from_secs(5),
        body: Duration::from_secs(5),
        // Longer than scrapes are apart, as a rule.
        idle: Duration::from_secs(120),
        ..Limits::default()
    }
}

/// Answers what is asked here.
struct Desk {
    health: Arc<Inquiry>,
    readiness: Arc<Readiness>,
    exposition: Exposition,
}

impl Respond for Desk {
    fn respond(&self, request: Request, _: &dyn Peer) -> Answer {
        let path = request.path();
        if !matches!(path, "/healthz" | "/metrics" | "/readyz") {
            return text(404, "there are /healthz, /readyz and /metrics here\n");
        }
        if !matches!(request.method, Method::Get | Method::Head) {
            let mut answer = text(405, "expected GET or HEAD\n");
            answer.headers.push(("Allow", "GET, HEAD".into()));
            return answer;
        }
        match path {
            "/healthz" => match self.health.answer() {
                Ok(()) => text(200, "alive\n"),
                Err(error) => text(503, &format!("the service {error}\n")),
            },
            "/readyz" => match self.readiness.obstacles() {
                none if none.is_empty() => text(200, "ready\n"),
                some => text(503, &(some.join("\n") + "\n")),
            },
            _ => {
                let format = Format::accepted(request.header("Accept"));
                let written = self.exposition.write(format, &self.readiness);
                written.map_or_else(
                    |_| text(500, "cannot be written\n"),
                    |written| answer(200, format.media_type(), &written),
                )
            }
        }
    }

    fn refuse(&self, _: Option<&Request>, refused: Refused) -> Answer {
        text(refused.refusal.status(), &format!("{refused}\n"))
    }
}

fn text(status: u16, body: &str) -> Answer {
    answer(status, TEXT, body)
}

fn answer(status: u16, media_type: &'static str, body: &str) -> Answer {
    let headers = vec![
        ("Content-Type", media_type.into()),
        // It is true for a moment.
        ("Cache-Control", "no-store".into()),
        ("X-Content-Type-Options", "nosniff".into()),
    ];
    Answer { status: Status(status), headers, body: body.as_bytes().into() }
}
