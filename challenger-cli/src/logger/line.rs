//! How an event becomes a line: as text, or as a JSON object.

use challenger_proto::Timestamp;
use challenger_server::logging::LogFormat;
use log::kv::{self, Key, Value, VisitSource, VisitValue};
use log::{Level, Record};
use serde_json::{Value as Json, json};

/// The line for a record, with its end.
pub(super) fn line(format: LogFormat, time: Timestamp, record: &Record<'_>) -> String {
    let level = match record.level() {
        Level::Error => "ERROR",
        Level::Warn => "WARNING",
        Level::Info => "INFO",
        Level::Debug | Level::Trace => "DEBUG",
    };
    let time = time.to_rfc3339();
    match format {
        LogFormat::Json => {
            let mut members = Members(String::new());
            members.add("time", &json!(time));
            members.add("level", &json!(level));
            members.add("event", &json!(record.args().to_string()));
            // Fails only if `Members` does, which it never does.
            let _ = record.key_values().visit(&mut members);
            format!("{{{}}}\n", members.0)
        }
        LogFormat::Text => format!("{time} {level} {}\n", event(record)),
    }
}

/// What happened, and what is known about it. Control characters become spaces, so that nothing in
/// a record can pass for another line.
pub(super) fn event(record: &Record<'_>) -> String {
    let mut event = record.args().to_string();
    // Fails only if `Pairs` does, which it never does.
    let _ = record.key_values().visit(&mut Pairs(&mut event));
    if event.contains(char::is_control) {
        event = event.replace(char::is_control, " ");
    }
    event
}

/// Appends ` key=value` for each pair whose value is known.
struct Pairs<'a>(&'a mut String);

impl<'kvs> VisitSource<'kvs> for Pairs<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        let value = match json_of(&value) {
            Json::Null => return Ok(()),
            Json::String(text) => text,
            other => other.to_string(),
        };
        let is_word = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '"' | '=');
        self.0.extend([" ", key.as_str(), "="]);
        if !value.is_empty() && value.chars().all(is_word) {
            self.0.push_str(&value);
        } else {
            self.0.extend(["\"", &value.replace('"', "'"), "\""]);
        }
        Ok(())
    }
}

/// The members of a JSON object, in the order in which they come.
struct Members(String);

impl Members {
    fn add(&mut self, key: &str, value: &Json) {
        let comma = if self.0.is_empty() { "" } else { "," };
        self.0.push_str(&format!("{comma}{}:{value}", json!(key)));
    }
}

impl<'kvs> VisitSource<'kvs> for Members {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        match json_of(&value) {
            Json::Null => {}
            value => self.add(key.as_str(), &value),
        }
        Ok(())
    }
}

/// A value with its type: what is unknown, the `None` of an `Option`, is null.
fn json_of(value: &Value<'_>) -> Json {
    struct Taken(Json);
    impl VisitValue<'_> for Taken {
        fn visit_any(&mut self, value: Value<'_>) -> Result<(), kv::Error> {
            self.0 = json!(value.to_string());
            Ok(())
        }

        fn visit_null(&mut self) -> Result<(), kv::Error> {
            self.0 = Json::Null;
            Ok(())
        }

        fn visit_bool(&mut self, value: bool) -> Result<(), kv::Error> {
            self.0 = json!(value);
            Ok(())
        }

        fn visit_i64(&mut self, value: i64) -> Result<(), kv::Error> {
            self.0 = json!(value);
            Ok(())
        }

        fn visit_u64(&mut self, value: u64) -> Result<(), kv::Error> {
            self.0 = json!(value);
            Ok(())
        }

        fn visit_u128(&mut self, value: u128) -> Result<(), kv::Error> {
            self.0 = json!(u64::try_from(value).unwrap_or(u64::MAX));
            Ok(())
        }
    }
    let mut taken = Taken(Json::Null);
    let _ = value.visit(&mut taken);
    taken.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line for a record of these pairs.
    fn written(format: LogFormat, level: Level, what: &str, pairs: &[(&str, Value<'_>)]) -> String {
        let time = Timestamp::from_seconds(1_767_607_267);
        let args = format_args!("{what}");
        line(format, time, &Record::builder().level(level).args(args).key_values(&pairs).build())
    }

    /// As text, without its time.
    fn text(level: Level, what: &str, pairs: &[(&str, Value<'_>)]) -> String {
        let line = written(LogFormat::Text, level, what, pairs);
        line.strip_prefix("2026-01-05T10:01:07Z ").expect("the time comes first").to_owned()
    }

    #[test]
    fn an_event_is_one_line() {
        assert_eq!(
            text(Level::Warn, "too many things\r\nERROR forged", &[]),
            "WARNING too many things  ERROR forged\n"
        );
        let forged = [("said", Value::from("a\nb"))];
        assert_eq!(text(Level::Error, "helper", &forged), "ERROR helper said=\"a b\"\n");
        assert_eq!(
            written(LogFormat::Json, Level::Error, "help\ner", &forged),
            "{\"time\":\"2026-01-05T10:01:07Z\",\"level\":\"ERROR\",\"event\":\"help\\ner\",\
             \"said\":\"a\\nb\"}\n"
        );
    }

    #[test]
    fn what_is_known_can_be_taken_apart() {
        let pairs = [
            ("route", Value::from("/solve/$NONCE")),
            ("status", Value::from(403_u16)),
            ("refusal", Value::null()),
            ("ms", Value::from(12_u128)),
            ("client", Value::from(-1_i64)),
            ("on", Value::from(true)),
            ("a", Value::from("")),
            ("b", Value::from("c=d")),
            ("e", Value::from("f g")),
        ];
        assert_eq!(
            text(Level::Info, "request", &pairs),
            "INFO request route=/solve/$NONCE status=403 ms=12 client=-1 on=true a=\"\" b=\"c=d\" \
             e=\"f g\"\n"
        );
        assert_eq!(
            written(LogFormat::Json, Level::Info, "request", &pairs),
            "{\"time\":\"2026-01-05T10:01:07Z\",\"level\":\"INFO\",\"event\":\"request\",\
             \"route\":\"/solve/$NONCE\",\"status\":403,\"ms\":12,\"client\":-1,\"on\":true,\
             \"a\":\"\",\"b\":\"c=d\",\"e\":\"f g\"}\n"
        );
        let forged = [("said", Value::from("\" status=200 x=\""))];
        assert_eq!(
            text(Level::Debug, "helper", &forged),
            "DEBUG helper said=\"' status=200 x='\"\n"
        );
        let json = written(LogFormat::Json, Level::Debug, "helper", &forged);
        let json: Json = serde_json::from_str(&json).expect("JSON");
        assert_eq!(json["said"], "\" status=200 x=\"");
    }
}
