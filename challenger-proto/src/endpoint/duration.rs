//! Lengths of time for templates, in the one unit that suits: a catalogue has words for each.

use alloc::format;

use serde_json::{Value, json};

use crate::http::json::insert;
use crate::time::Span;

/// A time that something lasts at least: rounded down, and nothing for less than a minute.
pub(super) fn at_least(span: Span) -> Value {
    in_words(span.as_minutes(), span.as_hours(), span.as_days())
}

/// A time after which something has ended: rounded up.
pub(super) fn at_most(span: Span) -> Value {
    let seconds = span.as_seconds().max(1);
    let minutes = seconds.div_ceil(60);
    in_words(minutes, minutes.div_ceil(60), minutes.div_ceil(60 * 24))
}

/// A wait that counts down: `brief` is a number of seconds, and longer waits are rounded up. `text`
/// and `seconds` are the same for every length.
pub(super) fn countdown(span: Span) -> Value {
    let seconds = span.as_seconds();
    let mut wait = match seconds {
        // Two at least, so that no language needs a singular.
        0..=119 => json!({"brief": seconds.max(2)}),
        _ => at_most(span),
    };
    insert(&mut wait, "seconds", seconds);
    insert(&mut wait, "text", span.to_text());
    wait
}

/// `text` is short, in units that people read in any language.
fn in_words(minutes: u64, hours: u64, days: u64) -> Value {
    match minutes {
        0 => Value::Null,
        1 => json!({"one_minute": true, "text": "1 min"}),
        2..=120 => json!({"minutes": minutes, "text": format!("{minutes} min")}),
        _ if hours < 48 => json!({"hours": hours, "text": format!("{hours} h")}),
        _ => json!({"days": days, "text": format!("{hours} h")}),
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn what_lasts_is_rounded_down_and_what_ends_is_rounded_up() {
        for (seconds, least, most) in [
            (0, "null", r#"{"one_minute":true,"text":"1 min"}"#),
            (59, "null", r#"{"one_minute":true,"text":"1 min"}"#),
            (60, r#"{"one_minute":true,"text":"1 min"}"#, r#"{"one_minute":true,"text":"1 min"}"#),
            (61, r#"{"one_minute":true,"text":"1 min"}"#, r#"{"minutes":2,"text":"2 min"}"#),
            (3599, r#"{"minutes":59,"text":"59 min"}"#, r#"{"minutes":60,"text":"60 min"}"#),
            (7259, r#"{"minutes":120,"text":"120 min"}"#, r#"{"hours":3,"text":"3 h"}"#),
            (7260, r#"{"hours":2,"text":"2 h"}"#, r#"{"hours":3,"text":"3 h"}"#),
            (86_399, r#"{"hours":23,"text":"23 h"}"#, r#"{"hours":24,"text":"24 h"}"#),
            (172_799, r#"{"hours":47,"text":"47 h"}"#, r#"{"days":2,"text":"48 h"}"#),
            (172_800, r#"{"days":2,"text":"48 h"}"#, r#"{"days":2,"text":"48 h"}"#),
            (2_591_999, r#"{"days":29,"text":"719 h"}"#, r#"{"days":30,"text":"720 h"}"#),
        ] {
            let span = Span::seconds(seconds);
            assert_eq!(at_least(span).to_string(), least, "{seconds}");
            assert_eq!(at_most(span).to_string(), most, "{seconds}");
        }
    }

    #[test]
    fn a_wait_counts_down_in_seconds_and_then_in_the_unit_that_suits() {
        for (seconds, expected) in [
            (0, r#"{"brief":2,"seconds":0,"text":"0 s"}"#),
            (1, r#"{"brief":2,"seconds":1,"text":"1 s"}"#),
            (2, r#"{"brief":2,"seconds":2,"text":"2 s"}"#),
            (60, r#"{"brief":60,"seconds":60,"text":"60 s"}"#),
            (119, r#"{"brief":119,"seconds":119,"text":"2 min"}"#),
            (120, r#"{"minutes":2,"seconds":120,"text":"2 min"}"#),
            (121, r#"{"minutes":3,"seconds":121,"text":"3 min"}"#),
            (7200, r#"{"minutes":120,"seconds":7200,"text":"120 min"}"#),
            (7201, r#"{"hours":3,"seconds":7201,"text":"3 h"}"#),
            (172_800, r#"{"days":2,"seconds":172800,"text":"48 h"}"#),
        ] {
            let wait = countdown(Span::seconds(seconds));
            assert_eq!(wait.to_string(), expected, "{seconds}");
        }
    }
}
