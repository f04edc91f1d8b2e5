//! The one TLS configuration: rustls with ring, and the roots people expect each platform to trust.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};

use crate::domain::Invalid;

/// A configuration that trusts `SSL_CERT_FILE` and `SSL_CERT_DIR` if either is set, else the platform's roots.
///
/// # Errors
/// When those variables name nothing that holds a certificate.
pub fn client_config() -> Result<ClientConfig, Invalid> {
    let builder = match named_roots()? {
        Some(roots) => builder()?.with_root_certificates(roots),
        None => platform::trust(builder()?)?,
    };
    Ok(builder.with_no_client_auth())
}

/// A configuration for connections that will not use TLS: it trusts nobody and reads nothing.
pub fn unused() -> Result<ClientConfig, Invalid> {
    Ok(builder()?.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, Invalid> {
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| Invalid::new(format!("TLS cannot be set up: {e}"), "report this as a bug"))
}

fn named_roots() -> Result<Option<RootCertStore>, Invalid> {
    let named = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let file = named("SSL_CERT_FILE").map(PathBuf::from);
    let folders: Vec<PathBuf> =
        named("SSL_CERT_DIR").map(|list| std::env::split_paths(&list).collect()).unwrap_or_default();
    if file.is_none() && folders.is_empty() {
        return Ok(None);
    }
    let mut roots = RootCertStore::empty();
    if let Some(file) = &file {
        // Reading a FIFO, which `<(...)` is, could wait for ever; and the process that renews the login cannot have it.
        if file.exists() && !file.is_file() {
            return Err(Invalid::new(
                "SSL_CERT_FILE names something that is not a regular file",
                "point it at a PEM bundle that stays where it is",
            ));
        }
        add(&mut roots, Some(file), None);
    }
    for folder in &folders {
        add(&mut roots, None, Some(folder));
    }
    if roots.is_empty() {
        return Err(Invalid::new(
            "SSL_CERT_FILE and SSL_CERT_DIR name no readable certificate",
            "point SSL_CERT_FILE at a PEM bundle, or unset both",
        ));
    }
    Ok(Some(roots))
}

/// Adds what can be read; how many certificates came of it decides, not how many files could not be read.
fn add(roots: &mut RootCertStore, file: Option<&Path>, folder: Option<&Path>) {
    let found = rustls_native_certs::load_certs_from_paths(file, folder);
    roots.add_parsable_certificates(found.certs);
}

#[cfg(not(any(target_os = "macos", windows)))]
mod platform {
    use rustls::client::WantsClientCert;
    use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};

    use crate::domain::Invalid;

    /// The distribution's one bundle file: a tenth of the time that its hashed directory takes.
    pub fn trust(
        builder: ConfigBuilder<ClientConfig, WantsVerifier>,
    ) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, Invalid> {
        let mut roots = RootCertStore::empty();
        if let Some(bundle) = openssl_probe::probe().cert_file {
            super::add(&mut roots, Some(&bundle), None);
        }
        if roots.is_empty() {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        if roots.is_empty() {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        Ok(builder.with_root_certificates(roots))
    }
}

#[cfg(any(target_os = "macos", windows))]
mod platform {
    use rustls::client::WantsClientCert;
    use rustls::{ClientConfig, ConfigBuilder, WantsVerifier};
    use rustls_platform_verifier::BuilderVerifierExt as _;

    use crate::domain::Invalid;

    /// The system's own verifier, which knows the roots an administrator added.
    pub fn trust(
        builder: ConfigBuilder<ClientConfig, WantsVerifier>,
    ) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, Invalid> {
        builder.with_platform_verifier().map_err(|e| {
            Invalid::new(
                format!("the system's certificate store cannot be used: {e}"),
                "point SSL_CERT_FILE at a PEM bundle",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    /// A mismatched rustls would only be noticed here: reqwest takes the configuration as `impl Any`.
    #[test]
    fn reqwest_understands_our_configuration() {
        let config = super::unused().expect("a configuration");
        assert!(reqwest::Client::builder().tls_backend_preconfigured(config).build().is_ok());
    }
}
