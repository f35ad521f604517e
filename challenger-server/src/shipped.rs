//! The helpers that come with the service: what it knows of them to check a configuration.

use std::path::Path;

/// The section whose options are the helper's settings.
pub const SECTION: &str = "challenger-helper";

/// The argument by which a helper says what is wrong with its settings, each mistake in a line
/// about errors. An address may follow, which the helper has to be able to read. There is no
/// message.
pub(crate) const CHECK: &str = "--check";

/// The variable by which many programs find a proxy. It is nobody's setting here.
pub const SYSTEM_PROXY: &str = "HTTP_PROXY";

/// A helper that comes with the service.
pub struct Shipped {
    /// The names of its program.
    pub programs: &'static [&'static str],
    /// The names of all its settings.
    pub settings: &'static [&'static str],
    /// The setting by which it limits itself, and the usual value in seconds.
    pub(crate) limit: Option<(&'static str, u64)>,
    /// Whether it can stay for many messages.
    pub(crate) stays: bool,
}

/// All of them. Their manual pages say what the settings mean.
pub const SHIPPED: [Shipped; 5] = [
    Shipped {
        programs: &["challenger-send-email", "challenger-send-email.sh"],
        settings: &[
            "EMAIL_FROM",
            "EMAIL_LANGUAGE",
            "EMAIL_REPLY_TO",
            "EMAIL_SUBJECT",
            "SENDMAIL",
            "SMTP_CA_FILE",
            "SMTP_HELO",
            "SMTP_HOST",
            "SMTP_OAUTH2_TOKEN_FILE",
            "SMTP_PASSWORD",
            "SMTP_PORT",
            "SMTP_SECURITY",
            "SMTP_TIMEOUT",
            "SMTP_USER",
        ],
        limit: Some(("SMTP_TIMEOUT", 20)),
        stays: true,
    },
    Shipped {
        programs: &["challenger-send-file.sh"],
        settings: &["CHALLENGER_FILE_DIR"],
        limit: None,
        stays: false,
    },
    Shipped {
        programs: &["challenger-send-http"],
        settings: &[
            "HTTP_ACCOUNT",
            "HTTP_ALLOW_PLAIN",
            "HTTP_BASIC_PASSWORD",
            "HTTP_BASIC_PASSWORD_FILE",
            "HTTP_BASIC_USER",
            "HTTP_BEARER_TOKEN",
            "HTTP_BEARER_TOKEN_FILE",
            "HTTP_CA_FILE",
            "HTTP_FORM",
            "HTTP_HEADERS",
            "HTTP_JSON",
            "HTTP_METHOD",
            "HTTP_MISCONFIGURED",
            "HTTP_SECRET",
            "HTTP_SECRET_FILE",
            "HTTP_SENDER",
            "HTTP_SUCCESS",
            "HTTP_TIMEOUT",
            "HTTP_TRY_LATER",
            "HTTP_UNKNOWN_ADDRESS",
            "HTTP_URL",
        ],
        limit: Some(("HTTP_TIMEOUT", 25)),
        stays: true,
    },
    Shipped {
        programs: &["challenger-send-post.sh"],
        settings: &[
            "PINGEN_ADDRESS_POSITION",
            "PINGEN_AUTH_URL",
            "PINGEN_CLIENT_ID",
            "PINGEN_CLIENT_SECRET",
            "PINGEN_COUNTRY",
            "PINGEN_DELIVERY_PRODUCT",
            "PINGEN_ORGANISATION",
            "PINGEN_PRINT_MODE",
            "PINGEN_PRINT_SPECTRUM",
            "PINGEN_SENDER",
            "PINGEN_TIMEOUT",
            "PINGEN_URL",
        ],
        limit: Some(("PINGEN_TIMEOUT", 25)),
        stays: false,
    },
    Shipped {
        programs: &["challenger-send-sms.sh"],
        settings: &["TELESIGN_API_KEY", "TELESIGN_CUSTOMER_ID", "TELESIGN_TIMEOUT", "TELESIGN_URL"],
        limit: Some(("TELESIGN_TIMEOUT", 25)),
        stays: false,
    },
];

/// An address that nobody has, by the fields of all types that are registered or shipped: for
/// checks, which send nothing.
pub const SAMPLE: [(&str, &str); 6] = [
    ("ADDRESS_COUNTRY", "CH"),
    ("ADDRESS_LINES", "Bahnhofstrasse 1\n8001 Zürich"),
    ("CONTACT_EMAIL", "ada@example.com"),
    ("CONTACT_NAME", "Ada"),
    ("CONTACT_PHONE", "+41791234567"),
    ("filename", "ada"),
];

impl Shipped {
    /// The helper that a program is, by its name: the last part of a path.
    pub fn find(program: &str) -> Option<&'static Self> {
        let name = Path::new(program).file_name()?.to_str()?;
        SHIPPED.iter().find(|helper| helper.programs.contains(&name))
    }
}
