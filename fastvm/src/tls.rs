//! TLS: whose cryptography it uses, and which certificates it trusts.
//!
//! The provider is passed on by hand and never becomes that of the process, which is the program's to
//! choose: one that has chosen keeps its choice, here too. Reading the certificates of the system
//! takes longer than all else at start, so a client reads them once for all of its connections.

use std::sync::Arc;

use fastvm_api::Result;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
use rustls_platform_verifier::Verifier;

use crate::client::config;

/// Trusts the certificates of the system, and `roots`.
pub(crate) fn trusting_system(roots: &[Vec<u8>]) -> Result<ClientConfig> {
    let builder = builder()?;
    let mut extra = Vec::new();
    for bytes in roots {
        extra.extend(parse_certificates(bytes)?);
    }
    let provider = builder.crypto_provider().clone();
    let verifier = Verifier::new_with_extra_roots(extra, provider).map_err(refused)?;
    Ok(builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

/// Trusts nobody: for what opens no connection.
pub(crate) fn trusting_nobody() -> Result<ClientConfig> {
    Ok(builder()?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth())
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>> {
    let builder = ClientConfig::builder_with_provider(provider()?);
    builder
        .with_safe_default_protocol_versions()
        .map_err(refused)
}

/// Makes sure that reqwest finds a provider where it sets TLS up by itself. It knows no way to be
/// given one but the process's.
pub(crate) fn provide_to_process() -> Result<()> {
    if CryptoProvider::get_default().is_none() {
        // Another thread may have been faster: its choice holds.
        let _ = Arc::unwrap_or_clone(provider()?).install_default();
    }
    Ok(())
}

/// That of the process if the program has chosen one, else that of this crate's features.
fn provider() -> Result<Arc<CryptoProvider>> {
    if let Some(chosen) = CryptoProvider::get_default() {
        return Ok(chosen.clone());
    }
    built_in().map(Arc::new).ok_or_else(|| {
        config(
            "no cryptography for TLS: enable the feature `ring` or `aws-lc-rs` of fastvm, or \
             install a provider of rustls for the process",
        )
    })
}

fn built_in() -> Option<CryptoProvider> {
    #[cfg(feature = "ring")]
    return Some(rustls::crypto::ring::default_provider());
    #[cfg(all(feature = "aws-lc-rs", not(feature = "ring")))]
    return Some(rustls::crypto::aws_lc_rs::default_provider());
    #[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
    None
}

/// The certificates of a root certificate file, PEM or DER.
pub(crate) fn parse_certificates(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let is_pem = bytes.trim_ascii_start().starts_with(b"-----BEGIN");
    let refuse = || config("a root certificate is neither PEM nor DER");
    let parsed = match is_pem {
        true => CertificateDer::pem_slice_iter(bytes)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| refuse().with_source(error))?,
        false => vec![CertificateDer::from(bytes.to_vec())],
    };
    // What is no certificate would be passed over in silence, and missed only when it is needed.
    let mut store = RootCertStore::empty();
    for certificate in &parsed {
        let added = store.add(certificate.clone());
        added.map_err(|error| refuse().with_source(error))?;
    }
    match parsed.is_empty() {
        true => Err(refuse()),
        false => Ok(parsed),
    }
}

fn refused(error: rustls::Error) -> fastvm_api::Error {
    config("TLS cannot be set up: does the system have CA certificates?").with_source(error)
}
