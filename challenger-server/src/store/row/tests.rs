//! Tests of `row`.

use proptest::prelude::*;

use challenger_proto::machine::Earlier;
use challenger_proto::secret::AddressDigest;

use super::*;

fn any_time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        any::<u64>().prop_map(Timestamp::from_seconds),
        Just(Timestamp::EPOCH),
        Just(Timestamp::NEVER),
    ]
}

fn any_address() -> impl Strategy<Value = Address> {
    proptest::collection::btree_map("[A-Z_\"\\\\]{1,9}", "[^\0]{0,20}[a-zé]", 1..4)
        .prop_map(|fields| Address::new(fields).unwrap())
}

fn any_request() -> impl Strategy<Value = AuthorizationRequest> {
    let challenge = prop_oneof![
        "[A-Za-z0-9._~-]{43,128}".prop_map(|text| ("plain", text)),
        "[A-Za-z0-9_-]{43}".prop_map(|text| ("S256", text)),
    ]
    .prop_map(|(method, text)| CodeChallenge::from_parts(method, &text).unwrap());
    let text = || proptest::option::of(any::<String>());
    (text(), text(), proptest::option::of(challenge), any::<bool>()).prop_map(
        |(state, scope, code_challenge, names_redirect_uri)| AuthorizationRequest {
            state,
            scope,
            code_challenge,
            names_redirect_uri,
        },
    )
}

fn any_progress() -> impl Strategy<Value = Progress> {
    let salt = || any::<[u8; 32]>().prop_map(Salt::from_bytes);
    let challenge =
        (any_address(), salt(), proptest::option::of(any_time()), any::<u8>(), any::<u8>())
            .prop_map(|(address, salt, sent_at, transmissions_left, attempts_left)| Challenge {
                address,
                salt,
                sent_at,
                transmissions_left,
                attempts_left,
            });
    let solution = || {
        let code = any::<[u8; 32]>().prop_map(CodeDigest::from_bytes);
        (any_address(), salt(), any_time(), any_time(), code).prop_map(
            |(address, salt, at, renewed_at, code)| Solution {
                address,
                salt,
                at,
                renewed_at,
                code,
            },
        )
    };
    let token = any::<[u8; 32]>().prop_map(TokenDigest::from_bytes);
    prop_oneof![
        Just(Progress::Open),
        challenge.prop_map(Progress::Challenged),
        solution().prop_map(Progress::Solved),
        (solution(), token, any_time()).prop_map(|(solution, token, at)| Progress::Redeemed {
            solution,
            token,
            at
        }),
        solution().prop_map(Progress::Revoked),
    ]
}

fn any_name() -> impl Strategy<Value = ClientName> {
    "[A-Za-zÄ\\p{Han}']{1,60}".prop_map(|name| ClientName::parse(&name).unwrap())
}

fn any_earlier() -> impl Strategy<Value = Vec<Earlier>> {
    let digests = any::<[[u8; 32]; 3]>();
    let one = (digests, proptest::option::of(any_time()), any::<(u8, u8)>()).prop_map(
        |([address, mailbox, salt], sent_at, (transmissions_left, attempts_left))| Earlier {
            address: AddressDigest::from_bytes(address),
            mailbox: AddressDigest::from_bytes(mailbox),
            salt: Salt::from_bytes(salt),
            sent_at,
            transmissions_left,
            attempts_left,
        },
    );
    proptest::collection::vec(one, 0..4)
}

fn any_validation() -> impl Strategy<Value = Validation> {
    let prefill = (proptest::option::of(any_address()), any::<bool>());
    let authorization = (proptest::option::of(any_request()), proptest::option::of(any_time()));
    let identity = (any::<[u8; 32]>(), 1..=i64::MAX, 1..=i64::MAX, any_time());
    let failure = (0..FailureKind::ALL.len(), any_time());
    let told = (any_time(), any_name(), failure).prop_map(|(created, name, (kind, at))| {
        (created, name, LastFailure { kind: FailureKind::ALL[kind], at })
    });
    let budget = (any::<(u8, u8)>(), any_earlier());
    let told = proptest::option::of(told);
    (identity, prefill, authorization, budget, any_progress(), told).prop_map(
        |(
            (id, client, version, expires),
            (prefill, read_only),
            (authorization, request_uri_until),
            (left, earlier),
            progress,
            told,
        )| {
            Validation {
                id: NonceDigest::from_bytes(id),
                client: ClientId::new(client).unwrap(),
                version: RowVersion(version),
                created: told.as_ref().map(|it| it.0),
                expires,
                redirect_uri: RedirectUri::parse("https://client.example/cb?x=1").unwrap(),
                client_name: told.as_ref().map(|it| it.1.clone()),
                prefill,
                read_only,
                authorization,
                request_uri_until,
                addresses_left: left.0,
                refunds_left: left.1,
                last_failure: told.map(|it| it.2),
                earlier,
                progress,
            }
        },
    )
}

fn row(validation: &Validation) -> ValidationRow {
    ValidationRow { changing: validation.into(), fixed: validation.into() }
}

/// The error of a row after a change.
fn error_after(validation: &Validation, change: impl FnOnce(&mut ValidationRow)) -> String {
    let mut row = row(validation);
    change(&mut row);
    Validation::try_from(row).map_or_else(|error| error.0, |_| String::new())
}

proptest! {
    #[test]
    fn validations_make_the_round_trip(validation in any_validation()) {
        prop_assert_eq!(Validation::try_from(row(&validation)), Ok(validation));
    }

    #[test]
    fn corrupt_rows_are_refused_by_column(validation in any_validation()) {
        let says = |change: fn(&mut ValidationRow), column: &str| {
            error_after(&validation, change).starts_with(&format!("validations.{column} "))
        };
        prop_assert!(says(|row| row.changing.id.truncate(31), "id"));
        prop_assert!(says(|row| row.fixed.client = 0, "client"));
        prop_assert!(says(|row| row.fixed.expires = -1, "expires"));
        prop_assert!(says(|row| row.fixed.created = Some(-1), "created"));
        prop_assert!(says(|row| row.fixed.client_name = Some(" ".into()), "client_name"));
        prop_assert!(says(|row| row.changing.failure = Some("x".into()), "failure"));
        let no_time = |row: &mut ValidationRow| {
            row.changing.failure = Some("later".into());
            row.changing.failed_at = None;
        };
        prop_assert!(says(no_time, "failed_at"));
        prop_assert!(says(|row| row.fixed.redirect_uri.clear(), "redirect_uri"));
        prop_assert!(says(|row| row.fixed.prefill = Some("[]".into()), "prefill"));
        prop_assert!(says(|row| row.changing.addresses_left = 256, "addresses_left"));
        prop_assert!(says(|row| row.changing.refunds_left = -1, "refunds_left"));
        for text in ["", "{}", "[{}]", r#"[{"address":"","sent_at":null}]"#] {
            let says = error_after(&validation, |row| row.changing.earlier = Some(text.into()));
            prop_assert!(says.starts_with("validations.earlier "), "{}", text);
        }
        prop_assert!(says(|row| row.changing.progress = "Open".into(), "progress"));
        let solved = validation.is_solved();
        let challenged = matches!(validation.progress, Progress::Challenged(_));
        let no_messages = says(|row| row.changing.transmissions_left = None, "transmissions_left");
        prop_assert_eq!(no_messages, challenged);
        let no_attempts = says(|row| row.changing.attempts_left = Some(999), "attempts_left");
        prop_assert_eq!(no_attempts, challenged);
        prop_assert_eq!(says(|row| row.changing.code = None, "code"), solved);
        prop_assert_eq!(says(|row| row.changing.solved_at = None, "solved_at"), solved);
        prop_assert_eq!(says(|row| row.changing.renewed_at = None, "renewed_at"), solved);
        let redeemed = matches!(validation.progress, Progress::Redeemed { .. });
        prop_assert_eq!(says(|row| row.changing.token = None, "token"), redeemed);
        prop_assert_eq!(says(|row| row.changing.redeemed_at = None, "redeemed_at"), redeemed);
        let challenged_or_later = validation.progress != Progress::Open;
        prop_assert_eq!(says(|row| row.changing.salt = Some(vec![]), "salt"), challenged_or_later);
        prop_assert_eq!(says(|row| row.changing.address = None, "address"), challenged_or_later);
    }
}
