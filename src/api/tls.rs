//! The TLS configuration: rustls with the ring provider, and the platform's root certificates.

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};

use crate::domain::Invalid;
use crate::error::io_reason;

/// Returns a configuration that trusts the certificates in `SSL_CERT_FILE` and `SSL_CERT_DIR`. If
/// neither is set, it trusts the platform's root certificates.
pub fn client_config() -> Result<ClientConfig, Invalid> {
    match roots_from_env()? {
        Some(roots) => trust(roots),
        None => trust_platform(),
    }
}

/// Returns a configuration that trusts only `roots`. If `roots` is empty, every handshake fails.
pub fn trust(roots: RootCertStore) -> Result<ClientConfig, Invalid> {
    let builder = builder()?.with_root_certificates(roots);
    Ok(builder.with_no_client_auth())
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, Invalid> {
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| Invalid::new(format!("couldn't set up TLS: {e}"), "report this as a bug"))
}

fn roots_from_env() -> Result<Option<RootCertStore>, Invalid> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let (file, folders) = (variable("SSL_CERT_FILE"), variable("SSL_CERT_DIR"));
    let mut roots = RootCertStore::empty();
    if let Some(file) = file.as_ref().map(Path::new) {
        add_bundle(&mut roots, file).map_err(|reason| {
            let message = format!("SSL_CERT_FILE: can't use {} ({reason})", file.display());
            Invalid::new(
                message,
                "set SSL_CERT_FILE to the path of a PEM file, or unset it",
            )
        })?;
    }
    for folder in folders.iter().flat_map(std::env::split_paths) {
        let found = rustls_native_certs::load_certs_from_paths(None, Some(&folder));
        roots.add_parsable_certificates(found.certs);
    }
    if folders.is_some() && roots.is_empty() {
        let hint = "put certificates in the folder and run c_rehash on it, or unset SSL_CERT_DIR";
        return Err(Invalid::new("SSL_CERT_DIR contains no certificates", hint));
    }
    Ok((file.is_some() || folders.is_some()).then_some(roots))
}

/// Adds the certificates in a PEM file, or returns the reason why that failed.
fn add_bundle(roots: &mut RootCertStore, file: &Path) -> Result<(), String> {
    let pem = std::fs::read(file).map_err(|e| io_reason(&e))?;
    let pem = String::from_utf8(pem)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    // The PEM parser of rustls would take a third of the time of a short command. It would also
    // skip a certificate after a byte order mark.
    let bodies = pem.split("-----BEGIN CERTIFICATE-----").skip(1);
    let certificates = bodies.filter_map(|body| {
        let (body, _) = body.split_once("-----END CERTIFICATE-----")?;
        let body: String = body.split_ascii_whitespace().collect();
        STANDARD.decode(body).ok().map(CertificateDer::from)
    });
    match roots.add_parsable_certificates(certificates) {
        (0, _) => Err("no certificates found".into()),
        _ => Ok(()),
    }
}

/// Returns a configuration that trusts the first certificate bundle found, which takes 0.5 ms to
/// read. The fallback, rustls-native-certs, may also read a whole folder and take up to 19 ms.
#[cfg(not(any(target_os = "macos", windows)))]
fn trust_platform() -> Result<ClientConfig, Invalid> {
    /// Paths of certificate bundles on Debian, Fedora, openSUSE, Alpine and FreeBSD.
    const BUNDLES: [&str; 5] = [
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
        "/etc/ssl/ca-bundle.pem",
        "/etc/ssl/cert.pem",
        "/usr/local/etc/ssl/cert.pem",
    ];
    let mut roots = RootCertStore::empty();
    let mut bundles = BUNDLES.iter().map(Path::new);
    if !bundles.any(|file| add_bundle(&mut roots, file).is_ok()) {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    trust(roots)
}

/// Returns a configuration that uses the system's verifier, which also trusts roots added by an
/// admin.
#[cfg(any(target_os = "macos", windows))]
fn trust_platform() -> Result<ClientConfig, Invalid> {
    use rustls_platform_verifier::BuilderVerifierExt as _;

    let builder = builder()?.with_platform_verifier().map_err(|e| {
        let message = format!("can't use the system's certificate store: {e}");
        Invalid::new(message, "set SSL_CERT_FILE to the path of a PEM file")
    })?;
    Ok(builder.with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// reqwest takes the configuration as `impl Any`, so a mismatch between its version of rustls
    /// and ours would show up only at run time.
    #[test]
    fn reqwest_accepts_our_tls_configuration() {
        let config = trust(RootCertStore::empty()).expect("a configuration");
        let builder = reqwest::Client::builder().tls_backend_preconfigured(config);
        assert!(builder.build().is_ok());
    }
}
