//! The tests of strangers against the front, over a UNIX socket.

#[path = "front.rs"]
mod front;
