//! How histories begin, and the steps that they are made of.

use challenger_proto::address::Destination;
use challenger_proto::http::Request;
use challenger_proto::store::MessageBudget;
use challenger_proto::{Service, Span};

use super::{A, A_TAGGED, B, JSON, STATE, VERIFIER};
use challenger_testkit::escape;
use challenger_testkit::world;

/// How a validation begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// Without an address.
    Blank,
    /// With the first address as a proposal; people read pages here.
    Proposed,
    /// With the first address and no other; people read pages here.
    Fixed,
    /// With the first address as a proposal, which is then spelled in two ways.
    Spelled,
    /// Without an address, and with fewer messages for all than a validation has.
    Scarce,
    /// With a request that the client pushed, and a `request_uri` that ends before it does.
    Pushed,
    /// With a request that a browser brought; people read pages here.
    Direct,
}

/// One step of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Letter {
    Authorize,
    Challenge(&'static str),
    /// The client gives its token up.
    Discard,
    /// The helper reports that the message sent last failed.
    Fail,
    /// The helper reports that a message before that failed.
    FailLate,
    Redeem,
    /// After the grace of an impatient client.
    RedeemLate,
    SolveRight,
    SolveWrong,
    /// Beyond the retransmission interval.
    Wait,
}

impl Start {
    /// The steps of its histories. Each more makes many more of them, so none has all.
    pub(crate) const fn letters(self) -> &'static [Letter] {
        use Letter::{
            Authorize, Challenge, Discard, Fail, FailLate, Redeem, RedeemLate, SolveRight,
            SolveWrong, Wait,
        };
        match self {
            Self::Blank | Self::Proposed | Self::Fixed => &[
                Authorize,
                Challenge(A),
                Challenge(B),
                Fail,
                Redeem,
                RedeemLate,
                SolveRight,
                SolveWrong,
                Wait,
            ],
            Self::Spelled => {
                &[Challenge(A), Challenge(A_TAGGED), Fail, FailLate, SolveRight, SolveWrong, Wait]
            }
            Self::Scarce => {
                &[Challenge(A), Challenge(A_TAGGED), Fail, SolveRight, SolveWrong, Wait]
            }
            Self::Pushed | Self::Direct => &[
                Authorize,
                Challenge(A),
                Discard,
                Fail,
                Redeem,
                RedeemLate,
                SolveRight,
                SolveWrong,
                Wait,
            ],
        }
    }

    /// The service that people meet. The windows of a scarce one end within a validation's time.
    pub(super) fn service(self) -> Service {
        let mut service = world::service(world::small_limits());
        if matches!(self, Self::Proposed | Self::Pushed) {
            service.issuer = Some("https://challenger.example".into());
        }
        if self == Self::Pushed {
            service.limits.retransmission_interval = Span::seconds(150);
            service.limits.validation_duration = Span::seconds(320);
        }
        if self == Self::Scarce {
            let budget =
                |messages, seconds| MessageBudget { messages, period: Span::seconds(seconds) };
            service.budgets.address = Some(budget(2, 100));
            let domain = Destination::domain("example.com").unwrap();
            service.budgets.destinations.insert(domain, budget(3, 110));
        }
        service
    }

    /// The request that it begins with, or that a browser brings, without the first parameters.
    pub(super) fn asked(self) -> String {
        let uri = escape(world::REDIRECT);
        match self {
            Self::Proposed => format!("&redirect_uri={uri}&code_challenge={VERIFIER}"),
            Self::Pushed => format!("&state=a&redirect_uri={uri}&code_challenge={VERIFIER}"),
            _ => format!("&state={}", escape(STATE)),
        }
    }

    /// The request that opens it.
    pub(super) fn request(self) -> Request {
        let setup = |body| world::setup(world::SECRET, body);
        match self {
            Self::Blank | Self::Scarce => setup(""),
            Self::Proposed | Self::Spelled => setup(r#"{"CONTACT_EMAIL":"ada@example.com"}"#),
            Self::Fixed => setup(r#"{"CONTACT_EMAIL":"ada@example.com","read_only":true}"#),
            Self::Pushed => world::push(&world::CLIENTS[0], &self.asked()),
            Self::Direct => world::begin_direct(1, &self.asked(), JSON),
        }
    }
}
