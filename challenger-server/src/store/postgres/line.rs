//! One connection, driven by the thread that waits for an answer, and only for as long as it may
//! wait: the database's own timeouts do not help when the database hangs.

use std::error::Error as _;
use std::future::Future;
use std::io;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio::time::{timeout, timeout_at};
use tokio_postgres::{Client, Config, Error};

use super::pool::Fault;
use super::tls::Connector;

/// How long saying goodbye may take, which is a matter of a few bytes.
const GOODBYE: Duration = Duration::from_secs(1);

/// Said of a database that does not answer, though it may be working on it.
const LATE: &str = "the database did not answer in time";

/// What becomes of the connection, once it has ended.
type Ending = JoinHandle<Result<(), Error>>;

/// The connection behind a [`Client`], which has to be dropped before.
pub(super) struct Line {
    runtime: Runtime,
    ending: Option<Ending>,
    is_late: bool,
}

impl Line {
    /// Connects, with everything that belongs to it: names, TLS, passwords.
    pub(super) fn connect(
        config: &Config,
        connector: &Connector,
        until: Instant,
    ) -> Result<(Client, Self), Fault> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Fault::Away(format!("nothing to connect with: {error}")))?;
        let connecting = config.connect(Connector::clone(connector));
        match runtime.block_on(async { timeout_at(until.into(), connecting).await }) {
            Ok(Ok((client, connection))) => {
                let ending = Some(runtime.spawn(connection));
                Ok((client, Self { runtime, ending, is_late: false }))
            }
            Ok(Err(error)) if may_pass(&error) => Err(Fault::Away(Fault::new(&error).to_string())),
            Ok(Err(error)) => Err(Fault::new(&error)),
            Err(_) => {
                // Whoever is still looking for the host's name is not waited for.
                runtime.shutdown_background();
                Err(Fault::Away(LATE.to_owned()))
            }
        }
    }

    /// Waits for an answer. One that is late is not read later: the connection is of no use then.
    pub(super) fn wait<T>(
        &mut self,
        until: Instant,
        answer: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Fault> {
        let answered = self.runtime.block_on(async { timeout_at(until.into(), answer).await });
        let error = match answered {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => error,
            Err(_) => {
                self.is_late = true;
                return Err(Fault::Lost(LATE.to_owned()));
            }
        };
        if !error.is_closed() {
            return Err(Fault::new(&error));
        }
        // The connection knows why it was closed.
        let ending = self.ending.take_if(|ending| ending.is_finished());
        let cause = ending.map(|ending| self.runtime.block_on(ending));
        match cause {
            Some(Ok(Err(cause))) => Err(Fault::Lost(Fault::new(&cause).to_string())),
            _ => Err(Fault::Lost(error.to_string())),
        }
    }

    /// Whether an answer was late.
    pub(super) const fn is_late(&self) -> bool {
        self.is_late
    }
}

impl Drop for Line {
    /// Says goodbye, or the database would wonder what happened. After a late answer it would have
    /// to be waited for first.
    fn drop(&mut self) {
        if let (Some(ending), false) = (self.ending.take(), self.is_late) {
            drop(self.runtime.block_on(async { timeout(GOODBYE, ending).await }));
        }
    }
}

/// Whether what keeps us from connecting may pass by itself.
fn may_pass(error: &Error) -> bool {
    match error.code() {
        // Connections broken, resources used up, and the database starting or stopping.
        Some(code) => ["08", "53", "57"].iter().any(|class| code.code().starts_with(class)),
        None => {
            error.is_closed()
                || error.source().is_some_and(<dyn std::error::Error>::is::<io::Error>)
        }
    }
}
