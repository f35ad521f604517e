//! One compiled template, and how it sees JSON data.
//!
//! Sections are skipped for the values that the reference's template engine skips: `false`, `null`,
//! `0`, and empty strings, arrays and objects. A variable that names an array or an object prints
//! its JSON.

use std::borrow::Cow;
use std::iter;

use challenger_proto::http::Variables;
use ramhorns::encoding::Encoder;
use ramhorns::traits::ContentSequence;
use ramhorns::{Content, Section};
use serde_json::Value;

/// How values are written into the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escaping {
    /// Escaped for HTML text, and for attributes in quotes of either kind.
    Html,
    /// Unchanged.
    None,
}

/// A template ready to render.
pub(super) struct Template {
    compiled: ramhorns::Template<'static>,
    escaping: Escaping,
    /// The whitespace at the end, which ramhorns drops.
    tail: String,
}

impl Template {
    /// Compiles a template.
    ///
    /// # Errors
    /// The error of ramhorns. The linter should have reported everything before, and better.
    pub(super) fn compile(source: String, escaping: Escaping) -> Result<Self, String> {
        let tail = source.get(source.trim_end().len()..).unwrap_or_default().to_string();
        let compiled = ramhorns::Template::new(source).map_err(|error| error.to_string())?;
        Ok(Self { compiled, escaping, tail })
    }

    /// Fills in the template.
    pub(super) fn render(&self, data: &Variables) -> String {
        let root = Context { data, value: &Value::Null, parent: None, escaping: self.escaping };
        self.compiled.render(&root) + &self.tail
    }
}

/// A value with the sections around it, and the variables around them all.
///
/// Names are looked up here, from the inside out, not by ramhorns, which remembers only four
/// sections and does not support dotted names.
struct Context<'a> {
    data: &'a Variables,
    value: &'a Value,
    parent: Option<&'a Self>,
    escaping: Escaping,
}

impl Context<'_> {
    /// The value of a name. Only the part before the first dot is looked up in outer sections.
    /// The dot alone has no value outside of all sections.
    fn find(&self, name: &str) -> &Value {
        if name == "." {
            return self.value;
        }
        let mut parts = name.split('.');
        let first = parts.next().unwrap_or_default();
        let mut contexts = iter::successors(Some(self), |context| context.parent);
        let inner = contexts.find_map(|context| context.value.get(first));
        let found = inner.or_else(|| self.data.get(first));
        found.and_then(|it| parts.try_fold(it, |it, part| it.get(part))).unwrap_or(&Value::Null)
    }

    fn within<'b>(&'b self, value: &'b Value) -> Context<'b> {
        Context { data: self.data, value, parent: Some(self), escaping: self.escaping }
    }
}

/// Every field exists here, so that ramhorns never asks an outer context.
impl Content for Context<'_> {
    fn render_field_escaped<E: Encoder>(
        &self,
        _hash: u64,
        name: &str,
        encoder: &mut E,
    ) -> Result<bool, E::Error> {
        let text = text(self.find(name));
        match self.escaping {
            Escaping::Html => encoder.write_unescaped(&escape_html(&text))?,
            Escaping::None => encoder.write_unescaped(&text)?,
        }
        Ok(true)
    }

    fn render_field_unescaped<E: Encoder>(
        &self,
        _hash: u64,
        name: &str,
        encoder: &mut E,
    ) -> Result<bool, E::Error> {
        encoder.write_unescaped(&text(self.find(name)))?;
        Ok(true)
    }

    fn render_field_section<C: ContentSequence, E: Encoder>(
        &self,
        _hash: u64,
        name: &str,
        section: Section<'_, C>,
        encoder: &mut E,
    ) -> Result<bool, E::Error> {
        match self.find(name) {
            Value::Array(items) => {
                for item in items {
                    section.with(&self.within(item)).render(encoder)?;
                }
            }
            value if is_truthy(value) => section.with(&self.within(value)).render(encoder)?,
            _ => {}
        }
        Ok(true)
    }

    fn render_field_inverse<C: ContentSequence, E: Encoder>(
        &self,
        _hash: u64,
        name: &str,
        section: Section<'_, C>,
        encoder: &mut E,
    ) -> Result<bool, E::Error> {
        if !is_truthy(self.find(name)) {
            section.render(encoder)?;
        }
        Ok(true)
    }
}

fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(truth) => *truth,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

fn text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Null => "".into(),
        Value::String(text) => text.into(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            value.to_string().into()
        }
    }
}

/// Escapes a text for HTML, also for attributes in quotes of either kind: ramhorns alone would
/// leave the `'`.
pub fn escape_html(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"', '\'']) {
        return text.into();
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped.into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use std::path::Path;

    use super::super::expand::{Source, expand};
    use super::super::lint;
    use super::*;

    fn compile(template: &str, escaping: Escaping) -> Template {
        let source = Source::file(Path::new("test"), template);
        let expanded = expand(source, &|_| None).expect(template);
        Template::compile(expanded.text, escaping).expect(template)
    }

    fn render(template: &str, data: &Value) -> String {
        compile(template, Escaping::Html).render(&data.clone().into())
    }

    #[test]
    fn values_are_escaped() {
        let data = json!({"a": "<b> & \"c\" 'd' ü", "n": -7, "t": true, "l": ["<"], "z": null});
        let escaped = "&lt;b&gt; &amp; &quot;c&quot; &#39;d&#39; ü";
        assert_eq!(render("{{a}}", &data), escaped);
        assert_eq!(render("{{{a}}}{{&a}}", &data), "<b> & \"c\" 'd' ü".repeat(2));
        assert_eq!(render("{{n}} {{t}} {{l}}{{z}}{{none}}", &data), "-7 true [&quot;&lt;&quot;]");
        let plain = compile("{{a}}", Escaping::None);
        assert_eq!(plain.render(&data.into()), "<b> & \"c\" 'd' ü");
    }

    #[test]
    fn dotted_names_go_down() {
        let data = json!({"a": {"b": {"c": "1"}, "x": "2"}, "b": {"d": "3"}, "s": "4"});
        assert_eq!(render("{{a.b.c}}{{a.x}}{{a.b.d}}{{a.s}}{{s.a}}", &data), "12");
        assert_eq!(render("{{#a.b}}{{c}}{{/a.b}}{{^a.y}}no{{/a.y}}", &data), "1no");
        // The inner `b` hides the outer one.
        assert_eq!(render("{{#a}}{{b.c}}{{b.d}}{{s}}{{/a}}", &data), "14");
    }

    #[test]
    fn sections_follow_the_truth() {
        let truthy = json!([true, 1, -0.5, "0", "false", [0], {"a": null}]);
        let falsy = json!([false, null, 0, 0.0, "", [], {}]);
        for (values, expected) in [(truthy, "yes"), (falsy, "no")] {
            for value in values.as_array().expect("a list") {
                let data = json!({"v": value});
                assert_eq!(render("{{#v}}yes{{/v}}{{^v}}no{{/v}}", &data), expected, "{value}");
            }
        }
        assert_eq!(render("{{#none}}yes{{/none}}{{^none}}no{{/none}}", &json!({})), "no");
    }

    #[test]
    fn sections_go_through_lists() {
        let data =
            json!({"l": [{"n": "a", "l": []}, {"n": "b", "l": ["x", "y"]}], "o": "!", "e": []});
        assert_eq!(render("{{#l}}{{n}}{{o}}{{/l}}", &data), "a!b!");
        assert_eq!(render("{{#l}}{{n}}:{{#l}}{{.}}{{n}};{{/l}} {{/l}}", &data), "a: b:xb;yb; ");
        assert_eq!(render("{{#e}}x{{/e}}{{^e}}none{{/e}}", &data), "none");
        assert_eq!(render("{{.}}{{#.}}x{{/.}}", &data), "", "not everything there is");
    }

    #[test]
    fn names_are_found_through_all_sections() {
        let data = json!({"a": {"b": {"c": {"d": {"e": {"f": {"deep": 1}}}}}}, "far": "out"});
        let template = "{{#a}}{{#b}}{{#c}}{{#d}}{{#e}}{{#f}}{{deep}}{{far}}{{^no}}{{far}}{{/no}}\
            {{/f}}{{/e}}{{/d}}{{/c}}{{/b}}{{/a}}";
        assert_eq!(render(template, &data), "1outout");
    }

    #[test]
    fn data_is_never_a_template() {
        let data = json!({"a": "{{b}}{{#b}}{{{b}}}{{/b}}", "b": "leak"});
        let expected = "{{b}}{{#b}}{{{b}}}{{/b}}";
        assert_eq!(render("{{a}}", &data), expected);
        assert_eq!(render("{{{a}}}", &data), expected);
    }

    #[test]
    fn blanks_at_the_end_stay() {
        assert_eq!(render("a {{n}} \n\n", &json!({"n": "1 "})), "a 1  \n\n");
        assert_eq!(render("{{n}}", &json!({"n": "1 \n"})), "1 \n");
        assert_eq!(render("\n", &json!({})), "\n");
    }

    #[test]
    fn what_passes_the_lint_renders_as_it_reads() {
        let words = [
            "{{", "}}", "{{{", "}}}", "{", "}", "{{#a}}", "{{/a}}", "{{^b}}", "{{/b}}", "{{a}}",
            "{{&b}}", "{{{a}}}", "{{!c}}", "#", "/", "!", ".", "a", "b", " ", "ü",
        ];
        let data = json!({"a": "<1>", "b": false});
        // Simple enough to be right: what it cannot read is left to the other tests.
        let read = |template: &str| {
            let text = template.replace("{{!c}}", "").replace("{{#a}}", "").replace("{{/a}}", "");
            let text = text.replace("{{^b}}", "").replace("{{/b}}", "").replace("{{&b}}", "false");
            text.replace("{{{a}}}", "<1>").replace("{{a}}", "&lt;1&gt;")
        };
        let mut state = 1_u64;
        let mut compared = 0;
        for _ in 0..100_000 {
            let mut template = String::from("|");
            for _ in 0..8 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                template.push_str(words[usize::try_from(state >> 33).unwrap() % words.len()]);
            }
            template.push('|');
            if lint::read(&template).is_ok() {
                let rendered = render(&template, &data);
                let expected = read(&template);
                if !expected.contains("{{") {
                    assert_eq!(rendered, expected, "{template}");
                    compared += 1;
                }
            }
        }
        assert!(compared > 1000, "{compared}");
    }
}
