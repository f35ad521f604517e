//! Reads the documents: their sections, and the code in them.

#![allow(dead_code, reason = "each test uses its part of it")]

use std::fs;
use std::path::Path;

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The text of a file below the root.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// The blocks of code in a language, without what a list indents them by.
pub(crate) fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let fence = line.trim_start();
        if let Some(name) = fence.strip_prefix("```") {
            let indent = line.len() - fence.len();
            let code = lines.by_ref().take_while(|line| line.trim_start() != "```");
            let code: Vec<&str> = code.map(|line| line.get(indent..).unwrap_or("")).collect();
            if name == language {
                blocks.push(code.join("\n") + "\n");
            }
        }
    }
    blocks
}

/// The only block of code in a language.
pub(crate) fn block(text: &str, language: &str) -> String {
    let mut blocks = blocks(text, language);
    assert_eq!(blocks.len(), 1, "{language}");
    blocks.remove(0)
}

/// The part of a text below a heading, such as `## Errors`, up to the next of its level or above.
pub(crate) fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let (_, rest) = text.split_once(&format!("\n{heading}\n")).unwrap();
    let level = heading.split(' ').next().unwrap().len();
    let ends = (2..=level).filter_map(|level| rest.find(&format!("\n{} ", "#".repeat(level))));
    rest.get(..ends.min().unwrap_or(rest.len())).unwrap()
}
