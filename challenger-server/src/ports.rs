//! What a responder needs of the world: a helper, a clock, randomness, and pages.

use challenger_proto::http::Page;
use challenger_proto::{Entropy, Failure, Timestamp, Transmission};

/// Delivers messages.
pub trait Helper: Send + Sync {
    /// Delivers one, and returns when it is known to be on its way.
    ///
    /// # Errors
    /// Why it failed.
    fn send(&self, transmission: &Transmission) -> Result<(), Failure>;
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
