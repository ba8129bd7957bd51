//! The certificate that connections over TLS are answered with: files -> what a handshake needs.
//!
//! Read at the start, and again when the operator asks ([`Tls::reload`], on SIGHUP): connections that come then get the
//! new one, those that are there keep theirs. Files that cannot be used change nothing.
//! Not here: the bytes of a connection (`transport`). No certificate is asked of clients, and the name that they ask for is
//! not looked at: there is one certificate.
//! Bounds: 256 sessions of TLS 1.2 can be resumed, as `rustls` has it.
//!
//! Field note: those of TLS 1.3 cannot. Their tickets come behind the handshake, and librtmp with GnuTLS (rtmpdump) takes the first
//! read that brings nothing else for an error. Test: `tests/e2e/tls.rs`.

use super::plain;
use alloc::{
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use core::fmt;
use rustls::{
    ServerConfig, ServerConnection,
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring},
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// `--tls-cert` and `--tls-key`: PEM files.
#[derive(Clone, Debug)]
pub struct TlsConfig {
    /// The certificate, and behind it those that vouch for it.
    pub certificate: PathBuf,
    /// Its private key: PKCS#8, PKCS#1 (RSA) or SEC1 (EC), not encrypted.
    pub key: PathBuf,
}

/// What is wrong with the files of a [`TlsConfig`]: the flag, the file and the reason.
#[derive(Clone, Debug)]
pub struct TlsError {
    flag: &'static str,
    file: PathBuf,
    why: String,
}

/// The certificate of a server.
pub(super) struct Tls {
    files: TlsConfig,
    current: Mutex<Arc<ServerConfig>>,
}

/// What clients that negotiate a protocol inside of TLS may have; RTMP has no name there.
const PROTOCOLS: [&[u8]; 2] = [b"http/1.1", b"http/1.0"];

/// Nobody's signature is verified: no certificate is asked of clients. What would do it stays out of the program that way.
const NO_VERIFICATION: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms { all: &[], mapping: &[] };

/// Bytes of a certificate with its chain, or of a key: some KB are usual.
const MAX_FILE: u64 = 1 << 20;

impl Tls {
    pub(super) fn load(files: TlsConfig) -> Result<Tls, TlsError> {
        let current = Mutex::new(read(&files)?);
        Ok(Tls { files, current })
    }

    /// Reads the files again.
    pub(super) fn reload(&self) -> Result<(), TlsError> {
        let config = read(&self.files)?;
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    pub(super) fn files(&self) -> &TlsConfig {
        &self.files
    }

    /// For a connection that begins.
    pub(super) fn accept(&self) -> Result<ServerConnection, rustls::Error> {
        let config = self.current.lock().unwrap_or_else(PoisonError::into_inner).clone();
        ServerConnection::new(config)
    }
}

fn read(files: &TlsConfig) -> Result<Arc<ServerConfig>, TlsError> {
    let of_certificate = |why| TlsError { flag: "tls-cert", file: files.certificate.clone(), why };
    let of_key = |why| TlsError { flag: "tls-key", file: files.key.clone(), why };
    let chain = certificates(&files.certificate).map_err(of_certificate)?;
    let key = key(&files.key).map_err(of_key)?;
    let provider =
        CryptoProvider { signature_verification_algorithms: NO_VERIFICATION, ..ring::default_provider() };
    let builder = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| of_certificate(error.to_string()))?;
    let result = builder.with_no_client_auth().with_single_cert(chain, key);
    let mut config = result.map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            of_key(format!("does not belong to the certificate in {}", files.certificate.display()))
        }
        rustls::Error::InvalidCertificate(why) => of_certificate(format!("no proper certificate: {why}")),
        _ => of_key("no key of a kind that can be used (RSA, ECDSA P-256 or P-384, Ed25519)".to_string()),
    })?;
    // See the field note.
    config.send_tls13_tickets = 0;
    config.alpn_protocols = PROTOCOLS.iter().map(|name| name.to_vec()).collect();
    Ok(Arc::new(config))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = contents(file)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match chain {
        Ok(chain) if chain.is_empty() => Err("no certificate in it (PEM is expected)".to_string()),
        Ok(chain) => Ok(chain),
        Err(error) => Err(malformed(&error)),
    }
}

fn key(file: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let text = contents(file)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        pem::Error::NoItemsFound => "no private key in it (PEM, not encrypted, is expected)".to_string(),
        error => malformed(&error),
    })
}

/// The file, which a mistyped name must not make endless.
fn contents(file: &Path) -> Result<Vec<u8>, String> {
    let metadata = fs::metadata(file).map_err(|error| plain(&error))?;
    if metadata.is_dir() {
        return Err("Is a directory".to_string());
    }
    if !metadata.is_file() {
        return Err("not a regular file".to_string());
    }
    if metadata.len() > MAX_FILE {
        return Err(format!("{} bytes are too many for a certificate or key", metadata.len()));
    }
    fs::read(file).map_err(|error| plain(&error))
}

fn malformed(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => "the END line of a section is missing".to_string(),
        error => error.to_string(),
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--{} {}: {}", self.flag, self.file.display(), self.why)
    }
}

impl core::error::Error for TlsError {}
