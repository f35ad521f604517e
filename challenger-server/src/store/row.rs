//! Rows as both databases keep them, in plain numbers, texts and bytes, and their conversion from
//! and to the types of the core. Corrupt columns are noticed here.

#[cfg(test)]
mod tests;

use challenger_proto::address::Address;
use challenger_proto::machine::{
    Challenge, LastFailure, Progress, RowVersion, Solution, Validation,
};
use challenger_proto::oauth::{
    AuthorizationRequest, Client, ClientId, ClientName, CodeChallenge, Grant, HashedSecret,
    RedirectUri,
};
use challenger_proto::secret::{ClientSecretDigest, CodeDigest, NonceDigest, Salt, TokenDigest};
use challenger_proto::store::{Account, Balance, MessageBudget};
use challenger_proto::{FailureKind, Span, Timestamp};

mod columns;
mod earlier;
mod sql;

pub(super) use self::columns::{
    ChangingColumns, ClientRow, ClientSummaryRow, FixedColumns, GrantRow, LedgerRow, StatisticRow,
};
pub(super) use self::sql::Dialect;
use super::{ClientSummary, StoreError};

/// A row of `validations`.
pub(super) struct ValidationRow {
    pub(super) changing: ChangingColumns,
    pub(super) fixed: FixedColumns,
}

impl TryFrom<ClientRow> for Client {
    type Error = StoreError;

    fn try_from(row: ClientRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: client_id("clients.id", row.id)?,
            redirect_uri: redirect_uri("clients.redirect_uri", &row.redirect_uri)?,
            secret: HashedSecret {
                salt: bytes("clients.secret_salt", row.secret_salt.as_slice())?,
                digest: ClientSecretDigest::from_bytes(bytes(
                    "clients.secret_digest",
                    row.secret_digest.as_slice(),
                )?),
            },
            messages_per_day: messages_per_day(row.messages_per_day)?,
            open: row.open,
            name: name("clients.name", row.name)?,
            disabled: row.disabled,
            earlier_secret: match row.earlier_until {
                None => None,
                Some(until) => Some((
                    HashedSecret {
                        salt: bytes("clients.earlier_salt", row.earlier_salt.as_deref())?,
                        digest: ClientSecretDigest::from_bytes(bytes(
                            "clients.earlier_digest",
                            row.earlier_digest.as_deref(),
                        )?),
                    },
                    timestamp("clients.earlier_until", until)?,
                )),
            },
        })
    }
}

impl TryFrom<ClientSummaryRow> for ClientSummary {
    type Error = StoreError;

    fn try_from(row: ClientSummaryRow) -> Result<Self, StoreError> {
        let total = |column, number: i64| number.try_into().map_err(|_| corrupt(column));
        Ok(Self {
            id: client_id("clients.id", row.id)?,
            redirect_uri: redirect_uri("clients.redirect_uri", &row.redirect_uri)?,
            validations: total("clients.validations_collected", row.validations)?,
            grants: total("clients.grants_collected", row.grants)?,
            is_being_deleted: row.is_being_deleted,
            messages_per_day: messages_per_day(row.messages_per_day)?,
            open: row.open,
            name: name("clients.name", row.name)?,
            disabled: row.disabled,
            created: optional_timestamp("clients.created", row.created)?,
            earlier_secret_until: optional_timestamp("clients.earlier_until", row.earlier_until)?,
        })
    }
}

impl From<&Validation> for FixedColumns {
    fn from(validation: &Validation) -> Self {
        Self {
            client: validation.client.number(),
            expires: to_seconds(validation.expires),
            redirect_uri: validation.redirect_uri.as_str().to_owned(),
            prefill: validation.prefill.as_ref().map(Address::to_json_text),
            read_only: validation.read_only,
            request_uri_until: validation.request_uri_until.map(to_seconds),
            created: validation.created.map(to_seconds),
            client_name: validation.client_name.as_ref().map(|it| it.as_str().to_owned()),
        }
    }
}

impl From<&Validation> for ChangingColumns {
    fn from(validation: &Validation) -> Self {
        let mut row = Self {
            id: validation.id.as_bytes().to_vec(),
            version: validation.version.0,
            addresses_left: validation.addresses_left.into(),
            refunds_left: validation.refunds_left.into(),
            earlier: earlier::to_text(&validation.earlier),
            // Servers that do not know this column yet leave it as it is.
            names_redirect_uri: true,
            ..Self::default()
        };
        if let Some(request) = &validation.authorization {
            row.authorize(request);
        }
        if let Some(LastFailure { kind, at }) = validation.last_failure {
            row.failure = Some(kind.name().to_owned());
            row.failed_at = Some(to_seconds(at));
        }
        row.progress = match &validation.progress {
            Progress::Open => "open",
            Progress::Challenged(challenge) => {
                row.challenge(challenge);
                "challenged"
            }
            Progress::Solved(solution) => {
                row.solve(solution);
                "solved"
            }
            Progress::Redeemed { solution, token, at } => {
                row.solve(solution);
                row.token = Some(token.as_bytes().to_vec());
                row.redeemed_at = Some(to_seconds(*at));
                "redeemed"
            }
            Progress::Revoked(solution) => {
                row.solve(solution);
                "revoked"
            }
        }
        .to_owned();
        row
    }
}

impl ChangingColumns {
    fn authorize(&mut self, request: &AuthorizationRequest) {
        self.authorized = true;
        self.state.clone_from(&request.state);
        self.scope.clone_from(&request.scope);
        self.names_redirect_uri = request.names_redirect_uri;
        if let Some(challenge) = &request.code_challenge {
            self.code_challenge = Some(challenge.value().to_owned());
            self.code_challenge_method = Some(challenge.method().to_owned());
        }
    }

    fn challenge(&mut self, challenge: &Challenge) {
        self.address = Some(challenge.address.to_json_text());
        self.salt = Some(challenge.salt.as_bytes().to_vec());
        self.sent_at = challenge.sent_at.map(to_seconds);
        self.transmissions_left = Some(challenge.transmissions_left.into());
        self.attempts_left = Some(challenge.attempts_left.into());
    }

    fn solve(&mut self, solution: &Solution) {
        self.address = Some(solution.address.to_json_text());
        self.salt = Some(solution.salt.as_bytes().to_vec());
        self.solved_at = Some(to_seconds(solution.at));
        self.renewed_at = Some(to_seconds(solution.renewed_at));
        self.code = Some(solution.code.as_bytes().to_vec());
    }
}

impl TryFrom<ValidationRow> for Validation {
    type Error = StoreError;

    fn try_from(row: ValidationRow) -> Result<Self, StoreError> {
        let ValidationRow { changing, fixed } = row;
        let prefill = fixed.prefill.as_deref();
        Ok(Self {
            id: NonceDigest::from_bytes(bytes("validations.id", changing.id.as_slice())?),
            client: client_id("validations.client", fixed.client)?,
            version: RowVersion(changing.version),
            created: optional_timestamp("validations.created", fixed.created)?,
            expires: timestamp("validations.expires", fixed.expires)?,
            redirect_uri: redirect_uri("validations.redirect_uri", &fixed.redirect_uri)?,
            client_name: name("validations.client_name", fixed.client_name)?,
            prefill: prefill.map(|text| address("validations.prefill", text)).transpose()?,
            read_only: fixed.read_only,
            authorization: changing.authorization()?,
            request_uri_until: optional_timestamp(
                "validations.request_uri_until",
                fixed.request_uri_until,
            )?,
            addresses_left: count("validations.addresses_left", changing.addresses_left)?,
            refunds_left: count("validations.refunds_left", changing.refunds_left)?,
            last_failure: changing.last_failure()?,
            earlier: earlier::from_text(changing.earlier.as_deref())
                .ok_or_else(|| corrupt("validations.earlier"))?,
            progress: changing.progress()?,
        })
    }
}

impl ChangingColumns {
    fn authorization(&self) -> Result<Option<AuthorizationRequest>, StoreError> {
        if !self.authorized {
            return Ok(None);
        }
        let code_challenge = match (&self.code_challenge_method, &self.code_challenge) {
            (None, None) => None,
            (Some(method), Some(value)) => Some(
                CodeChallenge::from_parts(method, value)
                    .ok_or_else(|| corrupt("validations.code_challenge"))?,
            ),
            (Some(_), None) => return Err(corrupt("validations.code_challenge")),
            (None, Some(_)) => return Err(corrupt("validations.code_challenge_method")),
        };
        Ok(Some(AuthorizationRequest {
            state: self.state.clone(),
            scope: self.scope.clone(),
            code_challenge,
            names_redirect_uri: self.names_redirect_uri,
        }))
    }

    fn last_failure(&self) -> Result<Option<LastFailure>, StoreError> {
        let Some(name) = &self.failure else { return Ok(None) };
        let kind = FailureKind::parse(name).ok_or_else(|| corrupt("validations.failure"))?;
        Ok(Some(LastFailure { kind, at: timestamp("validations.failed_at", self.failed_at)? }))
    }

    fn progress(&self) -> Result<Progress, StoreError> {
        Ok(match self.progress.as_str() {
            "open" => Progress::Open,
            "challenged" => Progress::Challenged(self.challenged()?),
            "solved" => Progress::Solved(self.solution()?),
            "redeemed" => Progress::Redeemed {
                solution: self.solution()?,
                token: TokenDigest::from_bytes(bytes("validations.token", self.token.as_deref())?),
                at: timestamp("validations.redeemed_at", self.redeemed_at)?,
            },
            "revoked" => Progress::Revoked(self.solution()?),
            _ => return Err(corrupt("validations.progress")),
        })
    }

    fn challenged(&self) -> Result<Challenge, StoreError> {
        Ok(Challenge {
            address: address("validations.address", self.address.as_deref())?,
            salt: Salt::from_bytes(bytes("validations.salt", self.salt.as_deref())?),
            sent_at: optional_timestamp("validations.sent_at", self.sent_at)?,
            transmissions_left: count("validations.transmissions_left", self.transmissions_left)?,
            attempts_left: count("validations.attempts_left", self.attempts_left)?,
        })
    }

    fn solution(&self) -> Result<Solution, StoreError> {
        Ok(Solution {
            address: address("validations.address", self.address.as_deref())?,
            salt: Salt::from_bytes(bytes("validations.salt", self.salt.as_deref())?),
            at: timestamp("validations.solved_at", self.solved_at)?,
            renewed_at: timestamp("validations.renewed_at", self.renewed_at)?,
            code: CodeDigest::from_bytes(bytes("validations.code", self.code.as_deref())?),
        })
    }
}

impl From<&Grant> for GrantRow {
    fn from(grant: &Grant) -> Self {
        Self {
            token: grant.token.as_bytes().to_vec(),
            client: grant.client.number(),
            address: grant.address.to_json_text(),
            valid_until: to_seconds(grant.valid_until),
            expires: to_seconds(grant.expires),
        }
    }
}

impl TryFrom<GrantRow> for Grant {
    type Error = StoreError;

    fn try_from(row: GrantRow) -> Result<Self, StoreError> {
        Ok(Self {
            token: TokenDigest::from_bytes(bytes("grants.token", row.token.as_slice())?),
            client: client_id("grants.client", row.client)?,
            address: address("grants.address", row.address.as_str())?,
            valid_until: timestamp("grants.valid_until", row.valid_until)?,
            expires: timestamp("grants.expires", row.expires)?,
        })
    }
}

impl From<&Balance> for LedgerRow {
    fn from(balance: &Balance) -> Self {
        Self {
            account: balance.account.to_text(),
            spent: balance.spent.into(),
            proved: balance.proved.into(),
            messages: balance.budget.messages.into(),
            period: to_length(balance.budget.period),
            ends: to_seconds(balance.ends),
        }
    }
}

impl TryFrom<LedgerRow> for Balance {
    type Error = StoreError;

    fn try_from(row: LedgerRow) -> Result<Self, StoreError> {
        let number = |column, number: i64| number.try_into().map_err(|_| corrupt(column));
        let period = row.period.try_into().map_err(|_| corrupt("ledger.period"))?;
        Ok(Self {
            account: Account::parse(&row.account).ok_or_else(|| corrupt("ledger.account"))?,
            spent: number("ledger.spent", row.spent)?,
            proved: number("ledger.proved", row.proved)?,
            budget: MessageBudget {
                messages: number("ledger.messages", row.messages)?,
                period: Span::seconds(period),
            },
            ends: timestamp("ledger.ends", row.ends)?,
        })
    }
}

// From the core's types to plain values.

/// Seconds as a signed number, which [`Timestamp::NEVER`] was made for.
pub(super) fn to_seconds(timestamp: Timestamp) -> i64 {
    i64::try_from(timestamp.seconds()).unwrap_or(i64::MAX)
}

/// The longest period: so long that statements can add two of them to a time.
const PERIOD_MAX: i64 = i64::MAX / 4;

/// Seconds of a period.
pub(super) fn to_length(period: Span) -> i64 {
    i64::try_from(period.as_seconds()).unwrap_or(PERIOD_MAX).min(PERIOD_MAX)
}

// And back. The values may come from columns that can be NULL, but here they must not be.

/// Reads an address.
pub(super) fn address<'a>(
    column: &'static str,
    text: impl Into<Option<&'a str>>,
) -> Result<Address, StoreError> {
    text.into()
        .and_then(|text| serde_json::from_str(text).ok())
        .and_then(|json| Address::from_json(&json))
        .ok_or_else(|| corrupt(column))
}

/// Reads bytes of a fixed number.
pub(super) fn bytes<'a, const N: usize>(
    column: &'static str,
    bytes: impl Into<Option<&'a [u8]>>,
) -> Result<[u8; N], StoreError> {
    bytes.into().and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| corrupt(column))
}

/// Reads the number of a client from a column of any table.
pub(super) fn client_id(column: &'static str, number: i64) -> Result<ClientId, StoreError> {
    ClientId::new(number).ok_or_else(|| corrupt(column))
}

fn count(column: &'static str, number: impl Into<Option<i16>>) -> Result<u8, StoreError> {
    number.into().and_then(|number| number.try_into().ok()).ok_or_else(|| corrupt(column))
}

fn messages_per_day(number: Option<i64>) -> Result<Option<u32>, StoreError> {
    let read = |number: i64| number.try_into().map_err(|_| corrupt("clients.messages_per_day"));
    number.map(read).transpose()
}

fn name(column: &'static str, text: Option<String>) -> Result<Option<ClientName>, StoreError> {
    text.map(|text| ClientName::parse(&text).ok_or_else(|| corrupt(column))).transpose()
}

pub(super) fn redirect_uri(column: &'static str, text: &str) -> Result<RedirectUri, StoreError> {
    RedirectUri::parse_registered(text).map_err(|_| corrupt(column))
}

fn timestamp(
    column: &'static str,
    seconds: impl Into<Option<i64>>,
) -> Result<Timestamp, StoreError> {
    seconds
        .into()
        .and_then(|seconds| seconds.try_into().ok())
        .map(Timestamp::from_seconds)
        .ok_or_else(|| corrupt(column))
}

pub(super) fn optional_timestamp(
    column: &'static str,
    seconds: Option<i64>,
) -> Result<Option<Timestamp>, StoreError> {
    seconds.map(|seconds| timestamp(column, seconds)).transpose()
}

/// The error for a column that we never wrote so.
pub(super) fn corrupt(column: &'static str) -> StoreError {
    StoreError(format!("{column} of a row holds what it must not"))
}
