//! Clients as the operator's tools register, find and change them.

use challenger_proto::Timestamp;
use challenger_proto::oauth::{ClientId, ClientName, HashedSecret, RedirectUri};

/// A client that is to be registered.
#[derive(Clone, Debug)]
pub struct NewClient {
    /// Where its users are sent in the end.
    pub redirect_uri: RedirectUri,
    /// Its secret.
    pub secret: HashedSecret,
    /// What people read as its name, if it has one.
    pub name: Option<ClientName>,
    /// How many messages its validations may cost in a day; `None`: any number.
    pub messages_per_day: Option<u32>,
    /// Whether any visitor may begin a validation for it. Without a budget for messages, none may.
    pub open: bool,
}

impl NewClient {
    /// A closed client without a name or a budget.
    #[must_use]
    pub const fn new(redirect_uri: RedirectUri, secret: HashedSecret) -> Self {
        Self { redirect_uri, secret, name: None, messages_per_day: None, open: false }
    }
}

/// The outcome of a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Added {
    /// Nothing was changed: this client has the redirect URI, and is being deleted.
    BeingDeleted(ClientId),
    /// Nothing was changed: this client has the redirect URI.
    Exists(ClientId),
    /// This is the new client.
    New(ClientId),
}

impl Added {
    /// The client that has the redirect URI now.
    #[must_use]
    pub const fn id(self) -> ClientId {
        match self {
            Self::BeingDeleted(id) | Self::Exists(id) | Self::New(id) => id,
        }
    }
}

/// How an operator names a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientKey {
    /// By its identifier.
    Id(ClientId),
    /// By where its users are sent in the end.
    RedirectUri(RedirectUri),
}

/// What is to change of a client. What is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Whether it is disabled.
    pub disabled: Option<bool>,
    /// How many messages its validations may cost in a day; inside, `None`: any number. It counts
    /// at once, also for messages that were sent today, unless any number was allowed then.
    pub messages_per_day: Option<Option<u32>>,
    /// What people read as its name; inside, `None`: the host of its redirect URI.
    pub name: Option<Option<ClientName>>,
    /// Whether any visitor may begin a validation for it.
    pub open: Option<bool>,
    /// Where its users are sent in the end. Validations that it has opened keep the old one.
    pub redirect_uri: Option<RedirectUri>,
}

/// The outcome of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Changed {
    /// The client was changed.
    Done,
    /// Nothing was changed: the client would be open, and have no budget for messages.
    NeedsBudget,
    /// Nothing was changed: this client has the redirect URI.
    Taken(ClientId),
    /// There is no such client.
    Unknown,
}

/// The outcome of a new secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Rotated {
    /// The client has the secret.
    Done,
    /// Nothing was changed: there is a secret of before that is good until then, and would not be
    /// if the one of now was kept instead.
    KeepsEarlier(Timestamp),
    /// There is no such client.
    Unknown,
}

/// A client with its totals since it was added, which include rows that were deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSummary {
    /// Its identifier.
    pub id: ClientId,
    /// Where its users are sent in the end.
    pub redirect_uri: RedirectUri,
    /// How many validations it opened.
    pub validations: u64,
    /// How many access tokens it got for proved addresses, without those that were revoked.
    pub grants: u64,
    /// Whether its deletion has begun, and not ended yet.
    pub is_being_deleted: bool,
    /// How many messages its validations may cost in a day; `None`: any number.
    pub messages_per_day: Option<u32>,
    /// Whether any visitor may begin a validation for it. It has a budget for messages then.
    pub open: bool,
    /// What people read as its name, if it has one.
    pub name: Option<ClientName>,
    /// Whether the operator has disabled it.
    pub disabled: bool,
    /// When it was registered; `None` if that was before this was kept.
    pub created: Option<Timestamp>,
    /// Until when its secret of before is good, too. That may be over.
    pub earlier_secret_until: Option<Timestamp>,
}
