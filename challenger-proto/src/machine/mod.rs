//! The state machine: what a validation is, what may happen to it, and what it may use up. It knows
//! neither HTTP nor storage.

pub(crate) mod budget;
mod earlier;
pub(crate) mod limits;
pub(crate) mod outcome;
pub(crate) mod transitions;
pub(crate) mod validation;

pub use limits::Limits;
pub use validation::{Challenge, Earlier, LastFailure, Progress, RowVersion, Solution, Validation};
