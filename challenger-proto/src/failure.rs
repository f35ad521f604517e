//! Why a message could not be sent, as its helper reported it.

use alloc::string::String;
use core::fmt;

/// What a failed delivery means to the person who waits for the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureKind {
    /// The address does not exist or cannot be reached, so only another address helps.
    AddressRefused,
    /// The operator's configuration is wrong.
    Misconfigured,
    /// It may work later.
    TryLater,
    /// Anything else.
    Unknown,
}

impl FailureKind {
    /// All kinds.
    pub const ALL: &'static [Self] =
        &[Self::AddressRefused, Self::Misconfigured, Self::TryLater, Self::Unknown];

    /// The kind in one word. Logs print it, stores keep it, and templates ask for it as
    /// `failure.address`, so it stays what it is.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AddressRefused => "address",
            Self::Misconfigured => "configuration",
            Self::TryLater => "later",
            Self::Unknown => "unknown",
        }
    }

    /// The kind with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// The kind in a few words, for the `detail` of an answer.
    const fn words(self) -> &'static str {
        match self {
            Self::AddressRefused => "the address does not exist or cannot be reached",
            Self::Misconfigured => "the service is not configured correctly",
            Self::TryLater => "the delivery may succeed later",
            Self::Unknown => "the delivery failed",
        }
    }
}

/// A few words in English, without a dot.
impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

/// Why a message could not be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What it means to the person.
    pub kind: FailureKind,
    /// How the helper failed, in a few words without address and PIN; may be empty. Programs read
    /// it in the answer's `detail`, but no page shows it.
    pub detail: String,
}

impl Failure {
    /// A failure of this kind, in the helper's words.
    pub fn new(kind: FailureKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }
}

impl From<FailureKind> for Failure {
    fn from(kind: FailureKind) -> Self {
        Self::new(kind, "")
    }
}

/// The words of the kind, and after a colon those of the helper, if there are any.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, detail } = self;
        if detail.is_empty() { kind.fmt(f) } else { write!(f, "{kind}: {detail}") }
    }
}

impl core::error::Error for Failure {}
