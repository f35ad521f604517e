//! The exchange with the gateway: one request, one answer, within one time limit. The connection
//! may serve several.

use std::io::{self, ErrorKind, Read as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use ureq::http::uri::Scheme;
use ureq::http::{Method, Response, Uri};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body, Error};

use super::request::Request;
use super::settings::Settings;
use super::verdict::Answer;
use crate::authorities;
use crate::stream::{Stream, Timed, Tls};

/// How much of an answer is read, in bytes. Those of gateways have a few hundred. The library looks
/// at the clock only when it waits, so this also ends the reading of a body without end.
const ANSWER_MAX: u64 = 64 * 1024;
/// The longest head of an answer, in bytes.
const HEAD_MAX: usize = 64 * 1024;

/// The name by which gateways know the program.
const USER_AGENT: &str = concat!("challenger-send-http/", env!("CARGO_PKG_VERSION"));

/// Why there is no answer.
pub(super) enum ExchangeError {
    /// The gateway cannot be reached now, or does not answer in time.
    TryLater(String),
    /// The gateway cannot be trusted.
    Misconfigured(String),
    /// The gateway does not speak HTTP, or not well.
    Failed(String),
}

/// The gateway, and the connection to it.
#[derive(Default)]
pub(super) struct Gateway {
    /// It keeps the connection, for as long as that is open and was used a moment ago.
    agent: Option<Agent>,
    /// Whether there will be other requests.
    is_lasting: bool,
}

impl Gateway {
    /// A gateway for several requests.
    pub(super) fn lasting() -> Self {
        Self { agent: None, is_lasting: true }
    }

    /// Sends the request, and waits for the answer. The settings are always the same.
    ///
    /// # Errors
    /// The gateway did not answer, or not with the part that is needed.
    pub(super) fn exchange(
        &mut self,
        request: Request,
        settings: &Settings,
    ) -> Result<Answer, ExchangeError> {
        let agent = match &mut self.agent {
            Some(agent) => agent,
            none => none.insert(agent(settings, request.url.scheme() == Some(&Scheme::HTTPS))?),
        };
        let failed = |error| explain(error, settings.timeout);
        let response = run(agent, request).map_err(failed)?;
        let status = response.status().as_u16();
        let mut bytes = Vec::new();
        let mut reader = response.into_body().into_reader().take(ANSWER_MAX);
        if settings.verdicts.need_body(status) {
            let read = reader.read_to_end(&mut bytes);
            // The message may be on its way; nobody knows.
            read.map_err(|error| explain(Error::from(error), settings.timeout))?;
        } else if status >= 300 || self.is_lasting {
            // It may explain the failure, but the status has decided. And no other answer can come
            // on this connection before the end of this one.
            let _ = reader.read_to_end(&mut bytes);
        }
        let body = String::from_utf8_lossy(&bytes).into_owned();
        Ok(Answer { status, body })
    }
}

/// Finds out whether the gateway of this URL takes connections, and shows a certificate that is
/// trusted. No request is made.
///
/// # Errors
/// There is no connection, or the gateway cannot be trusted.
pub(super) fn reach(url: &Uri, settings: &Settings) -> Result<(), ExchangeError> {
    let is_protected = url.scheme() == Some(&Scheme::HTTPS);
    let host = url.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let port = url.port_u16().unwrap_or(if is_protected { 443 } else { 80 });
    let deadline = Instant::now() + settings.timeout;
    let failed = |error: io::Error| match error.kind() {
        ErrorKind::TimedOut => explain_timeout(settings.timeout),
        _ => explain_io(&error),
    };
    let mut stream = Stream::new(Timed::connect(host, port, deadline).map_err(failed)?);
    if is_protected {
        let tls = Tls::new(host, authorities(settings)?).map_err(ExchangeError::Misconfigured)?;
        stream.encrypt(&tls).map_err(failed)?;
    }
    Ok(())
}

fn run(agent: &Agent, request: Request) -> Result<Response<Body>, Error> {
    let is_get = request.method == Method::GET;
    let mut builder = ureq::http::Request::builder().method(request.method).uri(request.url);
    for (name, value) in request.headers {
        builder = builder.header(name, value);
    }
    // Without a body, the library would send POST in chunks, which some servers refuse.
    match is_get {
        true => agent.run(builder.body(())?),
        false => agent.run(builder.body(request.body)?),
    }
}

/// Connections of our own, on which nothing is sent twice: no proxy of the system, no redirects,
/// and only the certificates that this machine and the operator trust.
fn agent(settings: &Settings, is_protected: bool) -> Result<Agent, ExchangeError> {
    let authorities = if is_protected { authorities(settings)? } else { Vec::new() };
    let trusted = authorities.iter().map(|it| Certificate::from_der(it).to_owned()).collect();
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::Specific(Arc::new(trusted)))
        .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
        .build();
    let config = Agent::config_builder()
        .tls_config(tls)
        .proxy(None)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .max_response_header_size(HEAD_MAX)
        .timeout_global(Some(settings.timeout))
        .user_agent(USER_AGENT)
        .accept("application/json")
        .build();
    Ok(config.new_agent())
}

/// The authorities that this machine and the operator trust.
fn authorities(settings: &Settings) -> Result<Vec<CertificateDer<'static>>, ExchangeError> {
    let mut authorities = settings.authorities.clone();
    authorities.extend(authorities::of_system());
    if authorities.is_empty() {
        return Err(ExchangeError::Misconfigured(
            "this machine trusts no authority for TLS: expected certificates of the system, such \
             as Debian's ca-certificates, or HTTP_CA_FILE"
                .to_owned(),
        ));
    }
    Ok(authorities)
}

/// Says what is wrong in words for the operator. None of them is private: the request was made
/// before, and the answer is not quoted.
fn explain(error: Error, limit: Duration) -> ExchangeError {
    match error {
        Error::Timeout(_) => explain_timeout(limit),
        Error::HostNotFound => ExchangeError::TryLater(
            "the DNS does not know the gateway: expected its name in HTTP_URL".to_owned(),
        ),
        Error::Io(error) => explain_io(&error),
        Error::Rustls(error) => explain_tls(&error),
        Error::ConnectionFailed => {
            ExchangeError::TryLater("there is no connection to the gateway".to_owned())
        }
        other => {
            ExchangeError::Failed(format!("the gateway's answer cannot be understood: {other}"))
        }
    }
}

fn explain_timeout(limit: Duration) -> ExchangeError {
    ExchangeError::TryLater(format!(
        "the gateway did not answer in time; HTTP_TIMEOUT is {} s",
        limit.as_secs()
    ))
}

fn explain_io(error: &io::Error) -> ExchangeError {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(error) => explain_tls(error),
        None => ExchangeError::TryLater(format!("no connection to the gateway: {error}")),
    }
}

fn explain_tls(error: &rustls::Error) -> ExchangeError {
    match error {
        rustls::Error::InvalidCertificate(why) => ExchangeError::Misconfigured(format!(
            "the gateway's certificate is refused: {why:?}; if this is the right server, name its \
             authority in HTTP_CA_FILE"
        )),
        other => ExchangeError::Failed(format!("TLS with the gateway failed: {other}")),
    }
}
