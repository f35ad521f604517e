//! The decisions of Challenger, free of IO.
#![no_std]

extern crate alloc;

mod address;
mod base32;
mod digest;
mod entropy;
mod form;
pub mod http;
mod media;
mod page;
mod refusal;
mod secret;
mod time;
pub use address::*; pub use digest::*; pub use entropy::*; pub use page::*; pub use refusal::*; pub use secret::*; pub use time::*;
