//! Whom TLS trusts: the machine's own certificates, so that a company's authority works, else Mozilla's.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

/// A client configuration that trusts the machine's store and `extra`. Reads files: call it off the reactor.
///
/// `SSL_CERT_FILE` and `SSL_CERT_DIR` name another store, as for OpenSSL.
///
/// # Errors
/// Only if the TLS library finds no protocol version to speak.
pub(super) fn client_config(extra: &[CertificateDer<'static>]) -> Result<Arc<ClientConfig>, rustls::Error> {
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    let (added, ignored) = roots.add_parsable_certificates(native.certs);
    if added == 0 {
        tracing::info!(
            ignored,
            errors = native.errors.len(),
            "no certificate store on this machine: using Mozilla's"
        );
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots.add_parsable_certificates(extra.iter().cloned());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
