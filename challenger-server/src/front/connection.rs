//! One connection from its first byte to its end, in a thread of its own.

use std::mem;
use std::net::Shutdown;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use challenger_proto::http::{BODY_MAX, Method, Request};
use challenger_proto::{Refusal, Refused};

use super::head::{self, Head, Parsed, parse_head};
use super::stream::{self, Arrival, Event, deadline};
use super::table::{Phase, Seat};
use super::{Answer, Limits, Respond};

/// How long to go on reading, and how much, after an answer that closes the connection. A socket
/// that is closed with bytes unread resets the connection, and then the peer may never see the
/// answer (RFC 9112 §9.6).
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 256 * 1024;
/// The same after a wait for a request that did not come. It may be under way: then the peer sees
/// an end that says that nobody read it, and no reset.
const PART: Duration = Duration::from_millis(200);

/// How much of an answer may take the time for writing.
const WRITE_PART: usize = 128 * 1024;

/// Serves a connection until either side ends it.
pub(super) fn serve(seat: Seat, respond: &dyn Respond, limits: &Limits) {
    let bytes = Vec::new();
    let mut connection = Connection { seat, respond, limits, bytes, taken: 0, due: None };
    while connection.exchange() == Next::Request {}
}

struct Connection<'a> {
    seat: Seat,
    respond: &'a dyn Respond,
    limits: &'a Limits,
    /// What has come and was not used yet: a part of a request, or the beginning of the next ones.
    /// Never more than a head or a body and one read.
    bytes: Vec<u8>,
    /// How many bytes the requests so far had.
    taken: u64,
    /// In a drain, how many of its bytes are answered: those that had come when it was noticed.
    due: Option<u64>,
}

/// What follows an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Request,
    End,
}

/// Why there is no request.
enum NoRequest {
    /// The peer went away, or sent nothing for too long, or has to make room.
    Gone,
    /// It is no good, as far as it came.
    Refused(Option<Request>, Refused),
}

impl Connection<'_> {
    /// One request and its answer.
    fn exchange(&mut self) -> Next {
        let (request, keep_alive) = match self.read_request() {
            Ok(read) => read,
            Err(NoRequest::Gone) => return Next::End,
            Err(NoRequest::Refused(head, refused)) => {
                let answer = self.decide(|respond| respond.refuse(head.as_ref(), refused));
                let is_head = head.is_some_and(|head| head.method == Method::Head);
                self.write(answer, is_head, true);
                return Next::End;
            }
        };
        if !self.seat.enter(Phase::Deciding) {
            return Next::End;
        }
        let is_head = request.method == Method::Head;
        let answer = self.decide(|respond| respond.respond(request, &self.seat));
        if !self.seat.enter(Phase::Writing) {
            return Next::End;
        }
        let close = !keep_alive || self.limits.close_each || self.is_over();
        self.write(answer, is_head, close)
    }

    /// A complete request, and whether there may be another.
    fn read_request(&mut self) -> Result<(Request, bool), NoRequest> {
        let mut head = self.read_head()?;
        if head.body_length > BODY_MAX {
            let refused = Refusal::BodyTooLarge.into();
            return Err(NoRequest::Refused(Some(head.request), refused));
        }
        self.bytes.drain(..head.length);
        if self.bytes.len() < head.body_length {
            match self.read_body(&head) {
                Arrival::Bytes(_) => {}
                Arrival::Late => {
                    let refused = Refusal::RequestTimeout.into();
                    return Err(NoRequest::Refused(Some(head.request), refused));
                }
                Arrival::Never => return Err(NoRequest::Gone),
            }
        }
        let rest = self.bytes.split_off(head.body_length);
        head.request.body = mem::replace(&mut self.bytes, rest);
        self.taken += (head.length + head.body_length) as u64;
        Ok((head.request, head.keep_alive))
    }

    fn read_head(&mut self) -> Result<Head, NoRequest> {
        if !self.seat.enter(Phase::Idle) {
            return Err(NoRequest::Gone);
        }
        let mut begun = false;
        let mut late = deadline(self.limits.idle);
        let mut is_called = false;
        loop {
            match parse_head(&self.bytes) {
                Ok(Parsed::Complete(head)) => return Ok(head),
                Ok(Parsed::Incomplete) => {}
                Err(refused) => return Err(NoRequest::Refused(None, refused)),
            }
            if !begun && head::begun(&self.bytes) {
                begun = true;
                late = deadline(self.limits.head);
                if !self.seat.enter(Phase::Reading) {
                    return Err(NoRequest::Gone);
                }
            }
            if !begun {
                let bell = Some(self.seat.bell()).filter(|_| !is_called);
                match stream::wait(self.seat.stream(), late, bell) {
                    // It has come in time, however late this thread was woken.
                    Event::Something => late = late.max(deadline(PART)),
                    Event::Bell => {
                        is_called = true;
                        late = late.min(deadline(self.seat.last_call()));
                        continue;
                    }
                    Event::Nothing => {
                        self.linger(PART);
                        return Err(NoRequest::Gone);
                    }
                }
            }
            match stream::read(self.seat.stream(), &mut self.bytes, late) {
                Arrival::Bytes(_) => {}
                Arrival::Late if begun => {
                    return Err(NoRequest::Refused(None, Refusal::RequestTimeout.into()));
                }
                Arrival::Late | Arrival::Never => return Err(NoRequest::Gone),
            }
        }
    }

    /// Reads on until the body is there.
    fn read_body(&mut self, head: &Head) -> Arrival {
        let interim = b"HTTP/1.1 100 Continue\r\n\r\n";
        let may_go_on =
            self.seat.enter(Phase::Reading) && (!head.expects_continue || self.send(interim, &[]));
        if !may_go_on {
            return Arrival::Never;
        }
        let late = deadline(self.limits.body);
        loop {
            let arrival = stream::read(self.seat.stream(), &mut self.bytes, late);
            let there = self.bytes.len() >= head.body_length;
            if there || !matches!(arrival, Arrival::Bytes(_)) {
                return arrival;
            }
        }
    }

    /// Whether a drain has begun and everything that had come by then was answered.
    fn is_over(&mut self) -> bool {
        if !self.seat.is_draining() {
            return false;
        }
        let unread = || self.seat.stream().unread().unwrap_or_default();
        let there = || self.taken + self.bytes.len() as u64 + unread();
        let due = *self.due.get_or_insert_with(there);
        self.taken >= due
    }

    /// Decides, which may panic: that is a fault of ours, and costs the peer this request only.
    fn decide(&self, decide: impl FnOnce(&dyn Respond) -> Answer) -> Answer {
        self.unless_panic(decide)
            .or_else(|| self.unless_panic(|it| it.refuse(None, Refusal::Internal.into())))
            .unwrap_or_else(Answer::bare)
    }

    /// What a panic leaves behind is not looked at again: `Respond` keeps no state of ours.
    fn unless_panic(&self, decide: impl FnOnce(&dyn Respond) -> Answer) -> Option<Answer> {
        let answer = catch_unwind(AssertUnwindSafe(|| decide(self.respond))).ok();
        if answer.is_none() {
            log::error!(route = "-"; "bug");
        }
        answer
    }

    fn write(&self, answer: Answer, is_head: bool, close: bool) -> Next {
        let (head, body) = answer.into_parts(is_head, close);
        let written = self.send(&head, &body);
        if written && close {
            self.linger(LINGER);
        }
        if written && !close { Next::Request } else { Next::End }
    }

    /// Sends all of it, a large answer in as many turns of the time for writing as it has parts.
    fn send(&self, head: &[u8], body: &[u8]) -> bool {
        let turns = u32::try_from(body.len() / WRITE_PART).unwrap_or(u32::MAX);
        let time = self.limits.write.saturating_mul(turns.saturating_add(1));
        stream::write(self.seat.stream(), [head, body], deadline(time))
    }

    /// Says that nothing more will come, and lets the peer finish.
    fn linger(&self, time: Duration) {
        let late = deadline(time);
        let mut discarded = Vec::new();
        let mut total = 0;
        if self.seat.stream().shutdown(Shutdown::Write).is_err() {
            return;
        }
        while let Arrival::Bytes(count) = stream::read(self.seat.stream(), &mut discarded, late) {
            discarded.clear();
            total += count;
            if total > LINGER_BYTES {
                return;
            }
        }
    }
}
