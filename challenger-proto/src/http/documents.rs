//! Legal documents, and the choice of one for a reader.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use sha2::{Digest, Sha512};

use crate::media::{self, Fit};
use crate::secret::base32;

/// Formats by file extension: media type, and priority when a reader accepts several.
const FORMATS: [(&str, &str, u8); 11] = [
    ("txt", "text/plain", 150),
    ("html", "text/html", 100),
    ("htm", "text/html", 99),
    ("md", "text/markdown", 50),
    ("pdf", "application/pdf", 25),
    ("epub", "application/epub+zip", 10),
    ("xml", "text/xml", 10),
    ("jpg", "image/jpeg", 0),
    ("jpeg", "image/jpeg", 0),
    ("png", "image/png", 0),
    ("gif", "image/gif", 0),
];

/// One file: a language and a format.
#[derive(Clone)]
pub struct Document {
    /// The language tag: the name of its directory.
    pub language: String,
    /// The media type.
    pub media_type: &'static str,
    /// The content.
    pub body: Arc<[u8]>,
    /// The entity tag, without quotes.
    pub etag: String,
    priority: u8,
}

/// Without the content, which is long.
impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Document({}, {}, {} bytes)", self.language, self.media_type, self.body.len())
    }
}

impl Document {
    /// A document from a file; `None` if the extension is unknown.
    pub fn new(language: impl Into<String>, extension: &str, body: Vec<u8>) -> Option<Self> {
        let (_, media_type, priority) =
            FORMATS.iter().find(|(known, ..)| extension.eq_ignore_ascii_case(known))?;
        let hash = Sha512::digest(&body);
        Some(Self {
            language: language.into(),
            media_type,
            etag: base32::encode(hash.first_chunk::<32>()?),
            body: body.into(),
            priority: *priority,
        })
    }

    /// The known file extensions.
    pub fn extensions() -> impl Iterator<Item = &'static str> {
        FORMATS.iter().map(|(extension, ..)| *extension)
    }

    /// `Content-Type`: text has a character set, or browsers guess one.
    pub(crate) fn content_type(&self) -> String {
        match self.media_type {
            text if text.starts_with("text/") => format!("{text}; charset=utf-8"),
            other => other.to_string(),
        }
    }
}

/// All translations and formats of the terms of service, or of the privacy policy; the default has
/// no documents.
#[derive(Clone, Debug, Default)]
pub struct Documents {
    version: String,
    documents: Vec<Document>,
}

impl Documents {
    /// Documents of one legal version, the configured `TERMS_ETAG` or `PRIVACY_ETAG`.
    pub fn new(version: impl Into<String>, mut documents: Vec<Document>) -> Self {
        // The preferred format first, and English first in each.
        documents.sort_by_key(|document| {
            let foreign = document.language != "en";
            (u8::MAX - document.priority, foreign, document.language.clone())
        });
        Self { version: version.into(), documents }
    }

    /// The legal version, which changes only when people have to accept again.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// How many documents there are.
    pub const fn len(&self) -> usize {
        self.documents.len()
    }

    /// Whether there are no documents.
    pub const fn is_empty(&self) -> bool {
        self.documents.is_empty()
    }

    /// The document that suits a reader best: in an accepted format if possible, then in the
    /// preferred language, then in the best format. A format that is named goes before formats that
    /// a wildcard accepts, because browsers name HTML and then `*/*`.
    pub(crate) fn choose(
        &self,
        accept: Option<&str>,
        accept_language: Option<&str>,
    ) -> Option<&Document> {
        let rank = |document: &Document| {
            let fit = media::fit(accept, document.media_type);
            (fit, media::language_weight(accept_language, &document.language))
        };
        // If no format fits, the first one has to do, in the best language it has.
        let fallback = self.documents.first()?.media_type;
        let eligible =
            |document: &&Document| rank(document).0 > Fit::None || document.media_type == fallback;
        self.documents.iter().filter(eligible).rev().max_by_key(|document| rank(document))
    }

    /// The distinct languages of the formats that the reader accepts, else of the chosen one.
    pub(crate) fn languages(&self, accept: Option<&str>, chosen: &Document) -> String {
        let accepts = |it: &Document| media::fit(accept, it.media_type) > Fit::None;
        let any = self.documents.iter().any(accepts);
        let fits = |document: &&Document| {
            if any { accepts(document) } else { document.media_type == chosen.media_type }
        };
        let languages: BTreeSet<&str> =
            self.documents.iter().filter(fits).map(|it| it.language.as_str()).collect();
        languages.into_iter().collect::<Vec<_>>().join(",")
    }

    /// The tag of `If-None-Match` (RFC 9110 §13.1.2) that names any of the documents. It may be
    /// quoted, weak, or bare, as older clients send it.
    pub(crate) fn matched(&self, if_none_match: Option<&str>) -> Option<&str> {
        let tags = if_none_match?.split(',').map(|tag| {
            let tag = tag.trim();
            tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"')
        });
        let known = |tag: &str| {
            self.documents.iter().find(|it| it.etag.eq_ignore_ascii_case(tag) || tag == "*")
        };
        tags.filter(|tag| !tag.is_empty()).find_map(known).map(|document| document.etag.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents() -> Documents {
        let files = [("en", "html"), ("de", "html"), ("en", "txt"), ("fr", "pdf"), ("de", "md")];
        let document = |(language, extension): (&str, &str)| {
            Document::new(language, extension, format!("{language}.{extension}").into_bytes())
        };
        Documents::new("tos-v0", files.into_iter().filter_map(document).collect())
    }

    fn chosen(accept: &str, language: &str) -> String {
        let documents = documents();
        let document = documents.choose(Some(accept), Some(language)).unwrap();
        String::from_utf8(document.body.to_vec()).unwrap()
    }

    #[test]
    fn format_comes_before_language() {
        assert_eq!(chosen("text/html", "fr, en;q=0.5"), "en.html");
        assert_eq!(chosen("text/html", "de"), "de.html");
        assert_eq!(chosen("text/html", "es"), "en.html");
        assert_eq!(chosen("application/pdf", "en"), "fr.pdf");
        assert_eq!(chosen("text/*", "de"), "de.html");
        assert_eq!(chosen("text/html, */*;q=0.8", "en"), "en.html", "and not en.txt");
        assert_eq!(chosen("*/*", "fr"), "fr.pdf");
        assert_eq!(chosen("image/png", "de"), "en.txt", "never nothing");
    }

    #[test]
    fn tags_are_those_of_the_content() {
        let document = Document::new("en", "TXT", b"hello\n".to_vec()).unwrap();
        assert_eq!(document.etag, "WZ12Q6ACB7CWYAT8WN4V3RJ6CSHP0HCK1MYTFGDCPACX3GXQZ4RG");
        assert!(Document::new("en", "exe", Vec::new()).is_none());
        let documents = Documents::new("v", Vec::from([document]));
        let tag = "WZ12Q6ACB7CWYAT8WN4V3RJ6CSHP0HCK1MYTFGDCPACX3GXQZ4RG";
        for header in
            [tag, &format!("\"{tag}\""), &format!("W/\"{tag}\""), &format!("\"x\", \"{tag}\""), "*"]
        {
            assert_eq!(documents.matched(Some(header)), Some(tag), "{header}");
        }
        assert_eq!(documents.matched(Some("\"x\"")), None);
        assert_eq!(documents.matched(Some("\"\"")), None);
        assert_eq!(documents.matched(None), None);
    }

    #[test]
    fn languages_are_those_of_the_accepted_formats() {
        let documents = documents();
        let languages = |accept| {
            documents.languages(Some(accept), documents.choose(Some(accept), None).unwrap())
        };
        assert_eq!(languages("text/html"), "de,en");
        assert_eq!(languages("*/*"), "de,en,fr");
        assert_eq!(languages("image/png"), "en");
    }
}
