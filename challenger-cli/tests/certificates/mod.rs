//! Certificates of stand-ins on this machine, made once for all tests of a program.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The certificate that a server shows, for `localhost`, and authorities in PEM.
pub(crate) struct Certificates {
    pub(crate) tls: Arc<ServerConfig>,
    /// The authority that signed it.
    pub(crate) ca: String,
    /// Another authority.
    pub(crate) other: String,
    /// The certificate, and its key.
    pub(crate) server: String,
    pub(crate) key: String,
}

/// Certificates for `localhost`, by the authority `ca`, and of another one.
pub(crate) fn certificates() -> &'static Certificates {
    static CERTIFICATES: OnceLock<Certificates> = OnceLock::new();
    CERTIFICATES.get_or_init(make_certificates)
}

fn make_certificates() -> Certificates {
    const NEW: &str = "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    let directory = tempfile::tempdir().unwrap();
    let openssl = |arguments: &str| {
        let mut command = Command::new("openssl");
        command.args(arguments.split(' ')).current_dir(&directory).stdin(Stdio::null());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let file = |name: &str| directory.path().join(name);
    fs::write(file("extensions"), "subjectAltName=DNS:localhost\n").unwrap();
    for authority in ["ca", "other"] {
        let files = format!("-keyout {authority}.key -out {authority}.pem");
        openssl(&format!("{NEW} -x509 -days 2 -subj /CN={authority} {files}"));
    }
    openssl(&format!("{NEW} -subj /CN=localhost -keyout server.key -out server.csr"));
    let by = "-CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile extensions";
    openssl(&format!("x509 -req -in server.csr {by} -out server.pem"));
    let certificate = CertificateDer::from_pem_file(file("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(file("server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key);
    let tls = Arc::new(config.unwrap());
    let [ca, other, server, key] = ["ca.pem", "other.pem", "server.pem", "server.key"]
        .map(|it| fs::read_to_string(file(it)).unwrap());
    Certificates { tls, ca, other, server, key }
}
