//! The message as HTML: the same text, with the code large and easy to select.
//!
//! It sets no colours, so that it is readable on any background; it has no links, and loads
//! nothing.

use challenger_server::pages::escape_html;

use super::text::Codes;

/// A page with the text of the message, one paragraph for each block of lines.
pub(super) fn page(text: &str, title: &str, language: Option<&str>, codes: &Codes) -> String {
    let mut page = String::from("<!DOCTYPE html>\n<html");
    if let Some(language) = language {
        page.push_str(" lang=\"");
        page.push_str(&escape_html(language));
        page.push('"');
    }
    // The third line asks phones not to make a link of the code, which looks like a number to call.
    page.push_str(
        ">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <meta name=\"format-detection\" content=\"telephone=no, date=no, address=no, email=no\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"supported-color-schemes\" content=\"light dark\">\n<title>",
    );
    page.push_str(&escape_html(title));
    page.push_str(
        "</title>\n</head>\n<body style=\"font-family: sans-serif; font-size: 16px; \
         line-height: 1.5\">\n",
    );
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    for paragraph in lines.split(|line| line.is_empty()).filter(|lines| !lines.is_empty()) {
        // The direction of writing follows from the text.
        page.push_str("<p dir=\"auto\">");
        for (index, line) in paragraph.iter().enumerate() {
            if index > 0 {
                page.push_str("<br>\n");
            }
            push_line(&mut page, codes, line);
        }
        page.push_str("</p>\n");
    }
    page.push_str("</body>\n</html>\n");
    page
}

/// A line, with each code in it set off.
fn push_line(page: &mut String, codes: &Codes, line: &str) {
    for (text, is_code) in codes.mark(line) {
        if is_code {
            page.push_str(
                "<strong style=\"font-family: monospace; font-size: 2em; white-space: nowrap; \
                 -webkit-user-select: all; user-select: all\">",
            );
        }
        page.push_str(&escape_html(text));
        if is_code {
            page.push_str("</strong>");
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
        let (_, body) = plain.split_once("1.5\">\n").unwrap();
        body.strip_suffix("</body>\n</html>\n").unwrap().to_owned()
    }

    #[test]
    fn lines_stay_lines_and_blocks_become_paragraphs() {
        let text = "one\ntwo  \n \n\nthree\n";
        let expected = "<p dir=\"auto\">one<br>\ntwo</p>\n<p dir=\"auto\">three</p>\n";
        assert_eq!(body(text), expected);
        assert_eq!(body("\n\n"), "");
    }

    #[test]
    fn codes_are_set_off() {
        assert_eq!(body("It is 1234-5678."), "<p dir=\"auto\">It is [1234-5678].</p>\n");
    }

    #[test]
    fn markup_is_text() {
        let text = "<img src=\"https://x.example/\"> & 'you'";
        let expected = "&lt;img src=&quot;https://x.example/&quot;&gt; &amp; &#39;you&#39;";
        assert_eq!(body(text), format!("<p dir=\"auto\">{expected}</p>\n"));
        let page = page("x", "</title><b>", Some("\"><b>"), &Codes::new("x", &[]));
        assert!(page.contains("<title>&lt;/title&gt;&lt;b&gt;<"));
        assert!(page.contains("<html lang=\"&quot;&gt;&lt;b&gt;\">"));
    }
}
