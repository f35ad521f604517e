//! The `Content-Security-Policy` of every answer (Content Security Policy Level 3).

use alloc::borrow::Cow;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;

use data_encoding::BASE64;

use crate::oauth::redirect::RedirectUri;
use crate::secret::digest::sha256;

/// The policy of answers that are not for browsers to show.
pub(crate) const NOTHING: &str = "default-src 'none'; frame-ancestors 'none'";

/// The policy of legal documents, which bring their own styles and embedded pictures.
pub(crate) const DOCUMENT: &str =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'";

/// The styles and scripts that are in a page itself. A browser applies and runs those and no others
/// (§2.3.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inline {
    styles: BTreeSet<String>,
    scripts: BTreeSet<String>,
}

impl Inline {
    /// Adds a style by what is between its tags.
    pub fn add_style(&mut self, text: &str) {
        self.styles.insert(hash_source(text));
    }

    /// Adds a script by what is between its tags.
    pub fn add_script(&mut self, text: &str) {
        self.scripts.insert(hash_source(text));
    }

    /// The policy of a page with these styles and scripts, whose forms lead to the client in the
    /// end; without a client, it has no forms. It also allows pictures of the same origin.
    pub(crate) fn policy(&self, client: Option<&RedirectUri>) -> String {
        // With a style and a script or two.
        let mut policy = String::with_capacity(320);
        policy.push_str("default-src 'none'; base-uri 'none'; form-action ");
        policy.push_str(&form_action(client));
        policy.push_str("; frame-ancestors 'none'; img-src 'self' data:");
        for (directive, sources) in [("script-src", &self.scripts), ("style-src", &self.styles)] {
            if !sources.is_empty() {
                policy.push_str("; ");
                policy.push_str(directive);
            }
            for source in sources {
                policy.push(' ');
                policy.push_str(source);
            }
        }
        policy
    }
}

/// Where the forms of a page may lead. Chromium applies `form-action` to every redirect that
/// follows a form, and a client may well redirect once more, to a place that only it knows. So the
/// policy names the schemes that lead to the client, and no origin.
fn form_action(client: Option<&RedirectUri>) -> Cow<'static, str> {
    match client.map(RedirectUri::scheme) {
        None => Cow::Borrowed("'none'"),
        Some(scheme) if scheme.eq_ignore_ascii_case("https") => Cow::Borrowed("'self' https:"),
        Some(scheme) => Cow::Owned(format!("'self' https: {}:", scheme.to_ascii_lowercase())),
    }
}

/// The hash-source of a style or a script.
fn hash_source(text: &str) -> String {
    // Browsers end lines like this before they hash them.
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    format!("'sha256-{}'", BASE64.encode(&sha256(&[text.as_bytes()])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_names_what_is_in_the_page_and_nothing_else() {
        let mut inline = Inline::default();
        let bare = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors \
                    'none'; img-src 'self' data:";
        assert_eq!(inline.policy(None), bare);
        // The script that the specification takes for an example.
        inline.add_script("alert('Hello, world.');");
        inline.add_style("a\r\nb\rc");
        inline.add_style("a\nb\nc");
        inline.add_style("");
        let expected = "; script-src 'sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng='; \
                        style-src 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' \
                        'sha256-6n+wi3otxGGf+3x7s42VogR5NfoWXXGxLv04UqLm0Mw='";
        let policy = inline.policy(None);
        assert_eq!(policy.split_once(" data:").expect("it").1, expected);
        for (client, forms) in [
            ("https://client.example/cb", "form-action 'self' https:; "),
            ("HTTPS://client.example/cb", "form-action 'self' https:; "),
            ("Com.Example.App:/cb", "form-action 'self' https: com.example.app:; "),
        ] {
            let client = RedirectUri::parse(client).unwrap();
            assert!(inline.policy(Some(&client)).contains(forms), "{forms}");
        }
    }
}
