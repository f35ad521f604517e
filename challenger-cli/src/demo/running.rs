//! The parts of the demonstration, and how they are put together.

use std::fmt::Display;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;

use challenger_proto::address::AddressType;
use challenger_proto::oauth::{
    ClientId, ClientName, HashedSecret, RedirectUri, generate_client_secret,
};
use challenger_proto::{Budgets, Service};
use challenger_server::config::{Config, Environment};
use challenger_server::front::{Front, Limits, Respond};
use challenger_server::metrics::Metrics;
use challenger_server::os::{self, OsEntropy, SystemClock};
use challenger_server::pages::{Messages, Sources, Templates};
use challenger_server::places::{self, Places};
use challenger_server::ports::{EntropySource, Helper};
use challenger_server::recent::Recent;
use challenger_server::responder::Responder;
use challenger_server::server::RenderedPages;
use challenger_server::store::{NewClient, OpenMode, Registry, SqliteStore};
use challenger_server::{listen, settings};
use tempfile::TempDir;

use super::browser::Browser;
use super::inbox::{Delivery, Inbox};
use super::sessions::Sessions;
use super::shop::Shop;
use super::site::Site;
use super::words::SHOP;
use super::{Demo, Fact};
use crate::exit::Exit;

/// Where the demonstration is found, unless something else is there already.
const SERVICE_PORT: u16 = 9967;
const SITE_PORT: u16 = 9968;

/// How many messages may be delivered at the same time.
const HELPERS: usize = 4;

/// The budget without which a client is not open: more than any tests ask for.
const MESSAGES_PER_DAY: u32 = 1_000_000;

/// The running demonstration. Dropping it stops everything and removes its files.
pub(super) struct Demonstration {
    pub(super) service_url: String,
    pub(super) site_url: String,
    pub(super) address_type: AddressType,
    /// The client of somebody's own application.
    application: Option<Client>,
    _site: Front,
    _service: Front,
    _directory: TempDir,
}

/// A client of the service.
struct Client {
    id: ClientId,
    secret: String,
    redirect_uri: String,
}

impl Demonstration {
    /// Starts everything.
    ///
    /// # Errors
    /// What is in the way, such as a port that is taken.
    pub(super) fn start(demo: &Demo) -> Result<Self, Exit> {
        let directory = tempfile::Builder::new().prefix("challenger-demo-").tempdir();
        let directory = directory.map_err(failed)?;
        let [(service_listener, service_url), (site_listener, site_url)] = listeners(demo.port)?;
        let store =
            SqliteStore::open(&directory.path().join("challenger.sqlite"), OpenMode::Maintain)
                .map_err(failed)?;
        store.migrate().map_err(failed)?;
        let client = match &demo.redirect_uri {
            Some(uri) => register(&store, uri.clone(), None, demo.open)?,
            None => {
                let callback = RedirectUri::parse(&format!("{site_url}callback"));
                register(&store, callback.map_err(failed)?, ClientName::parse(SHOP), false)?
            }
        };

        let inbox = Arc::new(Inbox::default());
        let service = service(demo.configuration, &service_url)?;
        let address_type = service.address_type.clone();
        // Tests make sure that what comes with the program has no errors.
        let (messages, _) = Messages::compile(&Sources::embedded(), Some(&address_type));
        let delivery = Delivery {
            inbox: Arc::clone(&inbox),
            messages,
            address_type: address_type.clone(),
            host: "127.0.0.1".to_string(),
            show: !demo.selftest && !demo.json,
        };
        let responder = responder(service, store, delivery)?;
        let (shop, application) = match demo.redirect_uri {
            Some(_) => (None, Some(client)),
            None => (Some(open_shop(&service_url, client)), None),
        };
        let site = Site {
            inbox,
            shop,
            channel: address_type.channel(),
            url: site_url.clone(),
            service_url: service_url.clone(),
        };
        let start = |listener, respond: Arc<dyn Respond>| {
            Front::start(listener, respond, Limits::default()).map_err(failed)
        };
        Ok(Self {
            _service: start(service_listener, Arc::new(responder))?,
            _site: start(site_listener, Arc::new(site))?,
            service_url,
            site_url,
            address_type,
            application,
            _directory: directory,
        })
    }

    /// What there is to know, in the order in which people need it.
    pub(super) fn facts(&self) -> Vec<Fact> {
        let Self { service_url, site_url, .. } = self;
        let mut facts = Vec::new();
        let mut add = |name, label, value: String| facts.push(Fact { name, label, value });
        add("base_url", "Service", service_url.clone());
        if let Some(Client { id, secret, redirect_uri }) = &self.application {
            let id = id.number();
            add("client_id", "Client ID", id.to_string());
            add("client_secret", "Client secret", secret.clone());
            add("redirect_uri", "Redirect URI", redirect_uri.clone());
            let url = |path: &str| format!("{service_url}{path}");
            add("issuer", "Issuer", issuer(service_url));
            add("metadata", "Metadata", url(".well-known/oauth-authorization-server"));
            add("authorization_endpoint", "Authorization URL", url("authorize"));
            add("pushed_authorization_request_endpoint", "Pushed request URL", url("par"));
            add("token_endpoint", "Token URL", url("token"));
            add("userinfo_endpoint", "User info URL", url("info"));
            add("setup_endpoint", "Setup URL", url(&format!("setup/{id}")));
        } else {
            add("shop", "Demo shop", site_url.clone());
        }
        add("inbox", "Inbox", format!("{site_url}inbox"));
        add("inbox_json", "Inbox as JSON", format!("{site_url}inbox.json"));
        add("address_type", "Type of address", self.address_type.as_str().to_owned());
        facts
    }
}

fn failed(error: impl Display) -> Exit {
    Exit::failed(error.to_string())
}

/// Registers a client with a new secret.
fn register(
    store: &SqliteStore,
    redirect_uri: RedirectUri,
    name: Option<ClientName>,
    open: bool,
) -> Result<Client, Exit> {
    let secret = generate_client_secret(OsEntropy.draw()).expose().clone();
    let hashed = HashedSecret::new(&secret, OsEntropy.draw());
    let messages_per_day = open.then_some(MESSAGES_PER_DAY);
    let client =
        NewClient { name, messages_per_day, open, ..NewClient::new(redirect_uri.clone(), hashed) };
    let id = store.add_client(&client, os::now()).map_err(failed)?.id();
    Ok(Client { id, secret, redirect_uri: redirect_uri.as_str().to_owned() })
}

fn open_shop(service_url: &str, client: Client) -> Shop {
    Shop {
        service: issuer(service_url),
        client_id: client.id.number().to_string(),
        secret: client.secret,
        redirect_uri: client.redirect_uri,
        sessions: Sessions::default(),
        browser: Browser::new(),
    }
}

/// The issuer identifier of a service at this address.
fn issuer(url: &str) -> String {
    url.trim_end_matches('/').to_owned()
}

/// The service as its operator would configure it, but for budgets across validations: tests prove
/// the same address again and again, and no message costs anything.
fn service(configuration: &str, url: &str) -> Result<Service, Exit> {
    let config = Config::from_text(configuration, &Environment::default()).map_err(failed)?;
    let mut service = settings::addresses(&config).map_err(failed)?;
    service.budgets = Budgets::default();
    service.issuer = Some(issuer(url));
    service.name = "Challenger".to_owned();
    Ok(service)
}

fn responder(
    mut service: Service,
    store: SqliteStore,
    delivery: Delivery,
) -> Result<Responder, Exit> {
    let templates = Templates::embedded().map_err(failed)?;
    let address_type = service.address_type.clone();
    service.message_languages = delivery.messages.languages().map(str::to_owned).collect();
    service.pages = templates.page_set(&address_type);
    let helper: Arc<dyn Helper> = Arc::new(delivery);
    Ok(Responder {
        service,
        store: Arc::new(store),
        helper,
        clock: Arc::new(SystemClock),
        entropy: Arc::new(OsEntropy),
        pages: Arc::new(RenderedPages { templates: Arc::new(templates), address_type }),
        places: Places::new(places::Limits { helpers: HELPERS, ..places::Limits::default() }),
        recent: Recent::default(),
        statistics: Arc::default(),
        metrics: Metrics::default(),
    })
}

/// Listens for the service and for the site. Whoever chooses a port knows both URLs beforehand, so
/// there is no other port instead of one that is taken.
fn listeners(port: Option<u16>) -> Result<[(TcpListener, String); 2], Exit> {
    let at = |port| listen::tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let open = |listener: io::Result<TcpListener>, place: &str| {
        let address = listener.and_then(|it| it.local_addr().map(|address| (it, address)));
        let (listener, address) =
            address.map_err(|error| Exit::failed(format!("cannot listen on {place}: {error}")))?;
        Ok((listener, format!("http://{address}/")))
    };
    let Some(port) = port else {
        let or_any = |port| open(at(port).or_else(|_| at(0)), "127.0.0.1");
        return Ok([or_any(SERVICE_PORT)?, or_any(SITE_PORT)?]);
    };
    let exactly = |port, what| open(at(port), &format!("127.0.0.1:{port}, {what}"));
    let site = port.saturating_add(1);
    Ok([
        exactly(port, "the port of the service (--port)")?,
        exactly(site, "the port of the inbox (that after --port)")?,
    ])
}
