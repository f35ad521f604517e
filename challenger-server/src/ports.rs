//! What a responder needs of the world: a helper, a clock, randomness, and pages.

use std::fmt;

use challenger_proto::http::Page;
use challenger_proto::{Entropy, Timestamp, Transmission};

/// Delivers messages.
pub trait Helper: Send + Sync {
    /// Delivers one, and returns when it is known to be on its way.
    ///
    /// # Errors
    /// How it failed, in a few words without address or PIN.
    fn send(&self, transmission: &Transmission) -> Result<(), HelperError>;
}

/// A clock.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;
}

/// Draws random bytes.
pub trait EntropySource: Send + Sync {
    /// 32 bytes that nobody can predict.
    fn draw(&self) -> Entropy;
}

/// Renders pages.
pub trait Pages: Send + Sync {
    /// The page as HTML; `None` when its template cannot be rendered.
    fn render(&self, page: &Page) -> Option<String>;
}

/// How a delivery failed, for the operator and the answer's detail.
#[derive(Debug)]
pub struct HelperError(pub String);

impl fmt::Display for HelperError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for HelperError {}
