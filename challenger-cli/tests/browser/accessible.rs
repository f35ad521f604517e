//! The findings of axe-core (<https://github.com/dequelabs/axe-core>) finds on a page.

use std::fs;

use crate::driver::Browser;
use crate::view::{artifacts, restyle};

/// Gives a page that has no ground of its own the one that is seen: axe would take it for white.
const GROUND: &str = ":where(html) { background: Canvas; }";

/// Looks at the page by all rules of WCAG 2.2 up to AA, and by those of good practice.
const LOOK: &str = "const done = arguments[arguments.length - 1];
    const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
    axe.run({ runOnly: tags, resultTypes: ['violations'] }).then(
        (found) => done({
            rules: found.passes.length,
            violations: found.violations.map((it) => {
                const nodes = it.nodes.map((node) => node.html.replace(/[0-9A-Z]{52}[^\"]*/g, '…'));
                return `${it.id}, ${it.help}: ${nodes.join(' ')}`;
            }),
        }),
        (error) => done({ rules: 0, violations: [String(error)] }),
    );";

/// All that axe finds on the page that is shown.
pub fn complaints(browser: &Browser) -> Vec<String> {
    if browser.script("return typeof axe", &[]) != "object" {
        let file = artifacts().join("node_modules/axe-core/axe.min.js");
        let source = fs::read_to_string(&file);
        let source = source.unwrap_or_else(|error| panic!("make browser gets {file:?}: {error}"));
        browser.script(&source, &[]);
    }
    restyle(browser, GROUND);
    let seen = browser.script_with_callback(LOOK);
    assert!(seen["rules"].as_u64() > Some(5), "axe looked at little: {seen}");
    let violations = seen["violations"].as_array().unwrap().iter();
    violations.map(|violation| violation.as_str().unwrap().to_string()).collect()
}
