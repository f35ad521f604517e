//! Another engine in place of the front: tiny_http, for a UNIX socket behind a proxy that sends
//! whole requests. It has none of the front's limits, and our parser sees only its reading of a
//! head.

use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use challenger_proto::http::{BODY_MAX, Request};
use challenger_proto::{Refusal, Refused};
use tiny_http::{Method, Server};

use super::head::{Framing, Head, Parsed, parse_head};
use super::{Listener, PAUSE, Present, Respond};
use crate::os;

/// A listener whose connections tiny_http serves.
pub struct Tiny {
    /// Never dropped: that would remove the socket's file, which may be our successor's by then.
    server: &'static Server,
    workers: Vec<JoinHandle<()>>,
    place: String,
}

impl Tiny {
    /// Begins to serve a UNIX socket, with at most `count` requests at the same time.
    pub fn start(listener: Listener, respond: &Arc<dyn Respond>, count: usize) -> io::Result<Self> {
        let place = listener.place()?;
        let server = Server::from_listener(listener.into_unix(), None).map_err(io::Error::other)?;
        let mut tiny = Self { server: Box::leak(Box::new(server)), workers: Vec::new(), place };
        for _ in 0..count {
            let (server, respond) = (tiny.server, Arc::clone(respond));
            tiny.workers.push(thread::Builder::new().spawn(move || work(server, &*respond))?);
        }
        Ok(tiny)
    }

    /// Where it listens: a path.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Waits for the requests that have come, and returns whether all were answered in time. Others
    /// wait until this process ends.
    pub fn drain(&mut self, timeout: Duration) -> bool {
        let start = Instant::now();
        // Each call wakes one of them.
        self.workers.iter().for_each(|_| self.server.unblock());
        let busy = || self.workers.iter().any(|worker| !worker.is_finished());
        while busy() && start.elapsed() < timeout {
            thread::sleep(PAUSE);
        }
        !busy()
    }
}

fn work(server: &Server, respond: &dyn Respond) {
    loop {
        match server.recv() {
            // A panic costs this one answer, which is a bare 500 then.
            Ok(request) => drop(catch_unwind(AssertUnwindSafe(|| serve(request, respond)))),
            Err(error) if error.raw_os_error().is_none() => return,
            // No connection is accepted any more, which the server notices.
            Err(error) => log::error!(error:%; "engine failed"),
        }
    }
}

fn serve(mut request: tiny_http::Request, respond: &dyn Respond) {
    let (answer, close) = match read(&mut request) {
        Ok(head) => (respond.respond(head.request, &Present), !head.keep_alive),
        Err((head, refused)) => {
            // tiny_http would read the rest of a body into as much memory as that takes. With an
            // upgrade it does not, and the rest has no end.
            if !asks_for_upgrade(&request) {
                let _ = io::copy(request.as_reader(), &mut io::sink());
            }
            // The next bytes may be a part of this request to a peer that reads it in another way.
            (respond.refuse(head.as_ref(), refused), true)
        }
    };
    // Not by tiny_http, which lets line ends into headers. An error means that the peer has left.
    let is_head = *request.method() == Method::Head;
    let (head, body) = answer.sendable().into_parts(os::now(), is_head, close);
    let mut to = request.into_writer();
    let _ = to.write_all(&head).and_then(|()| to.write_all(&body)).and_then(|()| to.flush());
}

/// Whether tiny_http hands out the socket as it is in the place of a body.
fn asks_for_upgrade(request: &tiny_http::Request) -> bool {
    let field = request.headers().iter().find(|it| it.field.equiv("Connection"));
    field.is_some_and(|it| it.value.as_str().to_ascii_lowercase().contains("upgrade"))
}

/// The request as tiny_http understood it, once more through our parser.
fn read(from: &mut tiny_http::Request) -> Result<Head, (Option<Request>, Refused)> {
    let mut text = format!("{} {} HTTP/{}\r\n", from.method(), from.url(), from.http_version());
    from.headers().iter().for_each(|header| text.extend([&header.to_string(), "\r\n"]));
    let parsed = parse_head((text + "\r\n").as_bytes()).map_err(|refused| (None, refused))?;
    let Parsed::Complete(mut head) = parsed else {
        return Err((None, Refusal::HeadMalformed.into()));
    };
    let body = &mut head.request.body;
    let result = match head.framing {
        Framing::Length(length) if length > BODY_MAX => {
            return Err((Some(head.request), Refusal::BodyTooLarge.into()));
        }
        Framing::Length(length) => {
            body.resize(length, 0);
            from.as_reader().read_exact(body)
        }
        // Its chunks would not be decoded.
        Framing::Chunked if asks_for_upgrade(from) => {
            return Err((Some(head.request), Refusal::ContentLengthMalformed.into()));
        }
        Framing::Chunked => {
            // tiny_http takes sizes with signs and spaces, so what follows is not read.
            head.keep_alive = false;
            from.as_reader().take(BODY_MAX as u64 + 1).read_to_end(body).map(drop)
        }
    };
    if head.request.body.len() > BODY_MAX {
        head.request.body.clear();
        return Err((Some(head.request), Refusal::BodyTooLarge.into()));
    }
    result.map(|()| head).map_err(|_| (None, Refusal::RequestTimeout.into()))
}
