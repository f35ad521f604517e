//! Variables that a template names and never gets: they print nothing, and nobody would notice.

use std::path::Path;

use challenger_proto::Refusal;
use challenger_proto::http::is_variable;

use super::expand::{Expanded, Written};
use super::lint::Kind;
use crate::spelling::is_slip;

/// The variables that some templates may name.
pub(super) struct Scope<'a> {
    /// What is wrong with any other name, in words.
    pub verdict: &'a str,
    /// All names, as the core lists them.
    pub names: &'a [&'static str],
}

impl Scope<'_> {
    fn has(&self, path: &str) -> bool {
        let refusal = path.strip_prefix("refused.");
        is_variable(self.names, path)
            && refusal.is_none_or(|name| Refusal::ALL.iter().any(|it| it.name() == name))
    }

    /// The whole path of a name, which is looked up as it will be at rendering: in the innermost
    /// section that has its first word, else outside of all.
    fn resolve(&self, name: &str, sections: &[Option<String>]) -> Option<String> {
        let mut open = sections.iter().rev().flatten();
        if name == "." {
            return open.next().cloned();
        }
        let first = name.split('.').next().unwrap_or_default();
        let around = open.map(|section| format!("{section}.")).chain([String::new()]);
        let mut around = around.filter(|around| self.has(&format!("{around}{first}")));
        around.next().map(|around| around + name).filter(|path| self.has(path))
    }

    fn complain(&self, tag: &Written<'_>) -> String {
        let name = tag.piece.name;
        let near = self.names.iter().find(|it| is_slip(name, it));
        let near = near.map(|it| format!("{it}, or another ")).unwrap_or_default();
        format!(
            "{}: {}: {}: expected {near}one of those in challenger.conf(5)",
            tag.place(),
            tag.piece,
            self.verdict
        )
    }
}

/// Warnings about the variables that do not exist. Parts and texts are shared, so what they name
/// counts by `shared`.
pub(super) fn unknown(
    template: &Path,
    expanded: &Expanded<'_>,
    own: &Scope<'_>,
    shared: &Scope<'_>,
) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut sections = Vec::new();
    for tag in &expanded.tags {
        if tag.piece.kind == Kind::Close {
            sections.pop();
            continue;
        }
        let scope = if tag.source.file == template { own } else { shared };
        let path = scope.resolve(tag.piece.name, &sections);
        if path.is_none() {
            warnings.push(scope.complain(tag));
        }
        match tag.piece.kind {
            Kind::Section => sections.push(path),
            Kind::Inverted => sections.push(None),
            _ => {}
        }
    }
    warnings
}
