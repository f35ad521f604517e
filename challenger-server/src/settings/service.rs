//! What the operator decides about the service itself.

use challenger_proto::{AddressFormat, AddressType, Documents, Limits, Restrictions, Service};

use super::MAIN;
use super::reader::Reader;
use crate::config::Config;
use crate::documents;

/// Stands for a type of address that could not be read.
const UNKNOWN: &str = "unknown";

pub(super) fn read_service(reader: &mut Reader<'_>) -> Option<Service> {
    // Without one, the other options are looked at all the same, as there may be more to say.
    let address_type = read_address_type(reader);
    let is_known = address_type.is_some();
    let mut service = Service::new(address_type.or_else(|| AddressType::new(UNKNOWN))?);
    read_limits(reader, &mut service.limits);
    service.address_hint = reader.optional("ADDRESS_HINT", Config::string).unwrap_or_default();
    let formats = [("json", AddressFormat::Json), ("plain", AddressFormat::Plain)];
    let format = reader.optional("AUTH_ADDRESS_FORMAT", |c, s, o| c.choice(s, o, &formats));
    service.address_format = format.unwrap_or_default();
    if service.address_format == AddressFormat::Plain
        && service.address_type.fields().is_some_and(|fields| fields.len() > 1)
    {
        reader.refuse("AUTH_ADDRESS_FORMAT", "json, because these addresses have several fields");
    }
    if let Some(json) = reader.optional("ADDRESS_RESTRICTIONS", Config::string) {
        match Restrictions::parse(&json) {
            Ok(restrictions) => service.restrictions = restrictions,
            Err(error) => reader.refuse("ADDRESS_RESTRICTIONS", &error.to_string()),
        }
    }
    check_restrictions(reader, &service);
    service.terms = read_documents(reader, "TERMS_ETAG", "TERMS_DIR");
    service.privacy = read_documents(reader, "PRIVACY_ETAG", "PRIVACY_DIR");
    is_known.then_some(service)
}

fn read_address_type(reader: &mut Reader<'_>) -> Option<AddressType> {
    let name = reader.required("ADDRESS_TYPE", Config::string)?;
    let address_type = AddressType::new(&name);
    if address_type.is_none() {
        reader.refuse("ADDRESS_TYPE", "a name of letters, digits, - and _, such as email or phone");
    }
    address_type
}

/// Finds restrictions that nobody can satisfy.
fn check_restrictions(reader: &mut Reader<'_>, service: &Service) {
    let fields = service.restrictions.fields();
    if service.address_format == AddressFormat::Plain && fields.count() > 1 {
        reader.refuse("ADDRESS_RESTRICTIONS", "one field at most, as AUTH_ADDRESS_FORMAT is plain");
    }
    let Some(known) = service.address_type.fields() else { return };
    for field in service.restrictions.fields().filter(|field| !known.contains(field)) {
        reader.warnings.push(format!(
            "[{MAIN}] ADDRESS_RESTRICTIONS demands {field}, which {} addresses do not have; only a \
             template of your own can ask for it",
            service.address_type.as_str()
        ));
    }
}

fn read_limits(reader: &mut Reader<'_>, limits: &mut Limits) {
    reader.count("ADDRESS_CHANGES", 0, &mut limits.address_changes);
    reader.count("PIN_TRANSMISSIONS", 1, &mut limits.pin_transmissions);
    reader.count("PIN_ATTEMPTS", 1, &mut limits.pin_attempts);
    reader.any_time("RETRANSMISSION_INTERVAL", &mut limits.retransmission_interval);
    reader.finite("VALIDATION_DURATION", &mut limits.validation_duration);
    reader.any_time("VALIDATION_EXPIRATION", &mut limits.validation_expiration);
    reader.finite("CODE_DURATION", &mut limits.code_duration);
    reader.finite("TOKEN_DURATION", &mut limits.token_duration);
}

/// Without a version there are no documents. With one, a directory that cannot be read is a
/// warning: the service can do its work without.
fn read_documents(reader: &mut Reader<'_>, etag: &str, directory: &str) -> Documents {
    let Some(version) = reader.optional(etag, Config::string) else { return Documents::default() };
    if version.is_empty() || !version.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/') {
        reader.refuse(etag, "the base name of the documents' files, of printable ASCII");
    }
    let Some(path) = reader.required(directory, Config::filename) else {
        return Documents::default();
    };
    match documents::load(&path, &version) {
        Ok(loaded) => {
            for warning in loaded.warnings {
                // Both kinds may be in the same directory, which has its mistakes once.
                if !reader.warnings.contains(&warning) {
                    reader.warnings.push(warning);
                }
            }
            if loaded.documents.is_empty() {
                let path = path.display();
                reader.warnings.push(format!(
                    "[{MAIN}] {etag} = {version}: there is no such document below {path}"
                ));
            }
            loaded.documents
        }
        Err(error) => {
            reader.warnings.push(format!("[{MAIN}] {directory}: {error}"));
            Documents::default()
        }
    }
}
