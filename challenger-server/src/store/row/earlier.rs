//! The addresses that were challenged before, as one column keeps them: a JSON array with an object
//! for each. Most rows have none, which is NULL.

use challenger_proto::Timestamp;
use challenger_proto::machine::Earlier;
use challenger_proto::secret::{AddressDigest, Salt};
use data_encoding::BASE64;
use serde_json::{Value, json};

use super::to_seconds;

/// Writes the column.
pub(super) fn to_text(earlier: &[Earlier]) -> Option<String> {
    let object = |it: &Earlier| {
        json!({
            "address": BASE64.encode(it.address.as_bytes()),
            "mailbox": BASE64.encode(it.mailbox.as_bytes()),
            "salt": BASE64.encode(it.salt.as_bytes()),
            "sent_at": it.sent_at.map(to_seconds),
            "transmissions_left": it.transmissions_left,
            "attempts_left": it.attempts_left,
        })
    };
    (!earlier.is_empty()).then(|| earlier.iter().map(object).collect::<Value>().to_string())
}

/// Reads what [`to_text`] wrote; `None` for anything else.
pub(super) fn from_text(text: Option<&str>) -> Option<Vec<Earlier>> {
    let Some(text) = text else { return Some(Vec::new()) };
    let Value::Array(objects) = serde_json::from_str(text).ok()? else { return None };
    objects.iter().map(read).collect()
}

fn read(object: &Value) -> Option<Earlier> {
    let bytes = |name| -> Option<[u8; 32]> {
        BASE64.decode(object.get(name)?.as_str()?.as_bytes()).ok()?.try_into().ok()
    };
    let count = |name| -> Option<u8> { object.get(name)?.as_u64()?.try_into().ok() };
    let sent_at = match object.get("sent_at")? {
        Value::Null => None,
        seconds => Some(Timestamp::from_seconds(seconds.as_i64()?.try_into().ok()?)),
    };
    Some(Earlier {
        address: AddressDigest::from_bytes(bytes("address")?),
        mailbox: AddressDigest::from_bytes(bytes("mailbox")?),
        salt: Salt::from_bytes(bytes("salt")?),
        sent_at,
        transmissions_left: count("transmissions_left")?,
        attempts_left: count("attempts_left")?,
    })
}
