//! The tests of a front that ends, over a UNIX socket.

#[path = "drain.rs"]
mod drain;
