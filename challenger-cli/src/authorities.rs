//! The authorities that the helpers trust: those of the system, and those in a file.

use std::fs;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

/// The authorities of this machine. Those that cannot be read are missing, and the server may have
/// another one.
pub(crate) fn of_system() -> Vec<CertificateDer<'static>> {
    rustls_native_certs::load_native_certs().certs
}

/// The authorities in a file.
///
/// # Errors
/// The file cannot be read, or is not PEM with good certificates; the message names it.
pub(crate) fn in_file(file: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let refused = |why: &str| format!("{file}: {why}");
    let pem = fs::read(file).map_err(|error| refused(&error.to_string()))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let found = found.map_err(|_| refused("invalid certificates"))?;
    if found.is_empty() {
        return Err(refused("there is no certificate in PEM format in it"));
    }
    let mut usable = RootCertStore::empty();
    for certificate in &found {
        usable.add(certificate.clone()).map_err(|error| refused(&error.to_string()))?;
    }
    Ok(found)
}
