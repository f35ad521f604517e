//! The settings of the service itself.

use challenger_proto::address::{AddressType, FIELDS_MAX, Fields, Restrictions};
use challenger_proto::http::Documents;
use challenger_proto::machine::Limits;
use challenger_proto::{AddressFormat, Service};

use super::MAIN;
use super::budgets::{read_budgets, warn_about_budgets};
use super::reader::OptionReader;
use crate::config::Entry;
use crate::documents;
use crate::secrecy;
use crate::spelling::{did_you_mean, differences};

/// The placeholder for a type of address that could not be read.
const UNKNOWN: &str = "unknown";

pub(super) fn read_service(reader: &mut OptionReader<'_>) -> Option<Service> {
    // The other options are checked even without one, to report all errors at once.
    let (mut service, is_known) = read_addresses(reader)?;
    read_limits(reader, &mut service.limits);
    read_budgets(reader, &mut service.budgets);
    if is_known {
        warn_about_budgets(reader, &service);
    }
    service.terms = read_documents(reader, "TERMS_ETAG", "TERMS_DIR");
    service.privacy = read_documents(reader, "PRIVACY_ETAG", "PRIVACY_DIR");
    is_known.then_some(service)
}

/// Reads what addresses look like, for a service that has the defaults otherwise. Returns as well
/// whether their type is known.
pub(super) fn read_addresses(reader: &mut OptionReader<'_>) -> Option<(Service, bool)> {
    let address_type = read_address_type(reader);
    let is_known = address_type.is_some();
    let mut service = Service::new(address_type.or_else(|| AddressType::new(UNKNOWN))?);
    // An option is one line, and a letter's address has several.
    service.address_hint = reader.text("ADDRESS_HINT").unwrap_or_default().replace("\\n", "\n");
    let formats = [("json", AddressFormat::Json), ("plain", AddressFormat::Plain)];
    let format = reader.optional("AUTH_ADDRESS_FORMAT", |it| it.choice(&formats));
    service.address_format = format.unwrap_or_default();
    if read_fields(reader, &mut service) && is_known {
        check_fields(reader, &service);
    }
    Some((service, is_known))
}

/// Reads the fields and their restrictions, and returns whether both are valid.
fn read_fields(reader: &mut OptionReader<'_>, service: &mut Service) -> bool {
    let mut is_good = true;
    let names = reader.text("ADDRESS_FIELDS");
    // An empty option has no effect.
    if let Some(names) = names.filter(|names| !names.is_empty()) {
        match Fields::parse(&names) {
            Ok(fields) => service.address_fields = fields,
            Err(error) => {
                reader.refuse("ADDRESS_FIELDS", &error.to_string());
                is_good = false;
            }
        }
    }
    if let Some(json) = reader.text("ADDRESS_RESTRICTIONS") {
        match Restrictions::parse(&json) {
            Ok(restrictions) => service.restrictions = restrictions,
            Err(error) => {
                reader.refuse("ADDRESS_RESTRICTIONS", &error.to_string());
                is_good = false;
            }
        }
    }
    is_good
}

fn read_address_type(reader: &mut OptionReader<'_>) -> Option<AddressType> {
    let name = reader.required_text("ADDRESS_TYPE")?;
    let address_type = AddressType::new(&name);
    if address_type.is_none() {
        reader.refuse("ADDRESS_TYPE", "a name of letters, digits, - and _, such as email or phone");
    }
    address_type
}

/// Checks that the fields are declared, once, and fit the type of address and the format.
fn check_fields(reader: &mut OptionReader<'_>, service: &Service) {
    let address_type = service.address_type.as_str();
    let meant = AddressType::REGISTERED.into_iter().find(|it| is_one_letter_off(address_type, it));
    match service.address_type.fields() {
        Some(registered) => check_registered(reader, service, registered),
        None if service.address_fields.is_empty() && service.restrictions.is_empty() => {
            let expected = format!(
                "a type that has fields, such as email or postal, or for one of your own the names \
                 of its fields in ADDRESS_FIELDS or ADDRESS_RESTRICTIONS{}",
                did_you_mean(meant)
            );
            reader.refuse("ADDRESS_TYPE", &expected);
        }
        None if service.address_fields.is_empty() => {}
        None => {
            let declared = |field: &&str| service.address_fields.names().any(|it| it == *field);
            for field in service.restrictions.fields().filter(|field| !declared(field)) {
                let expected = format!("{field} among them, which ADDRESS_RESTRICTIONS demands");
                reader.refuse("ADDRESS_FIELDS", &expected);
            }
        }
    }
    if let Some(meant) = meant.filter(|_| !service.fields().is_empty()) {
        reader.warnings.push(format!(
            "[{MAIN}] ADDRESS_TYPE = {address_type} is a type of your own, without the pages and \
             limits of {meant}{}",
            did_you_mean(Some(meant))
        ));
    }
    let fields = service.fields().len();
    if fields > FIELDS_MAX {
        let expected =
            format!("{FIELDS_MAX} fields at most, with those of {address_type} addresses");
        reader.refuse("ADDRESS_RESTRICTIONS", &expected);
    }
    if service.address_format == AddressFormat::Plain && fields > 1 {
        reader.refuse("AUTH_ADDRESS_FORMAT", "json, because these addresses have several fields");
    }
}

/// Whether a type of the operator's own is probably a registered one with a slip in its name.
fn is_one_letter_off(own: &str, registered: &str) -> bool {
    own != registered && differences(&own.to_ascii_lowercase(), registered) <= 1
}

/// Checks a registered type, which has its own fields; restrictions may add others.
fn check_registered(reader: &mut OptionReader<'_>, service: &Service, registered: &[&str]) {
    let address_type = service.address_type.as_str();
    if !service.address_fields.is_empty() {
        let fields = registered.join(", ");
        let expected = format!("to be left out, because {address_type} addresses have {fields}");
        reader.refuse("ADDRESS_FIELDS", &expected);
    }
}

fn read_limits(reader: &mut OptionReader<'_>, limits: &mut Limits) {
    reader.count("ADDRESS_CHANGES", &mut limits.address_changes);
    reader.count_from_one("PIN_TRANSMISSIONS", &mut limits.pin_transmissions);
    reader.count_from_one("PIN_ATTEMPTS", &mut limits.pin_attempts);
    reader.any_time("RETRANSMISSION_INTERVAL", &mut limits.retransmission_interval);
    reader.finite("VALIDATION_DURATION", &mut limits.validation_duration);
    reader.any_time("VALIDATION_EXPIRATION", &mut limits.validation_expiration);
    reader.finite("CODE_DURATION", &mut limits.code_duration);
    reader.finite("TOKEN_DURATION", &mut limits.token_duration);
    let number = reader.optional("CLIENT_VALIDATIONS_MAX", |it| it.number(0..=u32::MAX.into()));
    if let Some(most) = number {
        // 0 means that there is no limit: nobody registers a client that may do nothing.
        limits.client_validations = u32::try_from(most).ok().filter(|most| *most > 0);
    }
}

/// Reads legal documents, if they have a version. A directory that cannot be read is only a
/// warning: the service works without.
fn read_documents(reader: &mut OptionReader<'_>, etag: &str, directory: &str) -> Documents {
    let Some(version) = reader.text(etag) else { return Documents::default() };
    if version.is_empty() || !version.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/') {
        reader.refuse(etag, "the base name of the documents' files, of printable ASCII");
    }
    let Some(path) = reader.required(directory, Entry::filename) else {
        return Documents::default();
    };
    match documents::load(&path, &version) {
        Ok(found) => {
            for warning in found.warnings {
                // Both kinds may be in the same directory, which has its mistakes once.
                if !reader.warnings.contains(&warning) {
                    reader.warnings.push(warning);
                }
            }
            if found.documents.is_empty() {
                let (path, version) = (secrecy::path(&path), secrecy::quote(&version));
                reader.warnings.push(format!(
                    "[{MAIN}] {etag} = {version}: there is no such document to serve below {path}"
                ));
            }
            found.documents
        }
        Err(error) => {
            reader.warnings.push(format!("[{MAIN}] {directory}: {error}"));
            Documents::default()
        }
    }
}
