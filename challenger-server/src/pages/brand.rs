//! The operator's brand, without templates of their own: a few style rules, a logo and an icon.

use data_encoding::BASE64;

use crate::files::utf8;

/// The largest logo or icon, in bytes. It is in each page, where it takes a third more. A good one
/// has a tenth of that.
const PICTURE_MAX: usize = 64 * 1024;

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

/// Turns the logo into a part: a picture without alternative text, because the name of the service
/// stands below it.
pub(super) fn logo(kind: &str, file: &[u8]) -> Result<String, String> {
    let url = picture("logo", kind, file)?;
    Ok(format!("<img class=\"logo\" src=\"{url}\" alt=\"\">\n"))
}

/// Turns the icon for the browser's tab into a part.
pub(super) fn icon(kind: &str, file: &[u8]) -> Result<String, String> {
    let url = picture("icon", kind, file)?;
    Ok(format!("<link rel=\"icon\" href=\"{url}\">\n"))
}

/// The URL that holds a whole picture of that type, so that nothing else is loaded.
fn picture(name: &str, kind: &str, file: &[u8]) -> Result<String, String> {
    if file.len() > PICTURE_MAX {
        return Err(format!("the {name} has {} bytes: expected at most {PICTURE_MAX}", file.len()));
    }
    Ok(format!("data:{kind};base64,{}", BASE64.encode(file)))
}
