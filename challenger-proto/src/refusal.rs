//! Every way we say no. What each looks like on the wire stands in `answer.rs`.

use alloc::string::String;
use core::fmt;

/// A reason to refuse a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// No address was ever given to the validation whose code is presented.
    AddressNeverGiven,
    /// The address may not be changed, by order of the client.
    AddressReadOnly,
    /// `/info` was called with something that is not a bearer token.
    BearerMalformed,
    /// `/info` was called without a bearer token.
    BearerMissing,
    /// The body is longer than `BODY_MAX`, as sent or inflated.
    BodyTooLarge,
    /// A client presented the wrong secret at `/token`.
    ClientSecretWrong,
    /// No such client, or at `/setup` the wrong secret.
    ClientUnknown,
    /// The authorization code is past its time.
    CodeExpired,
    /// The authorization code is malformed, or not the one that was given out.
    CodeMismatch,
    /// The authorization code was redeemed before.
    CodeSpent,
    /// The body is not in the content encoding it claims.
    CompressionInvalid,
    /// `Content-Length` is not a number, or there are two.
    ContentLengthMalformed,
    /// Too many requests moved the same row at the same time.
    Contention,
    /// No such path.
    EndpointUnknown,
    /// An expectation other than `100-continue`.
    ExpectationUnknown,
    /// A `grant_type` other than `authorization_code`.
    GrantTypeUnsupported,
    /// No such access token, or an expired one.
    GrantUnknown,
    /// The request line or a header field breaks RFC 9112.
    HeadMalformed,
    /// The request head is longer than `HEAD_MAX`.
    HeadTooLarge,
    /// The helper could not deliver the message.
    HelperFailed,
    /// All helpers are at work.
    HelpersBusy,
    /// A fault of ours.
    Internal,
    /// The body is not the JSON that is wanted.
    JsonInvalid,
    /// The path exists, but not for this method.
    MethodInvalid,
    /// A parameter has a value that is not allowed.
    ParameterMalformed,
    /// A required parameter is missing.
    ParameterMissing,
    /// The PIN is wrong, or cannot be judged.
    PinInvalid,
    /// At `/authorize`, another `redirect_uri` than the registered one.
    RedirectUriForeign,
    /// At `/token`, another `redirect_uri` than the registered one.
    RedirectUriMismatch,
    /// The request did not arrive in time.
    RequestTimeout,
    /// The store could not be read.
    StorageUnreadable,
    /// The store could not be written.
    StorageUnwritable,
    /// The request target is longer than `TARGET_MAX`.
    TargetTooLong,
    /// The template of a page is broken.
    TemplateBroken,
    /// A page was asked for that has no template.
    TemplateMissing,
    /// A validation used up what it had.
    TooManyAttempts,
    /// The client has too many validations whose time is not over.
    TooManyValidations,
    /// A transfer coding, which no endpoint needs.
    TransferEncodingUnsupported,
    /// No such validation, or an expired one.
    ValidationUnknown,
    /// At `/token`, a code whose validation is unknown or expired.
    ValidationUnknownToCode,
    /// The PKCE verifier does not fit the challenge (RFC 7636 §4.6).
    VerifierMismatch,
    /// A version other than HTTP/1.0 and HTTP/1.1.
    VersionUnsupported,
}

impl Refusal {
    /// All of them, in alphabetical order.
    pub const ALL: [Self; 42] = [
        Self::AddressNeverGiven,
        Self::AddressReadOnly,
        Self::BearerMalformed,
        Self::BearerMissing,
        Self::BodyTooLarge,
        Self::ClientSecretWrong,
        Self::ClientUnknown,
        Self::CodeExpired,
        Self::CodeMismatch,
        Self::CodeSpent,
        Self::CompressionInvalid,
        Self::ContentLengthMalformed,
        Self::Contention,
        Self::EndpointUnknown,
        Self::ExpectationUnknown,
        Self::GrantTypeUnsupported,
        Self::GrantUnknown,
        Self::HeadMalformed,
        Self::HeadTooLarge,
        Self::HelperFailed,
        Self::HelpersBusy,
        Self::Internal,
        Self::JsonInvalid,
        Self::MethodInvalid,
        Self::ParameterMalformed,
        Self::ParameterMissing,
        Self::PinInvalid,
        Self::RedirectUriForeign,
        Self::RedirectUriMismatch,
        Self::RequestTimeout,
        Self::StorageUnreadable,
        Self::StorageUnwritable,
        Self::TargetTooLong,
        Self::TemplateBroken,
        Self::TemplateMissing,
        Self::TooManyAttempts,
        Self::TooManyValidations,
        Self::TransferEncodingUnsupported,
        Self::ValidationUnknown,
        Self::ValidationUnknownToCode,
        Self::VerifierMismatch,
        Self::VersionUnsupported,
    ];

    /// The refusal together with what it is about: the name of a parameter, a path, a template.
    pub fn about(self, detail: impl Into<String>) -> Refused {
        Refused { refusal: self, detail: Some(detail.into()) }
    }
}

/// A refusal with the `detail` that its answer shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub refusal: Refusal,
    /// What it is about; it may repeat what the peer sent, and so never reaches a log.
    pub detail: Option<String>,
}

/// Without the detail: the path that it repeats may hold a nonce.
impl fmt::Debug for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Refused").field(&self.refusal).finish()
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, detail: None }
    }
}
