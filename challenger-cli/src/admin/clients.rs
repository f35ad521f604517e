//! What is done to clients, and what is printed of them.

use challenger_proto::oauth::{ClientId, RedirectUri};
use challenger_proto::secret::Secret;
use challenger_server::os;
use challenger_server::store::{Added, Changed, ClientSummary, Registry, StoreError};
use serde_json::{Value, json};

use super::audit::recorded;
use super::budgets::{PerDay, UNLIMITED};
use super::failed;
use super::secret::Obtained;
use crate::exit::{Exit, say};

/// How to print.
#[derive(Clone, Copy)]
pub(super) struct Style {
    pub(super) json: bool,
    pub(super) quiet: bool,
}

/// What is to change about how a client may be used.
#[derive(Clone, Copy, Default)]
pub(super) struct Use {
    pub(super) per_day: Option<PerDay>,
    pub(super) is_open: Option<bool>,
}

impl Use {
    pub(super) const fn is_unchanged(self) -> bool {
        self.per_day.is_none() && self.is_open.is_none()
    }

    /// Changes a client. `done` gets what was changed, even if something else then fails.
    ///
    /// # Errors
    /// There is no such client, it would be open without a budget, or the store failed.
    fn set(
        self,
        registry: &dyn Registry,
        redirect_uri: &RedirectUri,
        done: &mut Self,
    ) -> Result<Option<ClientId>, Exit> {
        let mut id = None;
        let open = |open, advice| changed(registry.set_open(redirect_uri, open), advice);
        // A client that is to lose its budget is closed before, and one that gets one is opened
        // afterwards.
        if self.is_open == Some(false) {
            let closed = open(false, "")?;
            recorded("close", Some(closed), &[]);
            (id, done.is_open) = (Some(closed), self.is_open);
        }
        if let Some(PerDay(messages)) = self.per_day {
            let set = registry.set_messages_per_day(redirect_uri, messages);
            let limited = changed(set, "close it first, with --close")?;
            let messages = messages.map_or_else(|| UNLIMITED.into(), Into::into);
            recorded("messages-per-day", Some(limited), &[("messages", messages)]);
            (id, done.per_day) = (Some(limited), self.per_day);
        }
        if self.is_open == Some(true) {
            let opened = open(true, "add --messages-per-day=N")?;
            recorded("open", Some(opened), &[]);
            (id, done.is_open) = (Some(opened), self.is_open);
            log::warn!(
                "any visitor may now have messages sent for this client, up to the budgets of the \
                 client, of addresses, of destinations and of the service"
            );
        }
        Ok(id)
    }

    /// Changes a client that was just added, and says so in its report.
    ///
    /// # Errors
    /// The store failed; the error says how the client may be used.
    pub(super) fn set_for_new(
        self,
        registry: &dyn Registry,
        report: &mut Report,
    ) -> Result<(), Exit> {
        let Report { redirect_uri, set, .. } = report;
        let Err(error) = self.set(registry, redirect_uri, set) else { return Ok(()) };
        let state = if self.per_day.is_some() && set.per_day.is_none() {
            "may have any number of messages until --messages-per-day=N is used again"
        } else {
            "is not open until --open is used again"
        };
        Err(Exit::failed(format!("the client was added, but {state}: {}", error.message())))
    }
}

/// The result of an action.
pub(super) struct Report {
    /// As a sentence, up to the client's number.
    sentence: &'static str,
    pub(super) id: ClientId,
    redirect_uri: RedirectUri,
    /// A secret that was just made, which nobody knows yet.
    secret: Option<Secret<String>>,
    /// What was set.
    set: Use,
}

impl Report {
    fn new(sentence: &'static str, id: ClientId, redirect_uri: RedirectUri) -> Self {
        Self { sentence, id, redirect_uri, secret: None, set: Use::default() }
    }

    /// Prints it, with the number of validations that were ended.
    ///
    /// # Errors
    /// It cannot be printed.
    pub(super) fn print(&self, style: Style, ended: Option<u64>) -> Result<(), Exit> {
        let Self { sentence, id, redirect_uri, secret, set } = self;
        let secret = secret.as_ref().map(Secret::expose);
        if style.json {
            let members = [
                ("client_id", Some(json!(id.number()))),
                ("client_secret", secret.map(|secret| json!(secret))),
                ("messages_per_day", set.per_day.map(|it| json!(it.0))),
                ("open", set.is_open.map(|it| json!(it))),
                ("redirect_uri", Some(json!(redirect_uri.as_str()))),
                ("validations_ended", ended.map(|ended| json!(ended))),
            ];
            let members = members.into_iter().filter_map(|(name, value)| Some((name, value?)));
            return say(&members.collect::<Value>().to_string());
        }
        if style.quiet {
            say(&id.to_string())?;
            return secret.map_or(Ok(()), |secret| say(secret));
        }
        let lines = [
            Some(format!("{sentence}: {id}")),
            secret.map(|secret| format!("Client secret is: {secret}")),
            set.per_day.map(|per_day| format!("Messages per day: {per_day}")),
            set.is_open.map(|it| format!("Open: {}", if it { "yes" } else { "no" })),
        ];
        lines.iter().flatten().try_for_each(|line| say(line))
    }
}

/// The client that was changed. `advice` is for one that needs a budget.
fn changed(changed: Result<Changed, StoreError>, advice: &str) -> Result<ClientId, Exit> {
    match changed.map_err(failed)? {
        Changed::Done(id) => Ok(id),
        Changed::NeedsBudget(id) => Err(Exit::failed(format!(
            "client {id} was left as it is: an open client needs a budget; {advice}"
        ))),
        Changed::Unknown => Err(unknown()),
    }
}

/// Registers a client.
///
/// # Errors
/// Another client has the redirect URI, or the store failed.
pub(super) fn add(
    registry: &dyn Registry,
    redirect_uri: RedirectUri,
    secret: Obtained,
) -> Result<Report, Exit> {
    match registry.add_client(&redirect_uri, secret.hashed).map_err(failed)? {
        Added::New(id) => {
            recorded("add", Some(id), &[]);
            let report = Report::new("Client added. Client ID is", id, redirect_uri);
            Ok(Report { secret: secret.to_print, ..report })
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

/// Changes how a client may be used.
///
/// # Errors
/// There is no such client, it would be open without a budget, or the store failed.
pub(super) fn change(
    registry: &dyn Registry,
    redirect_uri: RedirectUri,
    allowed: Use,
) -> Result<Report, Exit> {
    let mut set = Use::default();
    let id = allowed.set(registry, &redirect_uri, &mut set)?.ok_or_else(unknown)?;
    Ok(Report { set, ..Report::new("Client changed. Client ID is", id, redirect_uri) })
}

/// Replaces the secret of a client.
///
/// # Errors
/// There is no such client, or the store failed.
pub(super) fn rotate(
    registry: &dyn Registry,
    redirect_uri: RedirectUri,
    secret: Obtained,
) -> Result<Report, Exit> {
    let changed = registry.rotate_secret(&redirect_uri, secret.hashed).map_err(failed)?;
    let id = changed.ok_or_else(unknown)?;
    recorded("rotate", Some(id), &[]);
    let report = Report::new("Secret replaced. Client ID is", id, redirect_uri);
    Ok(Report { secret: secret.to_print, ..report })
}

/// Ends the validations that were opened with a replaced secret, and returns their number.
///
/// # Errors
/// The store failed; the error says what may go on.
pub(super) fn end_unsolved(registry: &dyn Registry, id: ClientId) -> Result<u64, Exit> {
    registry.end_unsolved(id, os::now()).map_err(|error| {
        Exit::failed(format!(
            "the secret was replaced, but some validations that were opened before may go on, \
             until this is done again: {error}"
        ))
    })
}

/// Deletes a client.
///
/// # Errors
/// There is no such client, or the store failed.
pub(super) fn delete(registry: &dyn Registry, redirect_uri: RedirectUri) -> Result<Report, Exit> {
    let id = registry.delete_client(&redirect_uri).map_err(failed)?.ok_or_else(unknown)?;
    recorded("delete", Some(id), &[]);
    Ok(Report::new("Client deleted. Client ID was", id, redirect_uri))
}

/// Warns about redirect URIs that are allowed, but risky.
pub(super) fn warn_about(redirect_uri: &RedirectUri) {
    if !redirect_uri.is_confidential() {
        log::warn!("authorization codes will travel to the client without TLS");
    }
    let scheme = redirect_uri.scheme().to_ascii_lowercase();
    if !matches!(scheme.as_str(), "http" | "https") {
        log::warn!("{}: is not a scheme of web sites", redirect_uri.scheme());
    }
}

/// Prints the list of clients.
///
/// # Errors
/// It cannot be printed.
pub(super) fn print(clients: &[ClientSummary], style: Style) -> Result<(), Exit> {
    if style.json {
        let objects = clients.iter().map(|client| {
            json!({
                "client_id": client.id.number(),
                "redirect_uri": client.redirect_uri.as_str(),
                "validations": client.validations,
                "grants": client.grants,
                "messages_per_day": client.messages_per_day,
                "open": client.open,
                "being_deleted": client.is_being_deleted,
            })
        });
        return say(&Value::Array(objects.collect()).to_string());
    }
    if style.quiet {
        return clients.iter().try_for_each(|client| say(&client.id.to_string()));
    }
    say(&row("ID", "VALIDATIONS", "GRANTS", "MESSAGES/DAY", "REDIRECT URI"))?;
    for client in clients {
        let (validations, grants) = (client.validations.to_string(), client.grants.to_string());
        let per_day = PerDay(client.messages_per_day).to_string();
        let mut last = client.redirect_uri.as_str().to_owned();
        last.push_str(if client.open { " (open)" } else { "" });
        last.push_str(if client.is_being_deleted { " (being deleted)" } else { "" });
        say(&row(&client.id.to_string(), &validations, &grants, &per_day, &last))?;
    }
    Ok(())
}

/// A line of the table.
fn row(id: &str, validations: &str, grants: &str, per_day: &str, redirect_uri: &str) -> String {
    format!("{id:>6}  {validations:>11}  {grants:>11}  {per_day:>12}  {redirect_uri}")
}

fn unknown() -> Exit {
    Exit::failed("no client is registered with this redirect URI")
}
