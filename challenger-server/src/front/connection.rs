//! The thread of one connection: does what its [`Exchange`] asks for, until either side ends it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use challenger_proto::Refusal;

use super::exchange::Exchange;
use super::stream::{self, Arrival};
use super::table::{Phase, Slot};
use super::{Answer, Limits, Respond};
use crate::os;

/// Serves a connection until either side ends it.
pub(super) fn serve(slot: &Slot, respond: &dyn Respond, limits: &Limits) {
    let socket = slot.socket();
    let mut buffer = [0; 8 * 1024];
    let mut exchange = Exchange::begin(limits, Instant::now());
    loop {
        exchange = match exchange {
            Exchange::Read(reading) => {
                let bell = reading.is_idle().then(|| slot.bell());
                match stream::read(socket, &mut buffer, reading.until(), bell) {
                    Arrival::Bytes(bytes) => reading.received(bytes, Instant::now()),
                    Arrival::Bell => reading.last_call(Instant::now()),
                    Arrival::Late => reading.late(Instant::now()),
                    Arrival::Never => return,
                }
            }
            Exchange::Decide(request, mut deciding) => {
                if !slot.enter(Phase::Deciding) {
                    return;
                }
                let answer = decide(respond, |respond| respond.respond(request, slot));
                if !slot.enter(Phase::Waiting) {
                    return;
                }
                if slot.is_draining() {
                    deciding.drain(stream::unread(socket));
                }
                deciding.answered(answer, os::now(), Instant::now())
            }
            Exchange::Refuse(request, refused, deciding) => {
                let answer = decide(respond, |respond| respond.refuse(request.as_ref(), refused));
                deciding.answered(answer, os::now(), Instant::now())
            }
            Exchange::Write(writing) => {
                if !stream::write(socket, writing.parts(), writing.until()) {
                    return;
                }
                writing.written(Instant::now())
            }
            Exchange::Linger { until, bytes_max } => {
                return stream::linger(socket, until, bytes_max);
            }
        }
    }
}

/// Decides. A panic is a fault of ours, and costs the peer this request only.
fn decide(respond: &dyn Respond, decide: impl FnOnce(&dyn Respond) -> Answer) -> Answer {
    unless_panic(respond, decide)
        .or_else(|| unless_panic(respond, |it| it.refuse(None, Refusal::Internal.into())))
        .unwrap_or_else(Answer::bare)
        .sendable()
}

/// The answer, unless deciding panics. No state of ours outlives a panic in `Respond`.
fn unless_panic(
    respond: &dyn Respond,
    decide: impl FnOnce(&dyn Respond) -> Answer,
) -> Option<Answer> {
    let answer = catch_unwind(AssertUnwindSafe(|| decide(respond))).ok();
    if answer.is_none() {
        log::error!(route = "-"; "bug");
    }
    answer
}
