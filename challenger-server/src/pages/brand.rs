//! The operator's brand, without templates of their own: a few style rules and a logo.

use data_encoding::BASE64;

use crate::files::utf8;

/// The largest logo, in bytes. It is in each page, where it takes a third more. A good one has a
/// tenth of that.
const LOGO_MAX: usize = 64 * 1024;

/// Turns more rules for the style sheet into a part.
pub(super) fn style(file: &[u8]) -> Result<String, String> {
    let rules = utf8(file)?;
    if rules.to_ascii_lowercase().contains("</style") {
        return Err("the rules contain </style, which would end them".to_owned());
    }
    if rules.contains("{{") {
        return Err("the rules contain {{, which begins a tag: put a space in between".to_owned());
    }
    Ok(rules)
}

/// Turns a picture of that type into a part. It is in the page itself, so that nothing else is
/// loaded. It has no alternative text, because the page's own text says whose it is.
pub(super) fn logo(kind: &str, file: &[u8]) -> Result<String, String> {
    if file.len() > LOGO_MAX {
        return Err(format!("the logo has {} bytes: expected at most {LOGO_MAX}", file.len()));
    }
    let data = BASE64.encode(file);
    Ok(format!("<img class=\"logo\" src=\"data:{kind};base64,{data}\" alt=\"\">\n"))
}
