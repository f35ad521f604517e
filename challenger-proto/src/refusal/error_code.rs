//! The numbers of the GNU registry of error codes (GANA) that answers carry, by the names that the
//! registry gives them after `TALER_EC_`.

pub(crate) const GENERIC_METHOD_INVALID: u16 = 20;
pub(crate) const GENERIC_ENDPOINT_UNKNOWN: u16 = 21;
pub(crate) const GENERIC_JSON_INVALID: u16 = 22;
pub(crate) const GENERIC_HTTP_HEADERS_MALFORMED: u16 = 23;
pub(crate) const GENERIC_PARAMETER_MISSING: u16 = 25;
pub(crate) const GENERIC_PARAMETER_MALFORMED: u16 = 26;
pub(crate) const GENERIC_COMPRESSION_INVALID: u16 = 28;
pub(crate) const GENERIC_URI_TOO_LONG: u16 = 31;
pub(crate) const GENERIC_UPLOAD_EXCEEDS_LIMIT: u16 = 32;
pub(crate) const GENERIC_DB_STORE_FAILED: u16 = 52;
pub(crate) const GENERIC_DB_FETCH_FAILED: u16 = 53;
pub(crate) const GENERIC_DB_SOFT_FAILURE: u16 = 55;
pub(crate) const GENERIC_INTERNAL_INVARIANT_FAILURE: u16 = 60;
pub(crate) const GENERIC_FAILED_TO_LOAD_TEMPLATE: u16 = 74;
pub(crate) const GENERIC_FAILED_TO_EXPAND_TEMPLATE: u16 = 75;
pub(crate) const CHALLENGER_GENERIC_CLIENT_UNKNOWN: u16 = 9750;
pub(crate) const CHALLENGER_GENERIC_CLIENT_FORBIDDEN_BAD_REDIRECT_URI: u16 = 9751;
pub(crate) const CHALLENGER_HELPER_EXEC_FAILED: u16 = 9752;
pub(crate) const CHALLENGER_GRANT_UNKNOWN: u16 = 9753;
pub(crate) const CHALLENGER_CLIENT_FORBIDDEN_BAD_CODE: u16 = 9754;
pub(crate) const CHALLENGER_GENERIC_VALIDATION_UNKNOWN: u16 = 9755;
pub(crate) const CHALLENGER_TOO_MANY_ATTEMPTS: u16 = 9757;
pub(crate) const CHALLENGER_INVALID_PIN: u16 = 9758;
pub(crate) const CHALLENGER_MISSING_ADDRESS: u16 = 9759;
pub(crate) const CHALLENGER_CLIENT_FORBIDDEN_READ_ONLY: u16 = 9760;
