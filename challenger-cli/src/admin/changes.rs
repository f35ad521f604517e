//! What is to change of a client: as options ask for it, as it is recorded, and as it is printed.

use challenger_proto::oauth::{CLIENT_NAME_MAX, ClientId, ClientName, RedirectUri};
use challenger_server::store::{Changed, Changes, ClientKey, Registry};
use log::kv::Value as Detail;
use serde_json::{Value, json};

use super::audit::recorded;
use super::budgets::{PerDay, UNLIMITED};
use super::{Arguments, failed, misused};
use crate::exit::Exit;

/// Reads the options that change a client, new or registered.
///
/// # Errors
/// They contradict each other, or one of them has no possible value.
pub(super) fn asked_for(options: &Arguments) -> Result<Changes, Exit> {
    let is_new = options.generate || options.add.is_some();
    for (is_given, option) in [
        (options.close, "--close"),
        (options.disable, "--disable"),
        (options.enable, "--enable"),
        (options.set_redirect_uri.is_some(), "--set-redirect-uri=URI"),
    ] {
        if is_given && is_new {
            return Err(misused(&format!("{option} is for a client that is registered")));
        }
    }
    let messages_per_day = options.messages_per_day.as_deref().map(PerDay::parse).transpose()?;
    let messages_per_day = messages_per_day.map(|PerDay(messages)| messages);
    let lacks_budget = messages_per_day.map_or(is_new, |messages| messages.is_none());
    if options.open && lacks_budget {
        return Err(misused("an open client needs a budget: add --messages-per-day=N"));
    }
    Ok(Changes {
        disabled: one_of((options.disable, "--disable"), (options.enable, "--enable"))?,
        messages_per_day,
        name: options.name.as_deref().map(name).transpose()?,
        open: one_of((options.open, "--open"), (options.close, "--close"))?,
        redirect_uri: options.set_redirect_uri.as_deref().map(new_uri).transpose()?,
    })
}

/// Whether the first of two switches was chosen, if one was.
fn one_of(first: (bool, &str), second: (bool, &str)) -> Result<Option<bool>, Exit> {
    match (first.0, second.0) {
        (true, true) => Err(misused(&format!("either {} or {} is possible", first.1, second.1))),
        (false, false) => Ok(None),
        (chosen, _) => Ok(Some(chosen)),
    }
}

/// A client's name; an empty text takes it away.
fn name(text: &str) -> Result<Option<ClientName>, Exit> {
    if text.is_empty() {
        return Ok(None);
    }
    let name = ClientName::parse(text).ok_or_else(|| {
        misused(&format!(
            "--name={}: expected 1 to {CLIENT_NAME_MAX} characters that can be seen, without \
             spaces at the ends; or nothing, which takes the name away",
            text.escape_debug()
        ))
    })?;
    Ok(Some(name))
}

fn new_uri(text: &str) -> Result<RedirectUri, Exit> {
    RedirectUri::parse(text)
        .map_err(|error| Exit::invalid_argument(format!("--set-redirect-uri={text}: {error}")))
}

/// Makes the changes. `key` is how the client was named.
///
/// # Errors
/// There is no such client, it would be open without a budget, another one has the redirect URI, or
/// the store failed.
pub(super) fn make(
    registry: &dyn Registry,
    key: &ClientKey,
    id: ClientId,
    changes: &Changes,
) -> Result<(), Exit> {
    let kept = |why: String| Exit::failed(format!("client {id} was left as it is: {why}"));
    match registry.change_client(id, changes).map_err(failed)? {
        Changed::Done => {}
        Changed::NeedsBudget => {
            let advice = match changes.open {
                Some(_) => "add --messages-per-day=N",
                None => "close it first, with --close",
            };
            return Err(kept(format!("an open client needs a budget; {advice}")));
        }
        Changed::Taken(owner) => {
            return Err(kept(format!("client {owner} has this redirect URI already")));
        }
        Changed::Unknown => return Err(unknown(key)),
    }
    record(id, changes);
    warn(changes);
    Ok(())
}

/// Puts each change of a client on record.
pub(super) fn record(id: ClientId, changes: &Changes) {
    let Changes { disabled, messages_per_day, name, open, redirect_uri } = changes;
    let recorded = |action, details: &[_]| recorded(action, Some(id), details);
    if *open == Some(false) {
        recorded("close", &[]);
    }
    if let Some(messages) = messages_per_day {
        let messages = messages.map_or_else(|| Detail::from(UNLIMITED), Detail::from);
        recorded("messages-per-day", &[("messages", messages)]);
    }
    if *open == Some(true) {
        recorded("open", &[]);
    }
    if let Some(name) = name {
        let name = name.as_ref().map_or("", ClientName::as_str);
        recorded("name", &[("name", name.into())]);
    }
    if let Some(redirect_uri) = redirect_uri {
        recorded("set-redirect-uri", &[("redirect_uri", redirect_uri.as_str().into())]);
    }
    match disabled {
        Some(true) => recorded("disable", &[]),
        Some(false) => recorded("enable", &[]),
        None => {}
    }
}

/// Warns about what is allowed, but risky.
pub(super) fn warn(changes: &Changes) {
    if changes.open == Some(true) {
        log::warn!(
            "any visitor may now have messages sent for this client, up to the budgets of the \
             client, of addresses, of destinations and of the service"
        );
    }
}

/// Changes as lines for people.
pub(super) fn lines(changes: &Changes) -> impl Iterator<Item = String> {
    let Changes { disabled, messages_per_day, name, open, redirect_uri } = changes;
    let yes_or_no = |it: bool| if it { "yes" } else { "no" };
    let name = name.as_ref().map(|name| name.as_ref().map_or("none", ClientName::as_str));
    let lines = [
        name.map(|name| format!("Name: {name}")),
        messages_per_day.map(|messages| format!("Messages per day: {}", PerDay(messages))),
        open.map(|it| format!("Open: {}", yes_or_no(it))),
        disabled.map(|it| format!("Disabled: {}", yes_or_no(it))),
        redirect_uri.as_ref().map(|uri| format!("Redirect URI: {}", uri.as_str())),
    ];
    lines.into_iter().flatten()
}

/// Changes as members of an object for programs. It has the redirect URI anyway.
pub(super) fn members(changes: &Changes) -> [(&'static str, Option<Value>); 4] {
    let name = changes.name.as_ref().map(|it| it.as_ref().map(ClientName::as_str));
    [
        ("disabled", changes.disabled.map(|it| json!(it))),
        ("messages_per_day", changes.messages_per_day.map(|it| json!(it))),
        ("name", name.map(|it| json!(it))),
        ("open", changes.open.map(|it| json!(it))),
    ]
}

/// There is no client of this name.
pub(super) fn unknown(key: &ClientKey) -> Exit {
    Exit::failed(match key {
        ClientKey::Id(id) => format!("no client is registered with the ID {id}; see --list"),
        ClientKey::RedirectUri(_) => {
            "no client is registered with this redirect URI; see --list".to_owned()
        }
    })
}
