//! Countries, by the codes of ISO 3166-1.

use alloc::string::String;

/// The field with the country of a postal address.
pub(crate) const COUNTRY: &str = "ADDRESS_COUNTRY";

/// The two-letter codes of ISO 3166-1, and `XK` for Kosovo, which is a code for private use there
/// and what the post, banks and the European Union write.
pub(crate) const CODES: [&str; 250] = [
    "AD", "AE", "AF", "AG", "AI", "AL", "AM", "AO", "AQ", "AR", "AS", "AT", "AU", "AW", "AX", "AZ",
    "BA", "BB", "BD", "BE", "BF", "BG", "BH", "BI", "BJ", "BL", "BM", "BN", "BO", "BQ", "BR", "BS",
    "BT", "BV", "BW", "BY", "BZ", "CA", "CC", "CD", "CF", "CG", "CH", "CI", "CK", "CL", "CM", "CN",
    "CO", "CR", "CU", "CV", "CW", "CX", "CY", "CZ", "DE", "DJ", "DK", "DM", "DO", "DZ", "EC", "EE",
    "EG", "EH", "ER", "ES", "ET", "FI", "FJ", "FK", "FM", "FO", "FR", "GA", "GB", "GD", "GE", "GF",
    "GG", "GH", "GI", "GL", "GM", "GN", "GP", "GQ", "GR", "GS", "GT", "GU", "GW", "GY", "HK", "HM",
    "HN", "HR", "HT", "HU", "ID", "IE", "IL", "IM", "IN", "IO", "IQ", "IR", "IS", "IT", "JE", "JM",
    "JO", "JP", "KE", "KG", "KH", "KI", "KM", "KN", "KP", "KR", "KW", "KY", "KZ", "LA", "LB", "LC",
    "LI", "LK", "LR", "LS", "LT", "LU", "LV", "LY", "MA", "MC", "MD", "ME", "MF", "MG", "MH", "MK",
    "ML", "MM", "MN", "MO", "MP", "MQ", "MR", "MS", "MT", "MU", "MV", "MW", "MX", "MY", "MZ", "NA",
    "NC", "NE", "NF", "NG", "NI", "NL", "NO", "NP", "NR", "NU", "NZ", "OM", "PA", "PE", "PF", "PG",
    "PH", "PK", "PL", "PM", "PN", "PR", "PS", "PT", "PW", "PY", "QA", "RE", "RO", "RS", "RU", "RW",
    "SA", "SB", "SC", "SD", "SE", "SG", "SH", "SI", "SJ", "SK", "SL", "SM", "SN", "SO", "SR", "SS",
    "ST", "SV", "SX", "SY", "SZ", "TC", "TD", "TF", "TG", "TH", "TJ", "TK", "TL", "TM", "TN", "TO",
    "TR", "TT", "TV", "TW", "TZ", "UA", "UG", "UM", "US", "UY", "UZ", "VA", "VC", "VE", "VG", "VI",
    "VN", "VU", "WF", "WS", "XK", "YE", "YT", "ZA", "ZM", "ZW",
];

/// Whether a text is a code of a country.
pub(crate) fn exists(code: &str) -> bool {
    CODES.binary_search(&code).is_ok()
}

/// A code in capitals. Two that people know from elsewhere become those of ISO 3166-1: `UK`, and
/// `EL`, by which the European Union means Greece.
pub(crate) fn tidied(text: &str) -> String {
    let code = text.to_ascii_uppercase();
    match code.as_str() {
        "EL" => "GR".into(),
        "UK" => "GB".into(),
        _ => code,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_in_order_and_each_stands_once() {
        assert!(CODES.is_sorted_by(|a, b| a < b));
        let is_code =
            |code: &&str| code.len() == 2 && code.bytes().all(|it| it.is_ascii_uppercase());
        assert!(CODES.iter().all(is_code));
        assert!(CODES.iter().all(|code| tidied(code) == *code));
        for code in ["CH", "GB", "GR", "XK", "ZW", "AD"] {
            assert!(exists(code), "{code}");
        }
        for code in ["", "C", "ch", "CHE", "UK", "EL", "ZZ", "AN", "SU", "EU"] {
            assert!(!exists(code), "{code}");
        }
    }
}
