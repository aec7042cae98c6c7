//! A certificate authority that lives for one run, and what each client needs to trust it: as a file alone, and among the
//! machine's own roots. Apart because who trusts whom is what makes a TLS measurement comparable.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Where systems keep their roots in one file: Amazon Linux and Fedora, Debian, SUSE, macOS.
const SYSTEM_ROOTS: [&str; 4] = [
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Both sides of the TLS that is measured.
#[derive(Debug)]
pub struct Certificates {
    /// What the endpoint shows.
    pub server: Arc<ServerConfig>,
    /// The authority alone.
    pub authority: PathBuf,
    /// The machine's roots, and the authority after them: what the system's store costs.
    pub among_system_roots: PathBuf,
    /// The same with the roots that boto3 brings, and reads on AWS too.
    pub among_boto3s_roots: PathBuf,
}

impl Certificates {
    /// Makes an authority and a certificate for localhost. The keys are P-256, the cheaper kind of those that AWS shows.
    pub fn new(folder: &Path, boto3s_roots: &Path) -> Result<Self> {
        let mut authority = CertificateParams::default();
        authority.distinguished_name = named("cold-start authority");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority_key = KeyPair::generate()?;
        let authority_pem = authority.self_signed(&authority_key)?.pem();
        let issuer = Issuer::new(authority, authority_key);

        let key = KeyPair::generate()?;
        let mut certificate = CertificateParams::new(vec!["localhost".to_owned()])?;
        certificate.distinguished_name = named("localhost");
        certificate.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        certificate.use_authority_key_identifier_extension = true;
        let certificate: CertificateDer<'static> = certificate.signed_by(&key, &issuer)?.der().clone();
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(|words| anyhow::anyhow!("the key: {words}"))?;

        Ok(Self {
            server: Arc::new(server(certificate, key)?),
            authority: written(folder, "authority.pem", &authority_pem)?,
            among_system_roots: written(folder, "system.pem", &(roots(system_roots()?)? + &authority_pem))?,
            among_boto3s_roots: written(folder, "boto3.pem", &(roots(boto3s_roots)? + &authority_pem))?,
        })
    }
}

/// OpenSSL takes a certificate for self-signed whose name is its issuer's.
fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

fn server(certificate: CertificateDer<'static>, key: PrivateKeyDer<'static>) -> Result<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A fresh process never has a ticket, and the calls of one invocation go to different hosts: every handshake is whole.
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    Ok(config)
}

fn system_roots() -> Result<&'static Path> {
    let path = SYSTEM_ROOTS.iter().map(Path::new).find(|path| path.exists());
    path.context("this machine has no file of root certificates")
}

fn roots(file: &Path) -> Result<String> {
    let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    Ok(text + "\n")
}

fn written(folder: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    Ok(path)
}
