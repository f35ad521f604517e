//! `challenger demo`: the whole service on this machine, with a client that uses it and a helper
//! that shows each message in the terminal. Nothing is configured, installed or left behind.

mod browser;
mod client;
mod person;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use argh::FromArgs;
use challenger_proto::address::AddressType;
use challenger_proto::oauth::{HashedSecret, RedirectUri, generate_client_secret};
use challenger_proto::{Failure, FailureKind, Service, Transmission};
use challenger_server::front::{Front, Limits, Respond};
use challenger_server::listen;
use challenger_server::os::{OsEntropy, SystemClock};
use challenger_server::pages::{Message, Messages, Templates};
use challenger_server::places::{self, Places};
use challenger_server::ports::{EntropySource, Helper};
use challenger_server::recent::Recent;
use challenger_server::responder::Responder;
use challenger_server::server::RenderedPages;
use challenger_server::store::{OpenMode, Registry, SqliteStore};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tempfile::TempDir;

use self::browser::Browser;
use self::client::DemoClient;
use crate::common::set_up_log;
use crate::exit::{Exit, say};

/// Where the demonstration is found, unless something else is there already.
const SERVICE_PORT: u16 = 9967;
const CLIENT_PORT: u16 = 9968;

/// How many messages may be shown at the same time.
const HELPERS: usize = 4;

/// run the service, a client that uses it, and show each message in the terminal
#[derive(FromArgs)]
#[argh(
    subcommand,
    name = "demo",
    example = "challenger demo --selftest",
    note = "Exit status: 0, done; 1, failed; 2, wrong arguments.\n\
            More: challenger(1)."
)]
pub(crate) struct Demo {
    /// play the person as well, over HTTP, and exit with 0 when everything went as it should
    #[argh(switch)]
    selftest: bool,
}

impl Demo {
    /// Runs the demonstration until it is stopped, or the self-test to its end.
    pub(crate) fn run(self) -> Result<(), Exit> {
        set_up_log(None, None)?;
        let (mailbox_in, mailbox) = channel();
        let running = Demonstration::start(mailbox_in, !self.selftest)?;
        if self.selftest {
            return self_test(&running, &mailbox);
        }
        say(&format!(
            "The service runs at  {}\n\
             A demo shop runs at  {}\n\n\
             Open the shop in a browser on this machine and prove an address. Any address\n\
             will do: messages are not sent anywhere, they appear here. Stop with Ctrl-C.\n",
            running.service_url, running.client_url
        ))?;
        let mut signals = Signals::new([SIGINT, SIGTERM])
            .map_err(|error| Exit::failed(format!("signals: {error}")))?;
        let _ = signals.forever().next();
        Ok(())
    }
}

fn self_test(running: &Demonstration, mailbox: &Receiver<String>) -> Result<(), Exit> {
    say(&format!("Service at {}, demo shop at {}", running.service_url, running.client_url))?;
    person::prove(&running.client_url, mailbox).map_err(Exit::failed)?;
    say("Everything works.")
}

/// The running demonstration. Dropping it stops everything and removes its files.
struct Demonstration {
    service_url: String,
    client_url: String,
    _client: Front,
    _service: Front,
    _directory: TempDir,
}

impl Demonstration {
    fn start(mailbox: Sender<String>, show: bool) -> Result<Self, Exit> {
        let failed = |error: &dyn std::fmt::Display| Exit::failed(error.to_string());
        let directory = tempfile::Builder::new()
            .prefix("challenger-demo-")
            .tempdir()
            .map_err(|error| failed(&error))?;
        let (service_listener, service_url) = open(SERVICE_PORT)?;
        let (client_listener, client_url) = open(CLIENT_PORT)?;
        let store =
            SqliteStore::open(&directory.path().join("challenger.sqlite"), OpenMode::Maintain)
                .map_err(|error| failed(&error))?;
        store.migrate().map_err(|error| failed(&error))?;

        let redirect_uri = format!("{client_url}callback");
        let secret = generate_client_secret(OsEntropy.draw()).expose().clone();
        let hashed = HashedSecret::new(&secret, OsEntropy.draw());
        let parsed = RedirectUri::parse(&redirect_uri).map_err(|error| failed(&error))?;
        let id = store.add_client(&parsed, hashed).map_err(|error| failed(&error))?.id();

        let messages = Messages::embedded().map_err(|error| failed(&error))?;
        let languages = messages.languages().map(str::to_owned).collect();
        let helper = TerminalHelper {
            messages,
            host: "127.0.0.1".to_string(),
            mailbox: Mutex::new(mailbox),
            show,
        };
        let mut responder = responder(Arc::new(store), Arc::new(helper))?;
        responder.service.message_languages = languages;
        let client = DemoClient {
            service_url: service_url.clone(),
            client_id: id.number(),
            secret,
            redirect_uri,
            states: Mutex::new(BTreeSet::new()),
            browser: Browser::new(),
        };
        let start = |listener, respond: Arc<dyn Respond>| {
            Front::start(listener, respond, Limits::default()).map_err(|error| failed(&error))
        };
        Ok(Self {
            _service: start(service_listener, Arc::new(responder))?,
            _client: start(client_listener, Arc::new(client))?,
            service_url,
            client_url,
            _directory: directory,
        })
    }
}

fn responder(store: Arc<SqliteStore>, helper: Arc<dyn Helper>) -> Result<Responder, Exit> {
    let templates = Templates::embedded().map_err(|error| Exit::failed(error.to_string()))?;
    let address_type =
        AddressType::new("email").ok_or_else(|| Exit::failed("email is no address type"))?;
    let mut service = Service::new(address_type.clone());
    service.address_hint = "ada@example.com".to_string();
    service.pages = templates.page_set(&address_type);
    Ok(Responder {
        service,
        store,
        helper,
        clock: Arc::new(SystemClock),
        entropy: Arc::new(OsEntropy),
        pages: Arc::new(RenderedPages { templates: Arc::new(templates), address_type }),
        places: Places::new(places::Limits { helpers: HELPERS, ..places::Limits::default() }),
        recent: Recent::default(),
    })
}

/// Listens on a port of this machine, or on any other if that one is taken.
fn open(port: u16) -> Result<(TcpListener, String), Exit> {
    let at = |port| listen::tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let listener = at(port).or_else(|_| at(0));
    let address = listener.and_then(|it| it.local_addr().map(|address| (it, address)));
    let (listener, address) =
        address.map_err(|error| Exit::failed(format!("cannot listen on 127.0.0.1: {error}")))?;
    Ok((listener, format!("http://{address}/")))
}

/// Shows each message in the terminal, the way its receiver would see it.
struct TerminalHelper {
    messages: Messages,
    host: String,
    mailbox: Mutex<Sender<String>>,
    show: bool,
}

impl Helper for TerminalHelper {
    fn send(&self, transmission: &Transmission) -> Result<(), Failure> {
        let language = &transmission.language;
        let Some(message) = self.messages.render(language, &transmission.variables(&self.host))
        else {
            return Err(Failure::new(
                FailureKind::Misconfigured,
                format!("there is no message in {language}"),
            ));
        };
        if self.show {
            let to = transmission.address.get("CONTACT_EMAIL").unwrap_or_default();
            write!(std::io::stdout().lock(), "{}", envelope(to, &message)).map_err(|error| {
                Failure::new(FailureKind::Unknown, format!("the terminal: {error}"))
            })?;
        }
        // In a demonstration with a person nobody reads this mailbox.
        if let Ok(mailbox) = self.mailbox.lock() {
            let _ = mailbox.send(message.text);
        }
        Ok(())
    }
}

/// A message with a frame around it. Control characters, which a terminal would obey, are left out.
fn envelope(to: &str, message: &Message) -> String {
    let printable = |text: &str| text.replace(|c: char| c.is_control(), "");
    let mut text = format!("┌── E-mail to {}\n", printable(to));
    text.push_str(&format!("│  {}\n│\n", printable(&message.subject)));
    for line in message.text.lines() {
        text.push_str(&format!("│  {}\n", printable(line)));
    }
    text.push_str("└──\n\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_cannot_play_tricks_on_the_terminal() {
        let message = Message { subject: "\u{9b}code".into(), text: "one\u{7}\ntwo\r".into() };
        let text = envelope("a\u{1b}[2J@b", &message);
        assert_eq!(text, "┌── E-mail to a[2J@b\n│  code\n│\n│  one\n│  two\n└──\n\n");
    }
}
