//! `challenger-admin`: registers clients, lists and changes them, shows what is spent and what
//! happened, and finds and forgets people.

mod audit;
mod budgets;
mod changes;
mod clients;
mod people;
mod secret;
mod statistics;
mod strength;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use argh::FromArgs;
use challenger_proto::Span;
use challenger_proto::oauth::{ClientId, RedirectUri, RedirectUriError};
use challenger_server::config::TimeSpan;
use challenger_server::os;
use challenger_server::settings::{self, SettingsError};
use challenger_server::store::{Changes, ClientKey, OpenMode, Registry, StoreError};
use serde_json::json;

use self::budgets::Overview;
use self::clients::{Report, Style, Subject, end_unsolved};
use self::secret::NewSecret;
use self::statistics::Statistics;
use crate::args;
use crate::common::{load_config, open_registry, set_up_log};
use crate::exit::{Exit, end, say};

const PROGRAM: &str = "challenger-admin";

/// The short options with a value.
const VALUED: &str = "aclLr";

/// The actions, of which one has to be chosen.
const ACTIONS: &str = "--add=SECRET, --generate, --rotate=SECRET, --regenerate, \
                       --messages-per-day=N, --name=NAME, --open, --close, --disable, --enable, \
                       --set-redirect-uri=URI, --delete, --list, --stats, --budgets, \
                       --forgive=ADDRESS, --find=WHOM or --forget=ADDRESS";

/// The longest time in which a client may have two secrets: to change one takes days, not months.
const KEEP_OLD_MAX: Span = Span::days(30);

/// Register a client, which lives at a redirect URI, and print its client ID; or change, delete or
/// list clients; or show what is spent of the budgets for messages, and give it back; or find and
/// forget a person. The service may be running, and knows at once.
///
/// A CLIENT is the redirect URI of a client; or, once it is registered, its client ID.
///
/// A SECRET, ADDRESS or WHOM of - is read from standard input, one line.
#[derive(FromArgs)]
#[argh(
    example = "challenger-admin --generate --name=\"Ada's Shop\" https://shop.example/callback\n\
               challenger-admin --messages-per-day=500 https://shop.example/callback\n\
               challenger-admin --regenerate --keep-old=\"1 day\" 1\n\
               challenger-admin --list\n\
               challenger-admin --find=ada@example.com",
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
    /// with --stats: how many days to add up, today included (default: 7)
    #[argh(option, arg_name = "N")]
    days: Option<String>,
    /// delete a client, its validations and its access tokens
    #[argh(switch, short = 'd')]
    delete: bool,
    /// disable a client: it opens nothing, has no messages sent, and is refused, until --enable
    #[argh(switch)]
    disable: bool,
    /// enable a client that is disabled
    #[argh(switch)]
    enable: bool,
    /// show the validations of a person: of an address, in any spelling, or of the six letters of
    /// a reference
    #[argh(option, arg_name = "WHOM")]
    find: Option<String>,
    /// delete everything that is kept about an address: its validations, its access tokens and
    /// what is spent of its budget
    #[argh(option, arg_name = "ADDRESS")]
    forget: Option<String>,
    /// give an address its budget back; or another budget, by its name in --budgets
    #[argh(option, arg_name = "ADDRESS")]
    forgive: Option<String>,
    /// register a client with a strong new secret, and print it
    #[argh(switch, short = 'g')]
    generate: bool,
    /// print JSON
    #[argh(switch)]
    json: bool,
    /// with a new secret: the old one is good, too, for a TIME such as "1 day", and validations go
    /// on
    #[argh(option, arg_name = "TIME")]
    keep_old: Option<String>,
    /// with a new secret: leave the validations alone that were opened before and are not solved
    #[argh(switch)]
    keep_open: bool,
    /// list all clients: how many validations each opened, how many access tokens it got, how many
    /// messages it may have in a day, its name, and whether it is open or disabled
    #[argh(switch)]
    list: bool,
    /// how many messages a client may have in a day, or "unlimited": for a new client, or one that
    /// is registered
    #[argh(option, arg_name = "N")]
    messages_per_day: Option<String>,
    /// what people read as a client's name instead of its host, for a new client or one that is
    /// registered; an empty NAME takes it away
    #[argh(option, arg_name = "NAME")]
    name: Option<String>,
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
    /// send a client's users to this URI from now on; validations that have begun keep the old one
    #[argh(option, arg_name = "URI")]
    set_redirect_uri: Option<String>,
    /// count by client, today and in the last days: validations opened, messages sent and failed,
    /// addresses proved, and codes exchanged for an access token
    #[argh(switch)]
    stats: bool,
    /// accept a SECRET that could be found by trying
    #[argh(switch)]
    weak: bool,
    /// least important events to log: NONE, ERROR, WARNING (default), INFO or DEBUG
    #[argh(option, short = 'L', arg_name = "LEVEL")]
    log: Option<String>,
    /// file to append the log to, instead of standard error
    #[argh(option, short = 'l', arg_name = "FILE")]
    logfile: Option<PathBuf>,
    /// the client: where its users are sent back to, or its client ID
    #[argh(positional, arg_name = "CLIENT")]
    client: Option<String>,
}

/// The action that was chosen.
enum Action {
    Add(NewSecret, Changes),
    Budgets,
    Change(Changes),
    Delete,
    Find(String),
    Forget(String),
    Forgive(String),
    List,
    Rotate(NewSecret, Option<Span>),
    Stats(u64),
}

/// Runs the program.
pub fn main() -> ExitCode {
    end(PROGRAM, run())
}

fn run() -> Result<(), Exit> {
    let arguments: Arguments = args::parse(PROGRAM, VALUED, std::env::args_os())?;
    set_up_log(arguments.log.as_deref(), arguments.logfile.as_deref())?;
    let report = match arguments.action()? {
        Action::Add(secret, set) => {
            let redirect_uri = arguments.new_redirect_uri()?;
            let secret = secret.obtain(arguments.weak)?;
            clients::warn_about(&redirect_uri);
            clients::add(&*arguments.registry()?, redirect_uri, secret, set)?
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
        Action::Change(set) => {
            let key = arguments.key()?;
            set.redirect_uri.iter().for_each(clients::warn_about);
            let registry = arguments.registry()?;
            clients::change(&*registry, Subject::find(&*registry, key)?, set)?
        }
        Action::Delete => {
            let key = arguments.key()?;
            let registry = arguments.registry()?;
            clients::delete(&*registry, Subject::find(&*registry, key)?)?
        }
        Action::Find(text) => {
            let config = load_config(arguments.config.as_deref())?;
            let whom = people::whom(&config, &text)?;
            let registry = open_registry(&config, OpenMode::Use)?;
            return people::find(&*registry, &whom, os::now(), arguments.style());
        }
        Action::Forget(text) => {
            let config = load_config(arguments.config.as_deref())?;
            let address = people::whose(&config, &text)?;
            let database = settings::database(&config).map_err(misconfigured)?;
            let registry = open_registry(&config, OpenMode::Use)?;
            return people::forget(&*registry, &database, &address, arguments.style());
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
        Action::Rotate(secret, keep_old) => {
            let (key, secret) = (arguments.key()?, secret.obtain(arguments.weak)?);
            let registry = arguments.registry()?;
            let subject = Subject::find(&*registry, key)?;
            let report = clients::rotate(&*registry, subject, secret, keep_old)?;
            return arguments.print_and_end_unsolved(&report, &*registry);
        }
        Action::Stats(days) => {
            let registry = arguments.registry()?;
            return Statistics::new(&*registry, os::now(), days)?.print(arguments.style());
        }
    };
    report.print(arguments.style(), None)
}

impl Arguments {
    /// The one action that was chosen.
    fn action(&self) -> Result<Action, Exit> {
        let given = |secret: &String| NewSecret::Given(secret.clone());
        let (set, keep_old) = (changes::asked_for(self)?, self.keep_old()?);
        let days = statistics::days(self.days.as_deref())?;
        let chosen = [
            self.add.as_ref().map(|secret| Action::Add(given(secret), set.clone())),
            self.generate.then(|| Action::Add(NewSecret::Generated, set.clone())),
            self.rotate.as_ref().map(|secret| Action::Rotate(given(secret), keep_old)),
            self.regenerate.then_some(Action::Rotate(NewSecret::Generated, keep_old)),
            self.delete.then_some(Action::Delete),
            self.list.then_some(Action::List),
            self.budgets.then_some(Action::Budgets),
            self.forgive.clone().map(Action::Forgive),
            self.find.clone().map(Action::Find),
            self.forget.clone().map(Action::Forget),
            self.stats.then_some(Action::Stats(days)),
        ];
        let mut chosen = chosen.into_iter().flatten();
        let action = match (chosen.next(), chosen.next()) {
            (None, _) if set == Changes::default() => {
                return Err(misused(&format!("{ACTIONS} is missing")));
            }
            (None, _) => Action::Change(set.clone()),
            (Some(action), None) => action,
            (Some(_), Some(_)) => {
                return Err(misused(&format!("only one of {ACTIONS} is possible")));
            }
        };
        self.check(&action, &set).map(|()| action)
    }

    /// How long the old secret is good beside the new one.
    fn keep_old(&self) -> Result<Option<Span>, Exit> {
        let Some(text) = &self.keep_old else { return Ok(None) };
        let seconds = match TimeSpan::parse(text) {
            Some(TimeSpan::Finite(duration)) => duration.as_secs(),
            Some(TimeSpan::Forever) | None => 0,
        };
        let span = Some(Span::seconds(seconds)).filter(|it| *it <= KEEP_OLD_MAX && seconds > 0);
        span.map(Some).ok_or_else(|| {
            misused(&format!(
                "--keep-old={text}: expected a time from \"1 s\" to \"{} days\", such as \"1 day\" \
                 or \"2 h 30 min\"",
                KEEP_OLD_MAX.as_seconds() / Span::days(1).as_seconds()
            ))
        })
    }

    /// Refuses what does not belong to an action.
    fn check(&self, action: &Action, set: &Changes) -> Result<(), Exit> {
        let without_client = match action {
            Action::Budgets => Some("--budgets"),
            Action::Find(_) => Some("--find"),
            Action::Forget(_) => Some("--forget"),
            Action::Forgive(_) => Some("--forgive"),
            Action::List => Some("--list"),
            Action::Stats(_) => Some("--stats"),
            Action::Add(..) | Action::Change(_) | Action::Delete | Action::Rotate(..) => None,
        };
        if let Some(option) = without_client.filter(|_| self.client.is_some()) {
            return Err(misused(&format!("{option} takes no CLIENT")));
        }
        let is_rotation = matches!(action, Action::Rotate(..));
        for (is_given, option) in
            [(self.keep_open, "--keep-open"), (self.keep_old.is_some(), "--keep-old=TIME")]
        {
            if is_given && !is_rotation {
                return Err(misused(&format!(
                    "{option} belongs to --rotate=SECRET or --regenerate"
                )));
            }
        }
        if self.weak && self.add.is_none() && self.rotate.is_none() {
            return Err(misused("--weak belongs to --add=SECRET or --rotate=SECRET"));
        }
        if self.days.is_some() && !matches!(action, Action::Stats(_)) {
            return Err(misused("--days=N belongs to --stats"));
        }
        if *set != Changes::default() && !matches!(action, Action::Add(..) | Action::Change(_)) {
            return Err(misused(
                "--messages-per-day=N, --name=NAME and --open stand alone, or belong to \
                 --add=SECRET or --generate; --close, --disable, --enable and \
                 --set-redirect-uri=URI stand alone",
            ));
        }
        Ok(())
    }

    /// The redirect URI of a new client.
    fn new_redirect_uri(&self) -> Result<RedirectUri, Exit> {
        let text = self.client.as_deref().ok_or_else(|| misused("REDIRECT_URI is missing"))?;
        RedirectUri::parse(text).map_err(|error| invalid(text, error))
    }

    /// The client that is meant, which may be older than today's rules for redirect URIs.
    fn key(&self) -> Result<ClientKey, Exit> {
        let text = self.client.as_deref();
        let text = text.ok_or_else(|| misused("REDIRECT_URI or CLIENT_ID is missing"))?;
        match ClientId::parse(text) {
            Some(id) => Ok(ClientKey::Id(id)),
            None => RedirectUri::parse_registered(text)
                .map(ClientKey::RedirectUri)
                .map_err(|error| invalid(text, error)),
        }
    }

    fn registry(&self) -> Result<Arc<dyn Registry>, Exit> {
        open_registry(&load_config(self.config.as_deref())?, OpenMode::Use)
    }

    const fn style(&self) -> Style {
        Style { json: self.json, quiet: self.quiet }
    }

    /// Prints the new secret whatever happens then: nobody else knows it.
    fn print_and_end_unsolved(&self, report: &Report, registry: &dyn Registry) -> Result<(), Exit> {
        if self.keep_open || self.keep_old.is_some() {
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

fn invalid(text: &str, error: RedirectUriError) -> Exit {
    Exit::invalid_argument(format!("{text}: {error}"))
}

fn failed(error: StoreError) -> Exit {
    Exit::failed(error.to_string())
}

fn misconfigured(error: SettingsError) -> Exit {
    Exit::not_configured(error.to_string())
}

fn misused(complaint: &str) -> Exit {
    Exit::invalid_argument(format!("{complaint}\nTry '{PROGRAM} --help'."))
}
