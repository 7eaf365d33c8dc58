//! Whose certificate is it, and did its key sign this?
//!
//! SNS serves its certificate alone, without the issuer's. The chain is completed with what the certificate itself names as its issuer's address
//! (authority information access, RFC 5280 4.2.2.1). Chain, dates and names are checked anew for each message, so a certificate that ends in
//! the meantime ends; revocation is not asked about.

use std::time::Duration;

use aws_lc_rs::signature::{
    RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
};
use chrono::{DateTime, Utc};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::message::SignatureVersion;
use super::url::AwsUrl;

/// The most certificates that a chain may have besides the authority's own.
const LONGEST_CHAIN: usize = 5;

/// What `id-ad-caIssuers` is called: where an issuer's certificate is.
const CA_ISSUERS: &str = "1.3.6.1.5.5.7.48.2";

/// Why a certificate is not trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    /// What was fetched is no certificate.
    #[error("it cannot be read")]
    Unreadable,
    /// No trusted authority stands behind it.
    #[error("no trusted authority stands behind it")]
    UnknownIssuer,
    /// It is of somebody else.
    #[error("it has another name than SNS")]
    OtherName,
    /// Something else, such as its dates.
    #[error("it is not valid: {0}")]
    NotValid(String),
}

/// The authorities that are trusted.
#[derive(Debug, Default)]
pub struct Roots(Vec<TrustAnchor<'static>>);

impl Roots {
    /// The public authorities, as Mozilla lists them.
    pub fn public() -> Self {
        let anchors = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
        Self(
            anchors
                .filter_map(|root| Some(anchor_from_trusted_cert(root).ok()?.to_owned()))
                .collect(),
        )
    }

    /// Trusts these as well.
    pub fn add(&mut self, certificates: &[CertificateDer<'_>]) -> Result<(), Untrusted> {
        for certificate in certificates {
            let anchor =
                anchor_from_trusted_cert(certificate).map_err(|_| Untrusted::Unreadable)?;
            self.0.push(anchor.to_owned());
        }
        Ok(())
    }
}

/// The certificates in a PEM file, in order; none is an error.
pub fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Untrusted> {
    let mut found = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        found.push(certificate.map_err(|_| Untrusted::Unreadable)?);
    }
    if found.is_empty() || found.len() > LONGEST_CHAIN {
        return Err(Untrusted::Unreadable);
    }
    Ok(found)
}

/// A certificate and those that are said to stand between it and an authority.
#[derive(Debug, Clone)]
pub struct Chain {
    own: CertificateDer<'static>,
    issuers: Vec<CertificateDer<'static>>,
}

impl Chain {
    /// Reads what SNS serves.
    pub fn read(pem: &[u8]) -> Result<Self, Untrusted> {
        let mut all = certificates(pem)?.into_iter();
        let own = all.next().ok_or(Untrusted::Unreadable)?;
        EndEntityCert::try_from(&own).map_err(|_| Untrusted::Unreadable)?;
        Ok(Self {
            own,
            issuers: all.collect(),
        })
    }

    /// Where the last certificate says that its issuer's is, if that is an address that may be asked and the chain may grow.
    pub fn missing(&self) -> Option<AwsUrl> {
        if self.issuers.len() >= LONGEST_CHAIN {
            return None;
        }
        let last = self.issuers.last().unwrap_or(&self.own);
        let (_, parsed) = X509Certificate::from_der(last).ok()?;
        parsed.extensions().iter().find_map(|extension| {
            let ParsedExtension::AuthorityInfoAccess(access) = extension.parsed_extension() else {
                return None;
            };
            access.iter().find_map(|entry| match entry.access_location {
                GeneralName::URI(uri) if entry.access_method.to_id_string() == CA_ISSUERS => {
                    AwsUrl::issuer(uri)
                }
                _ => None,
            })
        })
    }

    /// Adds the issuer of the last certificate, in DER or PEM.
    pub fn complete(&mut self, issuer: &[u8]) -> Result<(), Untrusted> {
        if let Ok(found) = certificates(issuer) {
            self.issuers.extend(found);
        } else {
            X509Certificate::from_der(issuer).map_err(|_| Untrusted::Unreadable)?;
            self.issuers.push(CertificateDer::from(issuer.to_vec()));
        }
        Ok(())
    }

    /// Checks chain, dates and name, and answers with the key.
    pub fn verify(
        &self,
        roots: &Roots,
        at: DateTime<Utc>,
        names: &[String],
    ) -> Result<SignerKey, Untrusted> {
        let certificate = EndEntityCert::try_from(&self.own).map_err(|_| Untrusted::Unreadable)?;
        let seconds = u64::try_from(at.timestamp()).unwrap_or_default();
        certificate
            .verify_for_usage(
                webpki::ALL_VERIFICATION_ALGS,
                &roots.0,
                &self.issuers,
                UnixTime::since_unix_epoch(Duration::from_secs(seconds)),
                // AWS issues it as the certificate of a server.
                KeyUsage::server_auth(),
                None,
                None,
            )
            .map_err(|error| match error {
                webpki::Error::UnknownIssuer => Untrusted::UnknownIssuer,
                other => Untrusted::NotValid(other.to_string()),
            })?;
        let is_sns = names.iter().any(|name| {
            ServerName::try_from(name.as_str())
                .is_ok_and(|name| certificate.verify_is_valid_for_subject_name(&name).is_ok())
        });
        if !is_sns {
            return Err(Untrusted::OtherName);
        }
        Ok(SignerKey(
            certificate.subject_public_key_info().as_ref().to_vec(),
        ))
    }
}

/// The key of a certificate that was verified.
#[derive(Debug)]
pub struct SignerKey(Vec<u8>);

impl SignerKey {
    /// Whether this key signed the text.
    pub fn signed(&self, version: SignatureVersion, text: &str, signature: &[u8]) -> bool {
        let algorithm = match version {
            SignatureVersion::One => &RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
            SignatureVersion::Two => &RSA_PKCS1_2048_8192_SHA256,
        };
        UnparsedPublicKey::new(algorithm, &self.0)
            .verify(text.as_bytes(), signature)
            .is_ok()
    }
}
