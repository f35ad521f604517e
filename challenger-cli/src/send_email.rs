//! `challenger-send-email`: the helper that delivers a message by e-mail.

mod address;
pub mod conversation;
mod failure;
mod html;
mod mail;
mod sendmail;
mod settings;
mod smtp;
mod text;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use argh::FromArgs;
use lettre::Address;
use serde_json::Value;

use crate::args;
use crate::common::{helper_settings, of_helper};
use crate::exit::{Exit, end, say};
use crate::message::{read_message, tidy_message};
use crate::serve::serve;
use conversation::Kind;
use failure::{DeliveryError, private};
use settings::{Route, Settings, Words};
use smtp::Client;

const PROGRAM: &str = "challenger-send-email";

/// The options, which come instead of an address or before it.
const OPTIONS: [&str; 9] =
    ["-c", "--check", "--config", "-h", "--help", "--serve", "-v", "--version", "--"];

/// Send the message on standard input by e-mail: the AUTH_COMMAND for e-mail addresses.
///
/// The settings are variables of the environment, into which challenger-httpd puts the options of
/// [challenger-helper]. The mail comes from EMAIL_FROM, and goes to the server SMTP_HOST, or
/// without one to the sendmail program of this machine.
#[derive(FromArgs)]
#[argh(
    example = "challenger-send-email --check -c /etc/challenger/challenger.conf\n\
               echo 'It works.' | challenger-send-email -c /etc/challenger/challenger.conf \\\n\
               \x20   ada@example.com",
    note = "Exit status: 0, the mail server took the message; 64, wrong arguments; 65, --serve\n\
            cannot read a line; 67, there is no such address; 68, there is no such host;\n\
            69, refused, or there was no message; 75, try again later; 78, wrong settings.\n\
            More: challenger-send-email(1), with all settings."
)]
struct Arguments {
    /// send nothing, but say what is wrong with the settings, and whether the mail server is there
    /// and takes mail of this sender
    #[argh(switch)]
    check: bool,

    /// take the settings from [challenger-helper] in this configuration, too
    #[argh(option, short = 'c')]
    config: Option<PathBuf>,

    /// stay, and send one message after the other, each of which is a line of JSON on standard
    /// input, over one connection
    #[argh(switch)]
    serve: bool,

    /// the recipient, as {"CONTACT_EMAIL":"ada@example.com"} or bare; --check needs none
    #[argh(positional, arg_name = "ADDRESS")]
    address: Option<String>,
}

/// Runs the program.
pub fn main() -> ExitCode {
    end(PROGRAM, run())
}

fn run() -> Result<(), Exit> {
    let parsed: Result<Arguments, Exit> = args::parse(PROGRAM, "c", arguments());
    // The usual error would repeat the arguments, and with them an address.
    let complaint = || invalid("there has to be exactly one");
    let arguments = parsed.map_err(|exit| if exit.is_asked() { exit } else { complaint() })?;
    let (config, address) = (arguments.config.as_deref(), arguments.address.as_deref());
    match (address, arguments.serve, arguments.check) {
        (address, false, true) => {
            address.map_or(Ok(()), |it| recipient(it).map(drop)).and_then(|()| check(config))
        }
        (Some(address), false, false) => send(recipient(address)?, config),
        (None, true, false) => stay(config),
        _ => Err(complaint()),
    }
}

/// Says whether a message could be sent, as far as that can be known without sending one.
fn check(config: Option<&Path>) -> Result<(), Exit> {
    let variable = variables(config)?;
    let settings = Settings::read(&variable).map_err(|why| Exit::misconfigured(of_helper(&why)))?;
    let sender = &settings.from.email;
    match &settings.route {
        Route::Sendmail(program) => say(&format!("{program} is there; it was not run")),
        Route::Smtp(server) => {
            smtp::probe(server, settings.timeout, sender.to_string())?;
            say(&format!("{}:{} takes mail of {sender}", server.host, server.port))
        }
    }
}

/// Sends the message on standard input.
fn send(recipient: Address, config: Option<&Path>) -> Result<(), Exit> {
    let variable = variables(config)?;
    let settings = Settings::read(&variable).map_err(Exit::misconfigured)?;
    let words = settings.words(&variable).map_err(Exit::misconfigured)?;
    let message = read_message().map_err(Exit::unavailable)?;
    let mut client = Client::default();
    let result = deliver(&settings, &words, &mut client, recipient, message);
    client.close();
    result
}

/// Sends one message after the other. The settings are read once, as soon as there are no mistakes
/// in them; until then, each message is answered with the first one.
fn stay(config: Option<&Path>) -> Result<(), Exit> {
    let variable = variables(config)?;
    let mut settings = None;
    let mut client = Client::default();
    let end = serve(|order| {
        let recipient = recipient(&order.argument)?;
        let settings = match &mut settings {
            Some(settings) => settings,
            none => none.insert(Settings::read(&variable).map_err(Exit::misconfigured)?),
        };
        let words = settings.words(&|name| order.variable(name).map(Into::into));
        let words = words.map_err(Exit::misconfigured)?;
        let message = tidy_message(order.message.as_bytes()).map_err(Exit::unavailable)?;
        deliver(settings, &words, &mut client, recipient, message)
    });
    client.close();
    end
}

/// Delivers a message.
fn deliver(
    settings: &Settings,
    words: &Words,
    client: &mut Client,
    recipient: Address,
    message: String,
) -> Result<(), Exit> {
    let message = message + "\n";
    let private = private(&recipient, &message);
    let mail = mail::compose(settings, words, recipient, message).map_err(Exit::unavailable)?;
    match &settings.route {
        Route::Sendmail(program) => sendmail::send(program, settings.timeout, &mail, &private)
            .map_err(|failure| failure.exit()),
        Route::Smtp(smtp) => client.send(smtp, settings.timeout, &mail, private),
    }
}

/// What finds a variable: in the configuration, if there is one, and then in the environment. As in
/// the service, later options win over earlier ones.
fn variables(config: Option<&Path>) -> Result<impl Fn(&str) -> Option<OsString>, Exit> {
    let configured = config.map(helper_settings).transpose()?;
    let configured: BTreeMap<_, _> = configured.into_iter().flatten().collect();
    Ok(move |name: &str| match configured.get(name) {
        Some(value) => Some(value.into()),
        None => std::env::var_os(name),
    })
}

/// The arguments. Everything but [`OPTIONS`] counts as the address, even if it starts with a dash.
fn arguments() -> impl Iterator<Item = OsString> {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    let is_option = |it: &OsString| OPTIONS.iter().any(|option| it == option);
    if !arguments.get(1).is_some_and(is_option) {
        arguments.insert(arguments.len().min(1), "--".into());
    }
    arguments.into_iter()
}

/// The error about the arguments, without them.
fn invalid(complaint: &str) -> Exit {
    Exit::usage(format!("ADDRESS: {complaint}; try '{PROGRAM} --help'"))
}

/// The recipient in the argument. An address that cannot exist counts as one that does not: the
/// person who entered it can change it.
fn recipient(argument: &str) -> Result<Address, Exit> {
    // A bare address may begin with a brace, too, but JSON is never an address.
    let is_json = argument.trim_start().starts_with('{') && address::parse(argument).is_none();
    let address = if is_json {
        let fields: Value = serde_json::from_str(argument).unwrap_or_default();
        let address = fields.get("CONTACT_EMAIL").and_then(Value::as_str);
        address.ok_or_else(|| invalid("there is no CONTACT_EMAIL"))?.to_owned()
    } else {
        argument.to_owned()
    };
    address::parse(&address).ok_or_else(|| {
        let why = "ADDRESS: this is not an e-mail address";
        DeliveryError::new(Kind::Address, why).exit()
    })
}
