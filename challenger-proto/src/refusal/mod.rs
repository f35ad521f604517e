//! The table of refusals: every way of saying no, and how each looks on the wire.

mod description;
pub(crate) mod error_code;

use alloc::string::String;
use core::fmt;

use crate::refusal::error_code::*;

// The `error` of RFC 6749 §4.1.2.1 and §5.2, and RFC 6750 §3.1.
const INVALID_CLIENT: &str = "invalid_client";
const INVALID_GRANT: &str = "invalid_grant";
const INVALID_REQUEST: &str = "invalid_request";
const INVALID_TOKEN: &str = "invalid_token";
const SERVER_ERROR: &str = "server_error";
const TEMPORARILY_UNAVAILABLE: &str = "temporarily_unavailable";
const UNAUTHORIZED_CLIENT: &str = "unauthorized_client";
const UNSUPPORTED_GRANT_TYPE: &str = "unsupported_grant_type";
const UNSUPPORTED_RESPONSE_TYPE: &str = "unsupported_response_type";

/// What a refusal becomes on the wire.
struct Entry {
    name: &'static str,
    status: u16,
    code: u16,
    oauth_error: &'static str,
    hint: &'static str,
}

/// Defines the refusals, each with its status, error code, OAuth error and hint. A hint is ASCII
/// without quotes, as RFC 6749 §5.2 demands of `error_description`.
macro_rules! refusals {
    ($(
        $(#[$doc:meta])*
        $name:ident = $status:literal, $code:ident, $oauth_error:ident, $hint:literal;
    )*) => {
        /// A reason to refuse a request.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Refusal {
            $($(#[$doc])* $name,)*
        }

        impl Refusal {
            /// All refusals, in alphabetical order.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            const fn entry(self) -> &'static Entry {
                match self {
                    $(Self::$name => &Entry {
                        name: stringify!($name),
                        status: $status,
                        code: $code,
                        oauth_error: $oauth_error,
                        hint: $hint,
                    },)*
                }
            }
        }
    };
}

refusals! {
    /// No address was ever given to the validation whose code is presented.
    AddressNeverGiven = 409, CHALLENGER_MISSING_ADDRESS, INVALID_GRANT,
        "No address was given to this validation yet.";
    /// The address may not be changed, by order of the client.
    AddressReadOnly = 403, CHALLENGER_CLIENT_FORBIDDEN_READ_ONLY, INVALID_REQUEST,
        "The address of this validation must not be changed.";
    /// `/info` was called with something that is not a bearer token.
    BearerMalformed = 403, GENERIC_PARAMETER_MALFORMED, INVALID_TOKEN,
        "The Authorization header holds no bearer token, or a malformed one.";
    /// `/info` was called without a bearer token.
    BearerMissing = 403, GENERIC_PARAMETER_MISSING, INVALID_REQUEST,
        "The Authorization header is missing.";
    /// The body of a client's request is JSON or multipart.
    BodyNotForm = 400, GENERIC_PARAMETER_MALFORMED, INVALID_REQUEST,
        "The request body has to be form-encoded: application/x-www-form-urlencoded.";
    /// The body is longer than `BODY_MAX`, as sent or inflated, or its chunks have too much
    /// framing.
    BodyTooLarge = 413, GENERIC_UPLOAD_EXCEEDS_LIMIT, INVALID_REQUEST,
        "The request body is too large.";
    /// The operator has disabled the client.
    ClientDisabled = 403, CHALLENGER_GENERIC_CLIENT_UNKNOWN, UNAUTHORIZED_CLIENT,
        "The operator has disabled this client.";
    /// A client did not authenticate where the standard demands it.
    ClientSecretMissing = 401, GENERIC_PARAMETER_MISSING, INVALID_CLIENT,
        "The client has to authenticate with its secret.";
    /// A client presented the wrong secret. Where the standard decides, also a client that does not
    /// exist.
    ClientSecretWrong = 401, CHALLENGER_GENERIC_CLIENT_UNKNOWN, INVALID_CLIENT,
        "The client ID or its secret is wrong.";
    /// No such client, or at `/setup` the wrong secret.
    ClientUnknown = 404, CHALLENGER_GENERIC_CLIENT_UNKNOWN, INVALID_CLIENT,
        "The client is unknown or not authorized.";
    /// The authorization code is past its time.
    CodeExpired = 401, CHALLENGER_GRANT_UNKNOWN, INVALID_GRANT,
        "The authorization code has expired.";
    /// The authorization code is malformed, or not the one that was given out.
    CodeMismatch = 401, CHALLENGER_CLIENT_FORBIDDEN_BAD_CODE, INVALID_GRANT,
        "The authorization code is not valid.";
    /// The authorization code was redeemed before.
    CodeSpent = 401, CHALLENGER_GRANT_UNKNOWN, INVALID_GRANT,
        "The authorization code was used before.";
    /// The body is not in the content encoding it claims.
    CompressionInvalid = 400, GENERIC_COMPRESSION_INVALID, INVALID_REQUEST,
        "The request body could not be decompressed.";
    /// The length of the body is unclear: `Content-Length` is not a number, or is there twice, or
    /// stands beside `Transfer-Encoding`, or a chunk is malformed.
    ContentLengthMalformed = 400, GENERIC_PARAMETER_MALFORMED, INVALID_REQUEST,
        "The length of the request body is not clear.";
    /// Too many requests moved the same row at the same time.
    Contention = 500, GENERIC_DB_SOFT_FAILURE, SERVER_ERROR,
        "Too many requests at once for the same validation.";
    /// No such path.
    EndpointUnknown = 404, GENERIC_ENDPOINT_UNKNOWN, INVALID_REQUEST,
        "There is nothing at this path.";
    /// An expectation other than `100-continue`.
    ExpectationUnknown = 417, GENERIC_HTTP_HEADERS_MALFORMED, INVALID_REQUEST,
        "The only expectation served is 100-continue.";
    /// A `grant_type` other than `authorization_code`.
    GrantTypeUnsupported = 400, GENERIC_PARAMETER_MALFORMED, UNSUPPORTED_GRANT_TYPE,
        "The only grant type is authorization_code.";
    /// No such access token, or an expired one.
    GrantUnknown = 404, CHALLENGER_GRANT_UNKNOWN, INVALID_TOKEN,
        "The access token is unknown or has expired.";
    /// The request line or a header field breaks RFC 9112.
    HeadMalformed = 400, GENERIC_HTTP_HEADERS_MALFORMED, INVALID_REQUEST,
        "The request line or a header field is malformed.";
    /// The request head is longer than `HEAD_MAX`.
    HeadTooLarge = 431, GENERIC_HTTP_HEADERS_MALFORMED, INVALID_REQUEST,
        "The request header is too large.";
    /// The helper could not deliver the message.
    HelperFailed = 502, CHALLENGER_HELPER_EXEC_FAILED, SERVER_ERROR,
        "The message could not be sent.";
    /// All helpers are at work.
    HelpersBusy = 503, CHALLENGER_HELPER_EXEC_FAILED, TEMPORARILY_UNAVAILABLE,
        "No message was sent because many are being sent right now; try again in a moment.";
    /// A mistake of the service.
    Internal = 500, GENERIC_INTERNAL_INVARIANT_FAILURE, SERVER_ERROR,
        "The service made a mistake.";
    /// The service does not know its own address, because the operator did not set it.
    IssuerUnknown = 404, GENERIC_ENDPOINT_UNKNOWN, INVALID_REQUEST,
        "There is no metadata because the service does not know its address: the operator has to \
         set BASE_URL.";
    /// The body is not the JSON that is wanted.
    JsonInvalid = 400, GENERIC_JSON_INVALID, INVALID_REQUEST,
        "The request body is not a JSON object.";
    /// The path exists, but not for this method.
    MethodInvalid = 405, GENERIC_METHOD_INVALID, INVALID_REQUEST,
        "This path has no such method.";
    /// The address, its destination, the client or the service has had its messages for now.
    OverBudget = 429, CHALLENGER_TOO_MANY_ATTEMPTS, TEMPORARILY_UNAVAILABLE,
        "No message was sent because a limit of messages is reached.";
    /// A parameter has a value that is not allowed.
    ParameterMalformed = 400, GENERIC_PARAMETER_MALFORMED, INVALID_REQUEST,
        "A parameter is malformed.";
    /// A required parameter is missing.
    ParameterMissing = 400, GENERIC_PARAMETER_MISSING, INVALID_REQUEST,
        "A parameter is missing.";
    /// A parameter is there more than once (RFC 6749 §3.1).
    ParameterRepeated = 400, GENERIC_PARAMETER_MALFORMED, INVALID_REQUEST,
        "A parameter is repeated.";
    /// The PIN is wrong, or cannot be judged.
    PinInvalid = 403, CHALLENGER_INVALID_PIN, INVALID_GRANT,
        "The code is wrong.";
    /// At `/authorize`, another `redirect_uri` than the registered one.
    RedirectUriForeign = 400, CHALLENGER_GENERIC_CLIENT_FORBIDDEN_BAD_REDIRECT_URI, INVALID_REQUEST,
        "The redirect URI is not the one of this client.";
    /// At `/token`, another `redirect_uri` than the registered one.
    RedirectUriMismatch = 401, CHALLENGER_GENERIC_CLIENT_FORBIDDEN_BAD_REDIRECT_URI, INVALID_GRANT,
        "The redirect URI is not the one of this client.";
    /// The validation was opened with another authorization request, which stays as it is.
    RequestFixed = 400, GENERIC_PARAMETER_MALFORMED, INVALID_REQUEST,
        "This validation has an authorization request, which cannot be replaced.";
    /// A browser came without a pushed request, for a client that is not open.
    RequestNotPushed = 400, GENERIC_PARAMETER_MISSING, INVALID_REQUEST,
        "This client has to push its authorization request (RFC 9126).";
    /// The request did not arrive in time.
    RequestTimeout = 408, GENERIC_HTTP_HEADERS_MALFORMED, INVALID_REQUEST,
        "The request did not arrive in time.";
    /// No such `request_uri`, or one that is another client's, was used, or has expired.
    RequestUriUnknown = 404, CHALLENGER_GENERIC_VALIDATION_UNKNOWN, INVALID_REQUEST,
        "The request_uri is unknown, was used before, or has expired.";
    /// A `response_type` other than `code`.
    ResponseTypeUnsupported = 400, GENERIC_PARAMETER_MALFORMED, UNSUPPORTED_RESPONSE_TYPE,
        "The only response type is code.";
    /// The store could not be read.
    StorageUnreadable = 500, GENERIC_DB_FETCH_FAILED, SERVER_ERROR,
        "The database could not be read.";
    /// The store could not be written.
    StorageUnwritable = 500, GENERIC_DB_STORE_FAILED, SERVER_ERROR,
        "The database could not be written.";
    /// The request target is longer than `TARGET_MAX`.
    TargetTooLong = 414, GENERIC_URI_TOO_LONG, INVALID_REQUEST,
        "The request URI is too long.";
    /// The template of a page is broken.
    TemplateBroken = 500, GENERIC_FAILED_TO_EXPAND_TEMPLATE, SERVER_ERROR,
        "A page could not be rendered.";
    /// A page was asked for that has no template.
    TemplateMissing = 406, GENERIC_FAILED_TO_LOAD_TEMPLATE, INVALID_REQUEST,
        "This page has no template.";
    /// An access token of another client.
    TokenForeign = 400, CHALLENGER_GRANT_UNKNOWN, INVALID_GRANT,
        "The access token was issued to another client.";
    /// A validation has used up its budget.
    TooManyAttempts = 429, CHALLENGER_TOO_MANY_ATTEMPTS, INVALID_REQUEST,
        "This validation has used up its attempts; start again from the site you came from.";
    /// The client has too many unexpired validations.
    TooManyValidations = 429, CHALLENGER_TOO_MANY_ATTEMPTS, TEMPORARILY_UNAVAILABLE,
        "This client has too many open validations; try again when some of them have ended.";
    /// A transfer coding other than `chunked`.
    TransferEncodingUnsupported = 501, GENERIC_HTTP_HEADERS_MALFORMED, INVALID_REQUEST,
        "The only transfer coding served is chunked.";
    /// No such validation, or an expired one.
    ValidationUnknown = 404, CHALLENGER_GENERIC_VALIDATION_UNKNOWN, INVALID_REQUEST,
        "The validation is unknown or has expired.";
    /// At `/token`, a code whose validation is unknown or expired.
    ValidationUnknownToCode = 401, CHALLENGER_GENERIC_VALIDATION_UNKNOWN, INVALID_GRANT,
        "The validation of this code is unknown or has expired.";
    /// The PKCE verifier does not fit the challenge (RFC 7636 §4.6).
    VerifierMismatch = 401, CHALLENGER_GRANT_UNKNOWN, INVALID_GRANT,
        "The code verifier is missing or wrong, or there is no code challenge for it; without a \
         method, a challenge is plain.";
    /// A version other than HTTP/1.0 and HTTP/1.1.
    VersionUnsupported = 505, GENERIC_HTTP_HEADERS_MALFORMED, INVALID_REQUEST,
        "The HTTP versions served are 1.0 and 1.1.";
}

impl Refusal {
    /// The name, such as `PinInvalid`. Logs print it, and templates ask for it as
    /// `refused.PinInvalid`, so it stays what it is.
    pub const fn name(self) -> &'static str {
        self.entry().name
    }

    /// The HTTP status.
    pub const fn status(self) -> u16 {
        self.entry().status
    }

    /// The number in the GNU registry of error codes.
    pub const fn code(self) -> u16 {
        self.entry().code
    }

    /// The `error` of RFC 6749 §5.2 and RFC 6750 §3.1, for `/token` and `/info`.
    pub(crate) const fn oauth_error(self) -> &'static str {
        self.entry().oauth_error
    }

    /// A sentence for people.
    pub const fn hint(self) -> &'static str {
        self.entry().hint
    }

    /// The refusal together with what it is about: the name of a parameter, a path, a template.
    pub fn about(self, detail: impl Into<String>) -> Refused {
        Refused { refusal: self, detail: Some(detail.into()) }
    }
}

/// A refusal with the `detail` that its answer shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Refused {
    /// The refusal.
    pub refusal: Refusal,
    /// What it is about. It may repeat what the peer sent, so logs must not hold it.
    pub detail: Option<String>,
}

/// Without the detail, which may be a path that holds a nonce.
impl fmt::Debug for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Refused").field(&self.refusal).finish()
    }
}

/// The hint, a sentence for people.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.hint())
    }
}

impl core::error::Error for Refusal {}

/// The hint without the detail.
impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.refusal.fmt(f)
    }
}

impl core::error::Error for Refused {}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, detail: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_a_decent_entry() {
        assert!(Refusal::ALL.windows(2).all(|pair| pair[0] < pair[1]), "in order, none twice");
        assert!(Refusal::ALL.is_sorted_by_key(|refusal| refusal.name()));
        for refusal in Refusal::ALL {
            assert!((400..600).contains(&refusal.status()), "{refusal:?}");
            assert_ne!(crate::http::Status(refusal.status()).reason(), "Unknown", "{refusal:?}");
            let hint = refusal.hint();
            assert!(hint.ends_with('.') && hint.is_ascii(), "{refusal:?}");
            assert!(!hint.contains(['"', '\\']), "RFC 6749 5.2: {refusal:?}");
        }
    }
}
