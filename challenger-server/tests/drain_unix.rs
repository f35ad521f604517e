//! The same ends of the same front, over a UNIX socket.

#[path = "drain.rs"]
mod drain;
