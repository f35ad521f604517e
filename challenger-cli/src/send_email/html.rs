//! The message as HTML: the same text, with the code large and easy to select.
//!
//! It sets no colours, so that it is readable on any background, light or dark; it has no links and
//! no pictures, and loads nothing. Without its styles, it reads the same.

use challenger_server::pages::escape_html;

use super::text::Codes;

/// Mail programs show the inside of the body within pages of theirs, so what matters is there.
/// Long words, such as names of hosts, break in a narrow window.
const BODY: &str = "font: 16px/1.5 system-ui, sans-serif; max-width: 36em; margin: 0 auto; \
                    padding: 8px; overflow-wrap: anywhere; word-break: break-word";
/// As large and as wide as the page shows it; one click selects it.
const CODE: &str = "font: bold 32px/1.3 ui-monospace, Menlo, Consolas, monospace; \
                    letter-spacing: 0.1em; white-space: nowrap; -webkit-user-select: all; \
                    user-select: all";

/// A page with the text of the message, one paragraph for each block of lines.
pub(super) fn page(text: &str, title: &str, language: Option<&str>, codes: &Codes) -> String {
    let mut attributes = format!(" dir=\"{}\"", direction(text));
    if let Some(language) = language {
        attributes.push_str(&format!(" lang=\"{}\"", escape_html(language)));
    }
    // The third line asks phones not to make a link of the code, which looks like a number to call.
    let mut page = format!(
        "<!DOCTYPE html>\n<html{attributes}>\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"format-detection\" content=\"telephone=no, date=no, address=no, email=no\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"supported-color-schemes\" content=\"light dark\">\n\
         <title>{}</title>\n\
         <style>:root {{ color-scheme: light dark; }}</style>\n\
         </head>\n<body>\n<main{attributes} style=\"{BODY}\">\n",
        escape_html(title),
    );
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    for paragraph in lines.split(|line| line.is_empty()).filter(|lines| !lines.is_empty()) {
        page.push_str("<p>");
        for (index, line) in paragraph.iter().enumerate() {
            if index > 0 {
                page.push_str("<br>\n");
            }
            push_line(&mut page, codes, line);
        }
        page.push_str("</p>\n");
    }
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

/// The direction in which most letters of a text are written. The first one does not tell: it may
/// belong to the name of a host.
fn direction(text: &str) -> &'static str {
    // Hebrew, Arabic and their neighbours, and the blocks of their historical and joined forms.
    let is_leftward = |letter: &char| {
        matches!(letter, '\u{590}'..='\u{8FF}' | '\u{FB1D}'..='\u{FDFF}' | '\u{FE70}'..='\u{FEFF}'
            | '\u{10800}'..='\u{10FFF}' | '\u{1E800}'..='\u{1EFFF}')
    };
    let (leftward, rightward): (Vec<char>, Vec<char>) =
        text.chars().filter(|it| it.is_alphabetic()).partition(is_leftward);
    if leftward.len() > rightward.len() { "rtl" } else { "ltr" }
}

/// A line, with each code in it set off.
fn push_line(page: &mut String, codes: &Codes, line: &str) {
    for (text, is_code) in codes.mark(line) {
        let text = escape_html(text);
        if is_code {
            page.push_str(&format!("<strong style=\"{CODE}\">{text}</strong>"));
        } else {
            page.push_str(&text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &str) -> String {
        let page = page(text, "T", None, &Codes::new(text, &[]));
        // The style of a code, which does not matter here.
        let mut plain = String::new();
        for (index, part) in page.split("<strong style").enumerate() {
            let part = if index == 0 { part } else { part.split_once('>').unwrap().1 };
            plain.push_str(&format!("{}{part}", if index == 0 { "" } else { "[" }));
        }
        let plain = plain.replace("</strong>", "]");
        let (_, body) = plain.split_once("break-word\">\n").unwrap();
        body.strip_suffix("</main>\n</body>\n</html>\n").unwrap().to_owned()
    }

    #[test]
    fn lines_stay_lines_and_blocks_become_paragraphs() {
        let text = "one\ntwo  \n \n\nthree\n";
        let expected = "<p>one<br>\ntwo</p>\n<p>three</p>\n";
        assert_eq!(body(text), expected);
        assert_eq!(body("\n\n"), "");
    }

    #[test]
    fn codes_are_set_off() {
        assert_eq!(body("It is 1234-5678."), "<p>It is [1234-5678].</p>\n");
    }

    #[test]
    fn markup_is_text() {
        let text = "<img src=\"https://x.example/\"> & 'you'";
        let expected = "&lt;img src=&quot;https://x.example/&quot;&gt; &amp; &#39;you&#39;";
        assert_eq!(body(text), format!("<p>{expected}</p>\n"));
        let page = page("x", "</title><b>", Some("\"><b>"), &Codes::new("x", &[]));
        assert!(page.contains("<title>&lt;/title&gt;&lt;b&gt;<"));
        assert!(page.contains("<html dir=\"ltr\" lang=\"&quot;&gt;&lt;b&gt;\">"));
    }

    #[test]
    fn the_direction_is_that_of_most_letters() {
        for (text, expected) in [
            ("1234-5678", "ltr"),
            ("shop.example يريد تأكيد عنوان بريدك الإلكتروني", "rtl"),
            ("shop.example רוצה לאמת את כתובת הדוא״ל שלך", "rtl"),
            ("حلويات wants to confirm your e-mail address.", "ltr"),
        ] {
            let page = page(text, "T", None, &Codes::new(text, &[]));
            assert_eq!(page.matches(&format!(" dir=\"{expected}\"")).count(), 2, "{page}");
        }
    }
}
