//! `challenger demo`: the whole service on this machine, for a shop that comes with it or for
//! somebody's own application. Messages go into an inbox and are shown in the terminal. Nothing is
//! configured, installed or left behind.

mod behind;
mod browser;
mod exchange;
mod inbox;
mod pages;
mod person;
mod running;
mod sessions;
mod shop;
mod site;
mod words;

use argh::FromArgs;
use challenger_proto::oauth::RedirectUri;
use serde_json::{Map, Value};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use self::running::Demonstration;
use crate::common::set_up_log;
use crate::exit::{Exit, say};

/// run the service for an application, or for a shop that comes with it
#[derive(FromArgs)]
#[argh(
    subcommand,
    name = "demo",
    example = "challenger demo\n\
               challenger demo --redirect-uri=http://127.0.0.1:3000/callback\n\
               challenger demo --selftest",
    note = "Exit status: 0, done; 1, failed; 2, wrong arguments.\n\
            More: challenger(1)."
)]
pub(crate) struct Demo {
    /// email (the default), phone, postal or postal-ch: what is proved
    #[argh(
        option,
        long = "address-type",
        arg_name = "type",
        from_str_fn(configuration),
        default = "EMAIL"
    )]
    configuration: &'static str,
    /// print everything that an application needs to know as one line of JSON, and no messages
    #[argh(switch)]
    json: bool,
    /// let any browser begin a validation, for an application that can only be given the three URLs
    /// of OAuth 2.0
    #[argh(switch)]
    open: bool,
    /// the port of the service on 127.0.0.1, after which comes that of the inbox; by default 9967,
    /// or any if that is taken
    #[argh(option, arg_name = "number", from_str_fn(port))]
    port: Option<u16>,
    /// run no shop, but register an application with this redirect URI
    #[argh(option, arg_name = "uri", from_str_fn(redirect_uri))]
    redirect_uri: Option<RedirectUri>,
    /// play the person in the shop as well, over HTTP, and exit with 0 when everything went as it
    /// should
    #[argh(switch)]
    selftest: bool,
}

const EMAIL: &str = include_str!("../../../docs/address-types/email.conf");

/// The configuration that is recommended for a type of address.
fn configuration(address_type: &str) -> Result<&'static str, String> {
    match address_type {
        "email" => Ok(EMAIL),
        "phone" => Ok(include_str!("../../../docs/address-types/phone.conf")),
        "postal" => Ok(include_str!("../../../docs/address-types/postal.conf")),
        "postal-ch" => Ok(include_str!("../../../docs/address-types/postal-ch.conf")),
        _ => Err("expected email, phone, postal or postal-ch".to_owned()),
    }
}

fn port(text: &str) -> Result<u16, String> {
    let port = text.parse().ok().filter(|port| (1..u16::MAX).contains(port));
    port.ok_or_else(|| "expected a number from 1 to 65534".to_owned())
}

fn redirect_uri(text: &str) -> Result<RedirectUri, String> {
    RedirectUri::parse(text).map_err(|error| error.to_string())
}

impl Demo {
    /// Runs the demonstration until it is stopped, or the self-test to its end.
    pub(crate) fn run(self) -> Result<(), Exit> {
        set_up_log(None, None)?;
        if self.selftest && (self.json || self.redirect_uri.is_some()) {
            return Err(Exit::invalid_argument(
                "--selftest plays the person in the shop: expected without --json and \
                 --redirect-uri",
            ));
        }
        if self.open && self.redirect_uri.is_none() {
            return Err(Exit::invalid_argument(
                "--open is for an application: expected with --redirect-uri",
            ));
        }
        let running = Demonstration::start(&self)?;
        if self.selftest {
            return self_test(&running);
        }
        // A script may stop the demonstration as soon as it has read the first line.
        let mut signals = Signals::new([SIGINT, SIGTERM])
            .map_err(|error| Exit::failed(format!("signals: {error}")))?;
        let facts = running.facts();
        say(&if self.json { as_json(&facts) } else { self.introduction(&facts) })?;
        let _ = signals.forever().next();
        Ok(())
    }

    /// What people read first.
    fn introduction(&self, facts: &[Fact]) -> String {
        let mut text = String::new();
        for Fact { label, value, .. } in facts {
            text.push_str(&format!("{label:<18} {value}\n"));
        }
        text.push_str(if self.redirect_uri.is_some() {
            "\nThe secret and everything else are gone when this ends."
        } else {
            "\nOpen the shop in a browser on this machine and prove an address that you make up."
        });
        text + "\nMessages are not sent anywhere, they appear in the inbox and here. Stop with \
                Ctrl-C.\n"
    }
}

/// Something that an application or a person needs to know.
struct Fact {
    /// Its name in JSON: that of RFC 7591 or RFC 8414, where they have one.
    name: &'static str,
    label: &'static str,
    value: String,
}

/// One line, for scripts: they wait for it, as nothing is printed before everything runs. There are
/// no other lines to skip, and no file to look for.
fn as_json(facts: &[Fact]) -> String {
    let members = facts.iter().map(|it| (it.name.to_owned(), Value::from(it.value.as_str())));
    Value::from(members.collect::<Map<_, _>>()).to_string()
}

fn self_test(running: &Demonstration) -> Result<(), Exit> {
    let Demonstration { service_url, site_url, address_type, .. } = running;
    say(&format!("Service at {service_url}, demo shop at {site_url}"))?;
    person::prove(site_url, address_type).map_err(Exit::failed)?;
    say("Everything works.")
}
