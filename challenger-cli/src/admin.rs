//! `challenger-admin`: registers clients.

use std::path::PathBuf;
use std::process::ExitCode;

use argh::FromArgs;
use challenger_proto::{HashedSecret, RedirectUri};
use challenger_server::log::{self, Level};
use challenger_server::os::OsEntropy;
use challenger_server::responder::EntropySource;
use challenger_server::store::{Added, OpenMode};

use crate::args;
use crate::common::{load_config, open_registry, set_up_log};
use crate::exit::{Exit, end, say};

const PROGRAM: &str = "challenger-admin";

/// The short options with a value.
const VALUED: &str = "aclL";

/// RFC 8959's prefix, by which scanners recognise a secret that got lost.
const PREFIX: &str = "secret-token:";

/// Fewer characters than these can be guessed.
const SECRET_MIN: usize = 16;

/// Register the client that lives at a redirect URI, and tell its client ID. The service may be
/// running.
#[derive(FromArgs)]
struct Arguments {
    /// register a client with this secret
    #[argh(option, short = 'a', arg_name = "SECRET")]
    add: Option<String>,
    /// configuration file to use instead of the usual places
    #[argh(option, short = 'c', arg_name = "FILE")]
    config: Option<PathBuf>,
    /// print the client ID and nothing else
    #[argh(switch, short = 'q')]
    quiet: bool,
    /// least important events to log: NONE, ERROR, WARNING (default), INFO or DEBUG
    #[argh(option, short = 'L', arg_name = "LEVEL")]
    log: Option<String>,
    /// file to append the log to, instead of standard error
    #[argh(option, short = 'l', arg_name = "FILE")]
    logfile: Option<PathBuf>,
    /// where the client's users are sent back to
    #[argh(positional, arg_name = "REDIRECT_URI")]
    redirect_uri: String,
}

/// Runs the program.
pub fn main() -> ExitCode {
    end(PROGRAM, run())
}

fn run() -> Result<(), Exit> {
    let arguments: Arguments = args::parse(PROGRAM, VALUED, std::env::args_os())?;
    set_up_log(arguments.log.as_deref(), arguments.logfile.as_deref(), Level::Warning)?;
    let Some(secret) = &arguments.add else {
        return Err(Exit::invalid_argument(
            "--add=SECRET is missing\nTry 'challenger-admin --help'.",
        ));
    };
    let printable = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    if secret.is_empty() || !secret.bytes().all(printable) {
        return Err(Exit::invalid_argument(
            "a client secret is one or more characters of printable ASCII",
        ));
    }
    let redirect_uri = RedirectUri::parse(&arguments.redirect_uri)
        .map_err(|error| Exit::invalid_argument(format!("{}: {error}", arguments.redirect_uri)))?;
    for warning in warnings(secret, &redirect_uri) {
        log::warn(format_args!("{warning}"));
    }
    let config = load_config(arguments.config.as_deref())?;
    let registry = open_registry(&config, OpenMode::Serve)?;
    let hashed = HashedSecret::new(secret, OsEntropy.draw());
    let added = registry.add_client(&redirect_uri, hashed);
    match added.map_err(|error| Exit::failed(error.to_string()))? {
        Added::New(id) if arguments.quiet => say(&id.to_string()),
        Added::New(id) => say(&format!("Client added. Client ID is: {id}")),
        Added::Exists(id) => Err(Exit::failed(format!(
            "client {id} is registered with this redirect URI already; it was left as it is"
        ))),
    }
}

/// What is allowed, but deserves a thought.
fn warnings(secret: &str, redirect_uri: &RedirectUri) -> Vec<String> {
    let mut warnings = Vec::new();
    match secret.strip_prefix(PREFIX) {
        None => warnings.push(format!(
            "the secret does not begin with {PREFIX} (RFC 8959), which some clients insist on"
        )),
        Some(rest) if rest.len() < SECRET_MIN => warnings.push(format!(
            "the secret has fewer than {SECRET_MIN} characters after {PREFIX} and can be guessed"
        )),
        Some(_) => {}
    }
    if !redirect_uri.is_confidential() {
        warnings.push("authorization codes will travel to the client without TLS".to_string());
    }
    if !matches!(redirect_uri.scheme(), "http" | "https") {
        warnings.push(format!("{}: is no scheme of web sites", redirect_uri.scheme()));
    }
    warnings
}
