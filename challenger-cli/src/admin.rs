//! `challenger-admin`: registers clients, lists them, changes their secrets and their budgets, and
//! shows what is spent.

mod audit;
mod budgets;
mod clients;
mod secret;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use argh::FromArgs;
use challenger_proto::oauth::{RedirectUri, RedirectUriError};
use challenger_server::os;
use challenger_server::store::{OpenMode, Registry, StoreError};
use serde_json::json;

use self::budgets::{Overview, PerDay};
use self::clients::{Report, Style, Use, end_unsolved};
use self::secret::NewSecret;
use crate::args;
use crate::common::{load_config, open_registry, set_up_log};
use crate::exit::{Exit, end, say};

const PROGRAM: &str = "challenger-admin";

/// The short options with a value.
const VALUED: &str = "aclLr";

/// The actions, of which one has to be chosen.
const ACTIONS: &str = "--add=SECRET, --generate, --rotate=SECRET, --regenerate, \
                       --messages-per-day=N, --open, --close, --delete, --list, --budgets or \
                       --forgive=ADDRESS";

/// Register a client, which lives at a redirect URI, and print its client ID; or change, delete or
/// list clients; or show what is spent of the budgets for messages, and give it back. The service
/// may be running, and knows at once.
///
/// A SECRET or ADDRESS of - is read from standard input, one line.
#[derive(FromArgs)]
#[argh(
    example = "challenger-admin --generate https://shop.example/callback\n\
               challenger-admin --messages-per-day=500 https://shop.example/callback\n\
               challenger-admin --list\n\
               challenger-admin --forgive=ada@example.com",
    note = "Exit status: 0, done; 1, failed; 2, wrong arguments; 6, wrong configuration.\n\
            More: challenger-admin(1)."
)]
struct Arguments {
    /// register a client with this secret
    #[argh(option, short = 'a', arg_name = "SECRET")]
    add: Option<String>,
    /// list what is spent of the budgets that many people share, and when it ends
    #[argh(switch)]
    budgets: bool,
    /// close an open client: it has to push its requests, or begin at /setup
    #[argh(switch)]
    close: bool,
    /// configuration file to use instead of the usual places
    #[argh(option, short = 'c', arg_name = "FILE")]
    config: Option<PathBuf>,
    /// delete a client, its validations and its access tokens
    #[argh(switch, short = 'd')]
    delete: bool,
    /// give an address its budget back; or another budget, by its name in --budgets
    #[argh(option, arg_name = "ADDRESS")]
    forgive: Option<String>,
    /// register a client with a strong new secret, and print it
    #[argh(switch, short = 'g')]
    generate: bool,
    /// print JSON
    #[argh(switch)]
    json: bool,
    /// with a new secret: leave the validations alone that were opened before and are not solved
    #[argh(switch)]
    keep_open: bool,
    /// list all clients: how many validations each opened, how many access tokens it got, how many
    /// messages it may have in a day, and whether it is open
    #[argh(switch)]
    list: bool,
    /// how many messages a client may have in a day, or "unlimited": for a new client, or one that
    /// is registered
    #[argh(option, arg_name = "N")]
    messages_per_day: Option<String>,
    /// open a client, new or registered, which needs a budget: any visitor may then have messages
    /// sent, up to the budgets
    #[argh(switch)]
    open: bool,
    /// print the client ID, and a secret that was made, and nothing else
    #[argh(switch, short = 'q')]
    quiet: bool,
    /// give a client a strong new secret instead of its old one, and print it; end its unsolved
    /// validations
    #[argh(switch)]
    regenerate: bool,
    /// give a client this secret instead of its old one; end its unsolved validations
    #[argh(option, short = 'r', arg_name = "SECRET")]
    rotate: Option<String>,
    /// least important events to log: NONE, ERROR, WARNING (default), INFO or DEBUG
    #[argh(option, short = 'L', arg_name = "LEVEL")]
    log: Option<String>,
    /// file to append the log to, instead of standard error
    #[argh(option, short = 'l', arg_name = "FILE")]
    logfile: Option<PathBuf>,
    /// where the client's users are sent back to
    #[argh(positional, arg_name = "REDIRECT_URI")]
    redirect_uri: Option<String>,
}

/// The action that was chosen.
enum Action {
    Add(NewSecret, Use),
    Budgets,
    Change(Use),
    Delete,
    Forgive(String),
    List,
    Rotate(NewSecret),
}

/// Runs the program.
pub fn main() -> ExitCode {
    end(PROGRAM, run())
}

fn run() -> Result<(), Exit> {
    let arguments: Arguments = args::parse(PROGRAM, VALUED, std::env::args_os())?;
    set_up_log(arguments.log.as_deref(), arguments.logfile.as_deref())?;
    let report = match arguments.action()? {
        Action::Add(secret, allowed) => {
            let (redirect_uri, secret) = (arguments.new_redirect_uri()?, secret.obtain()?);
            clients::warn_about(&redirect_uri);
            let registry = arguments.registry()?;
            let mut report = clients::add(&*registry, redirect_uri, secret)?;
            let done = allowed.set_for_new(&*registry, &mut report);
            // Whatever happened: nobody else knows the secret.
            report.print(arguments.style(), None)?;
            return done;
        }
        Action::Budgets => {
            let config = load_config(arguments.config.as_deref())?;
            let registry = open_registry(&config, OpenMode::Use)?;
            let overview = Overview::new(&config, &*registry, os::now())?;
            if arguments.json {
                return say(&overview.to_json().to_string());
            }
            return overview.print(arguments.quiet);
        }
        Action::Change(allowed) => {
            let redirect_uri = arguments.known_redirect_uri()?;
            clients::change(&*arguments.registry()?, redirect_uri, allowed)?
        }
        Action::Delete => {
            let redirect_uri = arguments.known_redirect_uri()?;
            clients::delete(&*arguments.registry()?, redirect_uri)?
        }
        Action::Forgive(address) => {
            let config = load_config(arguments.config.as_deref())?;
            let account = budgets::account(&config, &address)?;
            let registry = open_registry(&config, OpenMode::Use)?;
            let (is_forgiven, sentence) = budgets::forgive(&*registry, &account)?;
            return match (arguments.json, arguments.quiet) {
                (true, _) => say(&json!({"forgiven": is_forgiven}).to_string()),
                (false, true) => Ok(()),
                (false, false) => say(&sentence),
            };
        }
        Action::List => {
            let clients = arguments.registry()?.clients().map_err(failed)?;
            return clients::print(&clients, arguments.style());
        }
        Action::Rotate(secret) => {
            let (redirect_uri, secret) = (arguments.known_redirect_uri()?, secret.obtain()?);
            let registry = arguments.registry()?;
            let report = clients::rotate(&*registry, redirect_uri, secret)?;
            return arguments.print_and_end_unsolved(&report, &*registry);
        }
    };
    report.print(arguments.style(), None)
}

impl Arguments {
    /// The one action that was chosen.
    fn action(&self) -> Result<Action, Exit> {
        let given = |secret: &String| NewSecret::Given(secret.clone());
        let allowed = self.allowed()?;
        let chosen = [
            self.add.as_ref().map(|secret| Action::Add(given(secret), allowed)),
            self.generate.then_some(Action::Add(NewSecret::Generated, allowed)),
            self.rotate.as_ref().map(|secret| Action::Rotate(given(secret))),
            self.regenerate.then_some(Action::Rotate(NewSecret::Generated)),
            self.delete.then_some(Action::Delete),
            self.list.then_some(Action::List),
            self.budgets.then_some(Action::Budgets),
            self.forgive.clone().map(Action::Forgive),
        ];
        let mut chosen = chosen.into_iter().flatten();
        let action = match (chosen.next(), chosen.next()) {
            (None, _) if allowed.is_unchanged() => {
                return Err(misused(&format!("{ACTIONS} is missing")));
            }
            (None, _) => Action::Change(allowed),
            (Some(action), None) => action,
            (Some(_), Some(_)) => {
                return Err(misused(&format!("only one of {ACTIONS} is possible")));
            }
        };
        self.check(&action).map(|()| action)
    }

    /// How a client may be used from now on.
    fn allowed(&self) -> Result<Use, Exit> {
        let per_day = self.messages_per_day.as_deref().map(PerDay::parse).transpose()?;
        let is_open = match (self.open, self.close) {
            (true, true) => {
                return Err(misused("a client is either opened or closed: --open, --close"));
            }
            (false, false) => None,
            (open, _) => Some(open),
        };
        let is_unlimited = matches!(per_day, Some(PerDay(None)));
        let is_new = self.generate || self.add.is_some();
        if self.open && (is_unlimited || (is_new && per_day.is_none())) {
            return Err(misused("an open client needs a budget: add --messages-per-day=N"));
        }
        if self.close && is_new {
            return Err(misused("a new client is closed: --close is for one that is registered"));
        }
        Ok(Use { per_day, is_open })
    }

    /// Refuses what does not belong to an action.
    fn check(&self, action: &Action) -> Result<(), Exit> {
        let without_uri = match action {
            Action::Budgets => Some("--budgets"),
            Action::Forgive(_) => Some("--forgive"),
            Action::List => Some("--list"),
            Action::Add(..) | Action::Change(_) | Action::Delete | Action::Rotate(_) => None,
        };
        if let Some(option) = without_uri.filter(|_| self.redirect_uri.is_some()) {
            return Err(misused(&format!("{option} takes no REDIRECT_URI")));
        }
        if self.keep_open && !matches!(action, Action::Rotate(_)) {
            return Err(misused("--keep-open belongs to --rotate=SECRET or --regenerate"));
        }
        let changes = self.messages_per_day.is_some() || self.open || self.close;
        if changes && !matches!(action, Action::Add(..) | Action::Change(_)) {
            return Err(misused(
                "--messages-per-day=N, --open and --close stand alone, or belong to --add=SECRET \
                 or --generate",
            ));
        }
        Ok(())
    }

    /// The redirect URI of a new client.
    fn new_redirect_uri(&self) -> Result<RedirectUri, Exit> {
        self.read_redirect_uri(RedirectUri::parse)
    }

    /// The redirect URI of a client that may be older than today's rules.
    fn known_redirect_uri(&self) -> Result<RedirectUri, Exit> {
        self.read_redirect_uri(RedirectUri::parse_registered)
    }

    fn read_redirect_uri(
        &self,
        parse: fn(&str) -> Result<RedirectUri, RedirectUriError>,
    ) -> Result<RedirectUri, Exit> {
        let text =
            self.redirect_uri.as_deref().ok_or_else(|| misused("REDIRECT_URI is missing"))?;
        parse(text).map_err(|error| Exit::invalid_argument(format!("{text}: {error}")))
    }

    fn registry(&self) -> Result<Arc<dyn Registry>, Exit> {
        open_registry(&load_config(self.config.as_deref())?, OpenMode::Use)
    }

    const fn style(&self) -> Style {
        Style { json: self.json, quiet: self.quiet }
    }

    /// Prints the new secret whatever happens then: nobody else knows it.
    fn print_and_end_unsolved(&self, report: &Report, registry: &dyn Registry) -> Result<(), Exit> {
        if self.keep_open {
            return report.print(self.style(), None);
        }
        if self.json {
            let ended = end_unsolved(registry, report.id);
            report.print(self.style(), ended.as_ref().ok().copied())?;
            return ended.map(drop);
        }
        report.print(self.style(), None)?;
        let ended = end_unsolved(registry, report.id)?;
        if self.quiet { Ok(()) } else { say(&format!("Unsolved validations ended: {ended}")) }
    }
}

fn failed(error: StoreError) -> Exit {
    Exit::failed(error.to_string())
}

fn misused(complaint: &str) -> Exit {
    Exit::invalid_argument(format!("{complaint}\nTry '{PROGRAM} --help'."))
}
