//! Random requests, rows and services.

use std::num::NonZeroU8;

use challenger_proto::address::Address;
use challenger_proto::http::{Method, Request};
use challenger_proto::machine::{
    Challenge, Earlier, LastFailure, Limits, Progress, RowVersion, Solution, Validation,
};
use challenger_proto::oauth::{
    AuthorizationRequest, Client, ClientId, ClientName, CodeChallenge, Grant, GrantSerial,
    HashedSecret, RedirectUri,
};
use challenger_proto::secret::{AddressDigest, CodeDigest, Nonce, Salt, TokenDigest};
use challenger_proto::store::Rows;
use challenger_proto::{AddressFormat, Entropy, FailureKind, Service, Span, Timestamp};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use challenger_testkit::world;

/// One of a few nonces, so that requests and rows meet.
pub(crate) fn nonce(which: u8) -> Nonce {
    Nonce::draw(Entropy::new([which; 32]))
}

/// The nonce of a random validation.
pub(crate) fn nonce_of(row: &Validation) -> Nonce {
    [0, 1, 2].map(nonce).into_iter().find(|it| it.digest() == row.id).unwrap()
}

/// Any bytes, or what is nearly a form.
fn body() -> BoxedStrategy<Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..60),
        "(CONTACT_EMAIL|pin|code|client_id|x)=[0-9A-Za-z%+@. -]{0,60}(&[a-z_]{0,12}=.{0,20})?"
            .prop_map(String::into_bytes),
        "pin=[0-9]{8}".prop_map(String::into_bytes),
        r#"\{"CONTACT_EMAIL":"[a-z@]{0,9}"(,"read_only":(true|false|1))?\}"#
            .prop_map(String::into_bytes),
        (0_u8..3, option::of("[a-z.~-]{43}")).prop_map(|(which, verifier)| {
            let name = nonce(which).to_text();
            let code = format!("{name}-{}", "0".repeat(52));
            world::Redemption::honest(&code, verifier.as_deref()).request().body
        }),
        (1_i64..3, 0_u8..3, "(&(login_hint|address|scope|token|request)=[a-z@%0-9]{0,9})?")
            .prop_map(|(number, which, more)| {
                let party = world::Party { number, ..world::CLIENTS[0] };
                let token = format!("&token={}", nonce(which).to_text());
                world::push(&party, &(token + &more)).body
            }),
    ]
    .boxed()
}

fn target() -> BoxedStrategy<String> {
    let argument = prop_oneof![
        (0_u8..3).prop_map(|which| nonce(which).to_text()),
        "[0-9]{1,3}",
        "[^/?]{0,60}",
    ];
    let query = prop_oneof![
        Just(String::new()),
        "\\?.{0,40}",
        "\\?response_type=code&client_id=[12](&state=[a-z%0-9]{0,9})?(&scope=s)?",
        "\\?response_type=(code|token)&client_id=[12]&code_challenge=[a-z.~-]{43}",
        (0_u8..3, 1_u8..3).prop_map(|(which, client)| {
            let nonce = nonce(which).to_text();
            format!("?client_id={client}&request_uri=urn:ietf:params:oauth:request_uri:{nonce}")
        }),
    ];
    let known = "(authorize|challenge|setup|solve|config|info|terms|privacy|pp|token|robots.txt|\
                 par|status|introspect|revoke|.well-known)";
    let standard = "/(authorize|par|token|introspect|revoke|\
                    .well-known/oauth-authorization-server)";
    prop_oneof![
        1 => ".{0,60}",
        3 => (standard, query.clone()).prop_map(|(path, query)| path + &query),
        9 => (known, option::weighted(0.8, argument), query).prop_map(|(endpoint, it, query)| {
            let argument = it.map_or(String::new(), |it| format!("/{it}"));
            format!("/{endpoint}{argument}{query}")
        }),
    ]
    .boxed()
}

fn headers() -> BoxedStrategy<Vec<(String, String)>> {
    let name = prop_oneof![
        Just("Accept".to_string()),
        Just("Accept-Language".to_string()),
        Just("Authorization".to_string()),
        Just("Content-Encoding".to_string()),
        Just("If-None-Match".to_string()),
        "[A-Za-z-]{0,12}",
    ];
    let value = prop_oneof![
        Just("text/html".to_string()),
        Just("application/json".to_string()),
        Just(format!("Bearer {}", world::SECRET)),
        Just("Basic MTpzZWNyZXQ=".to_string()),
        Just("deflate".to_string()),
        "(text/html|application/json|\\*/\\*)(;q=[0-9.]{0,6})?(, ?(text/html|de)(;q=.{0,4})?)?",
        ".{0,40}",
    ];
    vec((name, value), 0..4).boxed()
}

pub(crate) fn method() -> BoxedStrategy<Method> {
    prop_oneof![
        3 => Just(Method::Get),
        5 => Just(Method::Post),
        1 => Just(Method::Head),
        1 => Just(Method::Options),
        1 => Just(Method::Other),
    ]
    .boxed()
}

pub(crate) fn request() -> BoxedStrategy<Request> {
    (method(), target(), headers(), body())
        .prop_map(|(method, target, headers, body)| Request { method, target, headers, body })
        .boxed()
}

/// A point in time around the world's beginning, or an extreme one.
pub(crate) fn time() -> BoxedStrategy<Timestamp> {
    prop_oneof![
        8 => (0_u64..400).prop_map(|offset| {
            Timestamp::from_seconds(world::START.seconds() - 200 + offset)
        }),
        1 => Just(Timestamp::EPOCH),
        1 => Just(Timestamp::NEVER),
    ]
    .boxed()
}

fn address() -> BoxedStrategy<Address> {
    prop_oneof![Just("ada@example.com"), Just("bob@example.com"), Just("a")]
        .prop_map(|value| Address::new([("CONTACT_EMAIL".into(), value.into())]).unwrap())
        .boxed()
}

fn solution() -> BoxedStrategy<Solution> {
    (address(), any::<[u8; 32]>(), time(), time())
        .prop_map(|(address, bytes, at, renewed_at)| {
            let (salt, code) = (Salt::from_bytes(bytes), CodeDigest::from_bytes(bytes));
            Solution { address, salt, at, renewed_at, code }
        })
        .boxed()
}

fn progress() -> BoxedStrategy<Progress> {
    let challenge = (address(), any::<[u8; 32]>(), option::of(time()), any::<u8>(), any::<u8>())
        .prop_map(|(address, salt, sent_at, transmissions_left, attempts_left)| Challenge {
            address,
            salt: Salt::from_bytes(salt),
            sent_at,
            transmissions_left: transmissions_left % 4,
            attempts_left: attempts_left % 4,
        });
    prop_oneof![
        Just(Progress::Open),
        challenge.prop_map(Progress::Challenged),
        solution().prop_map(Progress::Solved),
        (solution(), any::<[u8; 32]>(), time()).prop_map(|(solution, token, at)| {
            Progress::Redeemed { solution, token: TokenDigest::from_bytes(token), at }
        }),
        solution().prop_map(Progress::Revoked),
    ]
    .boxed()
}

fn authorization() -> BoxedStrategy<AuthorizationRequest> {
    let challenge = "[a-z.~-]{43}".prop_map(|it| CodeChallenge::from_parts("plain", &it).unwrap());
    (option::of(".{0,20}"), option::of(".{0,9}"), option::of(challenge), any::<bool>())
        .prop_map(|(state, scope, code_challenge, names_redirect_uri)| AuthorizationRequest {
            state,
            scope,
            code_challenge,
            names_redirect_uri,
        })
        .boxed()
}

fn earlier() -> BoxedStrategy<Earlier> {
    (any::<[u8; 32]>(), any::<[u8; 32]>(), option::of(time()), 0_u8..4, 0_u8..4)
        .prop_map(|(digest, salt, sent_at, transmissions_left, attempts_left)| Earlier {
            address: AddressDigest::from_bytes(digest),
            mailbox: AddressDigest::from_bytes(salt),
            salt: Salt::from_bytes(salt),
            sent_at,
            transmissions_left,
            attempts_left,
        })
        .boxed()
}

/// A row that may never have come to be.
pub(crate) fn validation() -> BoxedStrategy<Validation> {
    let budget = (0_u8..4, 0_u8..4, vec(earlier(), 0..3));
    let proposal = (option::of(address()), any::<bool>());
    let birth = (0_u8..3, 1_i64..3, any::<i64>(), option::of(time()), time());
    (birth, proposal, option::of(authorization()), option::of(time()), budget, progress())
        .prop_map(
            |(
                birth,
                (prefill, read_only),
                authorization,
                request_uri_until,
                (addresses_left, refunds_left, earlier),
                progress,
            )| {
                let (which, client, version, created, expires) = birth;
                Validation {
                    id: nonce(which).digest(),
                    client: ClientId::new(client).unwrap(),
                    version: RowVersion(version),
                    created,
                    expires,
                    redirect_uri: RedirectUri::parse(world::REDIRECT).unwrap(),
                    client_name: ClientName::parse("Ada's Shop").filter(|_| read_only),
                    prefill,
                    read_only,
                    authorization,
                    request_uri_until,
                    addresses_left,
                    refunds_left,
                    last_failure: created.map(|at| LastFailure { kind: FailureKind::TryLater, at }),
                    earlier,
                    progress,
                }
            },
        )
        .boxed()
}

/// Rows that may have nothing to do with each other, or with what was asked for.
pub(crate) fn loaded() -> BoxedStrategy<Rows> {
    let budget = option::of(0_u32..3);
    let flags = any::<(bool, bool)>();
    let client = (1_i64..3, budget, flags, option::of(time())).prop_map(
        |(number, messages_per_day, (open, disabled), until)| {
            let secret = |salt| HashedSecret::new(world::SECRET, Entropy::new([salt; 32]));
            let redirect_uri = RedirectUri::parse(world::REDIRECT).unwrap();
            Client {
                earlier_secret: until.map(|until| (secret(1), until)),
                messages_per_day,
                open,
                disabled,
                ..Client::new(ClientId::new(number).unwrap(), redirect_uri, secret(0))
            }
        },
    );
    let serial = (any::<i64>(), 1_i64..3);
    let grant = (serial, any::<[u8; 32]>(), address(), time(), time()).prop_map(
        |((serial, client), token, address, valid_until, expires)| {
            let client = ClientId::new(client).unwrap();
            let token = TokenDigest::from_bytes(token);
            (GrantSerial(serial), Grant { token, client, address, valid_until, expires })
        },
    );
    let count = (0_u32..4).prop_map(|count| count * 33_334);
    (option::weighted(0.8, client), option::weighted(0.9, validation()), option::of(grant), count)
        .prop_map(|(client, validation, grant, count)| Rows {
            client,
            validation,
            grant,
            count,
            balances: Vec::new(),
        })
        .boxed()
}

pub(crate) fn limits() -> BoxedStrategy<Limits> {
    let some = || (1_u8..4).prop_map(|number| NonZeroU8::new(number).unwrap());
    (0_u8..4, some(), some(), 0_u8..4, 0_u64..100)
        .prop_map(|(changes, transmissions, attempts, refunds, interval)| {
            let mut limits = world::small_limits();
            limits.address_changes = changes;
            limits.pin_transmissions = transmissions;
            limits.pin_attempts = attempts;
            limits.refunds = refunds;
            limits.retransmission_interval = Span::seconds(interval);
            limits
        })
        .boxed()
}

/// A service with or without pages, that hands addresses over in either way.
pub(crate) fn service() -> BoxedStrategy<Service> {
    (limits(), any::<bool>(), any::<bool>(), any::<bool>())
        .prop_map(|(limits, has_pages, is_plain, has_issuer)| {
            let mut service = world::service(limits);
            service.issuer = has_issuer.then(|| "https://challenger.example".into());
            if !has_pages {
                service.pages = challenger_proto::http::PageSet::default();
            }
            if is_plain {
                service.address_format = AddressFormat::Plain;
            }
            service
        })
        .boxed()
}
