//! JSON objects.

use alloc::string::ToString;

use serde_json::Value;

/// An object of these members; of equal names, the last. The macro of serde_json would copy values.
pub(crate) fn object<'a>(members: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    members.into_iter().collect()
}

/// Adds a member to an object.
pub(crate) fn insert(object: &mut Value, name: &str, value: impl Into<Value>) {
    if let Value::Object(members) = object {
        members.insert(name.to_string(), value.into());
    }
}
