//! The same strangers against the same front, over a UNIX socket.

#[path = "front.rs"]
mod front;
