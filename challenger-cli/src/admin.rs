//! `challenger-admin`: registers clients, lists them, changes their secrets and their budgets, and
//! shows what is spent.

mod budgets;
mod secret;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use argh::FromArgs;
use challenger_proto::oauth::{ClientId, RedirectUri, RedirectUriError};
use challenger_proto::secret::Secret;
use challenger_server::os;
use challenger_server::store::{Added, ClientSummary, OpenMode, Registry, StoreError};
use serde_json::{Value, json};

use self::budgets::{Overview, PerDay};
use self::secret::{NewSecret, Obtained};
use crate::args;
use crate::common::{load_config, open_registry, set_up_log};
use crate::exit::{Exit, end, say};

const PROGRAM: &str = "challenger-admin";

/// The short options with a value.
const VALUED: &str = "aclLr";

/// The actions, of which one has to be chosen.
const ACTIONS: &str = "--add=SECRET, --generate, --rotate=SECRET, --regenerate, \
                       --messages-per-day=N, --delete, --list, --budgets or --forgive=ADDRESS";

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
    /// list all clients: how many validations each opened, how many access tokens it got, and how
    /// many messages it may have in a day
    #[argh(switch)]
    list: bool,
    /// how many messages a client may have in a day, or "unlimited": for a new client, or one that
    /// is registered
    #[argh(option, arg_name = "N")]
    messages_per_day: Option<String>,
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
    Add(NewSecret, Option<PerDay>),
    Budgets,
    Delete,
    Forgive(String),
    Limit(PerDay),
    List,
    Rotate(NewSecret),
}

/// The result of an action.
struct Report {
    /// As a sentence, up to the client's number.
    sentence: &'static str,
    id: ClientId,
    redirect_uri: RedirectUri,
    /// A secret that was just made, which nobody knows yet.
    secret: Option<Secret<String>>,
    /// The budget, if it was set.
    per_day: Option<PerDay>,
}

/// Runs the program.
pub fn main() -> ExitCode {
    end(PROGRAM, run())
}

fn run() -> Result<(), Exit> {
    let arguments: Arguments = args::parse(PROGRAM, VALUED, std::env::args_os())?;
    set_up_log(arguments.log.as_deref(), arguments.logfile.as_deref())?;
    let report = match arguments.action()? {
        Action::Add(secret, per_day) => {
            let (redirect_uri, secret) = (arguments.new_redirect_uri()?, secret.obtain()?);
            warn_about(&redirect_uri);
            let registry = arguments.registry()?;
            let report = add(&*registry, redirect_uri, secret)?;
            return arguments.limit_and_print(report, per_day, &*registry);
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
        Action::Delete => {
            let redirect_uri = arguments.known_redirect_uri()?;
            delete(&*arguments.registry()?, redirect_uri)?
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
        Action::Limit(per_day) => {
            let redirect_uri = arguments.known_redirect_uri()?;
            limit(&*arguments.registry()?, redirect_uri, per_day)?
        }
        Action::List => {
            let clients = arguments.registry()?.clients().map_err(failed)?;
            return arguments.print_clients(&clients);
        }
        Action::Rotate(secret) => {
            let (redirect_uri, secret) = (arguments.known_redirect_uri()?, secret.obtain()?);
            let registry = arguments.registry()?;
            let report = rotate(&*registry, redirect_uri, secret)?;
            return arguments.print_and_end_unsolved(&report, &*registry);
        }
    };
    arguments.print(&report, None)
}

impl Arguments {
    /// The one action that was chosen.
    fn action(&self) -> Result<Action, Exit> {
        let given = |secret: &String| NewSecret::Given(secret.clone());
        let per_day = self.messages_per_day.as_deref().map(PerDay::parse).transpose()?;
        let chosen = [
            self.add.as_ref().map(|secret| Action::Add(given(secret), per_day)),
            self.generate.then_some(Action::Add(NewSecret::Generated, per_day)),
            self.rotate.as_ref().map(|secret| Action::Rotate(given(secret))),
            self.regenerate.then_some(Action::Rotate(NewSecret::Generated)),
            self.delete.then_some(Action::Delete),
            self.list.then_some(Action::List),
            self.budgets.then_some(Action::Budgets),
            self.forgive.clone().map(Action::Forgive),
        ];
        let mut chosen = chosen.into_iter().flatten();
        let action = match (chosen.next(), chosen.next(), per_day) {
            (None, _, None) => return Err(misused(&format!("{ACTIONS} is missing"))),
            (None, _, Some(per_day)) => Action::Limit(per_day),
            (Some(action), None, _) => action,
            (Some(_), Some(_), _) => {
                return Err(misused(&format!("only one of {ACTIONS} is possible")));
            }
        };
        self.check(&action).map(|()| action)
    }

    /// Refuses what does not belong to an action.
    fn check(&self, action: &Action) -> Result<(), Exit> {
        let without_uri = match action {
            Action::Budgets => Some("--budgets"),
            Action::Forgive(_) => Some("--forgive"),
            Action::List => Some("--list"),
            Action::Add(..) | Action::Delete | Action::Limit(_) | Action::Rotate(_) => None,
        };
        if let Some(option) = without_uri.filter(|_| self.redirect_uri.is_some()) {
            return Err(misused(&format!("{option} takes no REDIRECT_URI")));
        }
        if self.keep_open && !matches!(action, Action::Rotate(_)) {
            return Err(misused("--keep-open belongs to --rotate=SECRET or --regenerate"));
        }
        if self.messages_per_day.is_some() && !matches!(action, Action::Add(..) | Action::Limit(_))
        {
            return Err(misused(
                "--messages-per-day=N stands alone, or belongs to --add=SECRET or --generate",
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

    /// Sets the budget of a new client, and prints the client whatever happens: nobody else knows
    /// the secret.
    fn limit_and_print(
        &self,
        mut report: Report,
        per_day: Option<PerDay>,
        registry: &dyn Registry,
    ) -> Result<(), Exit> {
        let set = per_day.map(|it| budgets::set(registry, &report.redirect_uri, it).map(|_| it));
        let set = set.transpose();
        report.per_day = set.as_ref().ok().copied().flatten();
        self.print(&report, None)?;
        set.map(drop).map_err(|error| {
            Exit::failed(format!(
                "the client was added, but may have any number of messages until \
                 --messages-per-day=N is used again: {}",
                error.message()
            ))
        })
    }

    /// Prints the new secret whatever happens then: nobody else knows it.
    fn print_and_end_unsolved(&self, report: &Report, registry: &dyn Registry) -> Result<(), Exit> {
        if self.keep_open {
            return self.print(report, None);
        }
        if self.json {
            let ended = end_unsolved(registry, report.id);
            self.print(report, ended.as_ref().ok().copied())?;
            return ended.map(drop);
        }
        self.print(report, None)?;
        let ended = end_unsolved(registry, report.id)?;
        if self.quiet { Ok(()) } else { say(&format!("Unsolved validations ended: {ended}")) }
    }

    fn print(&self, report: &Report, ended: Option<u64>) -> Result<(), Exit> {
        let Report { sentence, id, redirect_uri, secret, per_day } = report;
        let secret = secret.as_ref().map(Secret::expose);
        if self.json {
            let members = [
                ("client_id", Some(json!(id.number()))),
                ("client_secret", secret.map(|secret| json!(secret))),
                ("messages_per_day", per_day.map(|it| json!(it.0))),
                ("redirect_uri", Some(json!(redirect_uri.as_str()))),
                ("validations_ended", ended.map(|ended| json!(ended))),
            ];
            let members = members.into_iter().filter_map(|(name, value)| Some((name, value?)));
            return say(&members.collect::<Value>().to_string());
        }
        say(&if self.quiet { id.to_string() } else { format!("{sentence}: {id}") })?;
        match secret {
            None => {}
            Some(secret) if self.quiet => say(secret)?,
            Some(secret) => say(&format!("Client secret is: {secret}"))?,
        }
        match per_day.filter(|_| !self.quiet) {
            None => Ok(()),
            Some(per_day) => say(&format!("Messages per day: {per_day}")),
        }
    }

    fn print_clients(&self, clients: &[ClientSummary]) -> Result<(), Exit> {
        if self.json {
            let objects = clients.iter().map(|client| {
                json!({
                    "client_id": client.id.number(),
                    "redirect_uri": client.redirect_uri.as_str(),
                    "validations": client.validations,
                    "grants": client.grants,
                    "messages_per_day": client.messages_per_day,
                    "being_deleted": client.is_being_deleted,
                })
            });
            return say(&Value::Array(objects.collect()).to_string());
        }
        if !self.quiet {
            say(&row("ID", "VALIDATIONS", "GRANTS", "MESSAGES/DAY", "REDIRECT URI"))?;
        }
        for client in clients {
            let id = client.id.to_string();
            let (validations, grants) = (client.validations.to_string(), client.grants.to_string());
            let per_day = PerDay(client.messages_per_day).to_string();
            let mut last = client.redirect_uri.as_str().to_owned();
            if client.is_being_deleted {
                last.push_str(" (being deleted)");
            }
            say(&if self.quiet { id } else { row(&id, &validations, &grants, &per_day, &last) })?;
        }
        Ok(())
    }
}

/// A line of the table.
fn row(id: &str, validations: &str, grants: &str, per_day: &str, redirect_uri: &str) -> String {
    format!("{id:>6}  {validations:>11}  {grants:>11}  {per_day:>12}  {redirect_uri}")
}

fn add(
    registry: &dyn Registry,
    redirect_uri: RedirectUri,
    secret: Obtained,
) -> Result<Report, Exit> {
    match registry.add_client(&redirect_uri, secret.hashed).map_err(failed)? {
        Added::New(id) => {
            let sentence = "Client added. Client ID is";
            Ok(Report { sentence, id, redirect_uri, secret: secret.to_print, per_day: None })
        }
        Added::BeingDeleted(id) => Err(Exit::failed(format!(
            "client {id}, which has this redirect URI, is still being deleted; if nobody is at it, \
             --delete goes on with it, and it can be added then"
        ))),
        Added::Exists(id) => Err(Exit::failed(format!(
            "client {id} is registered with this redirect URI already; it was left as it is"
        ))),
    }
}

/// Ends the validations that were opened with a replaced secret, and returns their number.
fn end_unsolved(registry: &dyn Registry, id: ClientId) -> Result<u64, Exit> {
    let error = match registry.end_unsolved(id, os::now()) {
        Ok(ended) => return Ok(ended),
        Err(error) => error,
    };
    Err(Exit::failed(format!(
        "the secret was replaced, but some validations that were opened before may go on, until \
         this is done again: {error}"
    )))
}

fn rotate(
    registry: &dyn Registry,
    redirect_uri: RedirectUri,
    secret: Obtained,
) -> Result<Report, Exit> {
    let changed = registry.rotate_secret(&redirect_uri, secret.hashed).map_err(failed)?;
    let id = changed.ok_or_else(unknown)?;
    let sentence = "Secret replaced. Client ID is";
    Ok(Report { sentence, id, redirect_uri, secret: secret.to_print, per_day: None })
}

fn limit(
    registry: &dyn Registry,
    redirect_uri: RedirectUri,
    per_day: PerDay,
) -> Result<Report, Exit> {
    let id = budgets::set(registry, &redirect_uri, per_day)?;
    let sentence = "Client changed. Client ID is";
    Ok(Report { sentence, id, redirect_uri, secret: None, per_day: Some(per_day) })
}

fn delete(registry: &dyn Registry, redirect_uri: RedirectUri) -> Result<Report, Exit> {
    let id = registry.delete_client(&redirect_uri).map_err(failed)?.ok_or_else(unknown)?;
    let sentence = "Client deleted. Client ID was";
    Ok(Report { sentence, id, redirect_uri, secret: None, per_day: None })
}

/// Warns about redirect URIs that are allowed, but risky.
fn warn_about(redirect_uri: &RedirectUri) {
    if !redirect_uri.is_confidential() {
        log::warn!("authorization codes will travel to the client without TLS");
    }
    let scheme = redirect_uri.scheme().to_ascii_lowercase();
    if !matches!(scheme.as_str(), "http" | "https") {
        log::warn!("{}: is no scheme of web sites", redirect_uri.scheme());
    }
}

fn failed(error: StoreError) -> Exit {
    Exit::failed(error.to_string())
}

fn unknown() -> Exit {
    Exit::failed("no client is registered with this redirect URI")
}

fn misused(complaint: &str) -> Exit {
    Exit::invalid_argument(format!("{complaint}\nTry '{PROGRAM} --help'."))
}
