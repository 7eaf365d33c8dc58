//! Real signatures under SNS envelopes, by a certificate authority that each process makes for itself.
//!
//! The key is made when the first envelope is signed, at random: envelopes are the one thing that differs between two runs
//! with the same seed. Version 1 is SHA-1 with RSA, SNS's default; version 2 is SHA-256 with RSA. One key signs both.

use std::fmt::Write as _;
use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, PKCS_RSA_SHA256,
    RsaKeySize,
};
use serde_json::{Map, Value};

use super::rsa_sha1::LegacyKey;

/// What is signed of a notification, in this order; `Subject` only when there is one.
const NOTIFICATION: [&str; 6] = [
    "Message",
    "MessageId",
    "Subject",
    "Timestamp",
    "TopicArn",
    "Type",
];

/// What is signed of a request to confirm, in this order.
const CONFIRMATION: [&str; 7] = [
    "Message",
    "MessageId",
    "SubscribeURL",
    "Timestamp",
    "Token",
    "TopicArn",
    "Type",
];

/// The key that signs, and the certificates that say whose it is.
#[derive(Debug)]
pub(crate) struct Authority {
    key: RsaKeyPair,
    /// The same key, for version 1.
    legacy: LegacyKey,
    /// The certificate of the key, in PEM.
    pub(crate) certificate: String,
    /// The certificate of the authority that signed it, in PEM.
    pub(crate) root: String,
    /// The certificate's file name, as SNS names its own.
    pub(crate) file: String,
}

static AUTHORITY: LazyLock<Option<Authority>> = LazyLock::new(|| match make() {
    Ok(authority) => Some(authority),
    Err(error) => {
        tracing::error!(%error, "no signing key could be made, SNS envelopes go unsigned");
        None
    }
});

/// This process's authority; made on first use.
pub(crate) fn authority() -> Option<&'static Authority> {
    AUTHORITY.as_ref()
}

fn make() -> Result<Authority, Box<dyn std::error::Error>> {
    let mut root = CertificateParams::new(Vec::new())?;
    root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    root.distinguished_name
        .push(DnType::CommonName, "privatelink-sim certificate authority");
    let root = CertifiedIssuer::self_signed(root, KeyPair::generate()?)?;
    let mut leaf = CertificateParams::new(vec!["sns.amazonaws.com".to_owned()])?;
    leaf.distinguished_name
        .push(DnType::CommonName, "sns.amazonaws.com");
    let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)?;
    let certificate = leaf.signed_by(&pair, &root)?;
    let mut file = "SimpleNotificationService-".to_owned();
    for byte in digest(&SHA256, certificate.der()).as_ref().iter().take(16) {
        write!(file, "{byte:02x}")?;
    }
    file.push_str(".pem");
    Ok(Authority {
        key: RsaKeyPair::from_pkcs8(&pair.serialize_der())?,
        legacy: LegacyKey::from_pkcs8(&pair.serialize_der())
            .ok_or("the key is not an RSA key with its primes")?,
        certificate: certificate.pem(),
        root: root.as_ref().pem(),
        file,
    })
}

/// Adds the version and the signature to an envelope, and where its certificate is. The links that are added afterwards are
/// not part of what is signed.
pub(super) fn sign(envelope: &mut Map<String, Value>, version: &str, sns_host: &str) {
    envelope.insert("SignatureVersion".into(), version.into());
    let Some(authority) = authority() else { return };
    let text = signed_text(envelope);
    let signed = match version {
        "2" => authority.sign_sha256(text.as_bytes()),
        _ => Some(authority.legacy.sign(text.as_bytes())),
    };
    let Some(signature) = signed else {
        tracing::error!("an SNS envelope could not be signed");
        return;
    };
    envelope.insert("Signature".into(), STANDARD.encode(signature).into());
    let url = format!("{sns_host}/{}", authority.file);
    envelope.insert("SigningCertURL".into(), url.into());
}

impl Authority {
    fn sign_sha256(&self, text: &[u8]) -> Option<Vec<u8>> {
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                text,
                &mut signature,
            )
            .ok()?;
        Some(signature)
    }
}

/// Each signed name and its value on lines of their own, the last one ended too.
fn signed_text(envelope: &Map<String, Value>) -> String {
    let text_of = |name: &str| envelope.get(name).and_then(Value::as_str);
    let names: &[&str] = if text_of("Type") == Some("Notification") {
        &NOTIFICATION
    } else {
        &CONFIRMATION
    };
    let mut text = String::new();
    for (name, value) in names
        .iter()
        .filter_map(|name| text_of(name).map(|value| (name, value)))
    {
        text.extend([*name, "\n", value, "\n"]);
    }
    text
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{
        KeyPair as _, RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256,
        UnparsedPublicKey,
    };
    use serde_json::json;

    use super::*;

    fn verifies(version: &str, text: &str, signature: &str) -> bool {
        let key = authority().unwrap().key.public_key();
        let algorithm = match version {
            "1" => &RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
            _ => &RSA_PKCS1_2048_8192_SHA256,
        };
        let key = UnparsedPublicKey::new(algorithm, key.as_ref());
        let signature = STANDARD.decode(signature).unwrap();
        key.verify(text.as_bytes(), &signature).is_ok()
    }

    #[test]
    fn the_signatures_of_both_versions_are_over_the_documented_lines() {
        let lines = "Message\nhi\nyou\nMessageId\nm\nSubject\ns\nTimestamp\nnow\nTopicArn\nt\nType\nNotification\n";
        let mut envelope = json!({
            "Type": "Notification", "MessageId": "m", "TopicArn": "t", "Subject": "s", "Message": "hi\nyou",
            "Timestamp": "now",
        });
        let envelope = envelope.as_object_mut().unwrap();
        for (version, other) in [("1", "2"), ("2", "1")] {
            sign(envelope, version, "https://sns.eu-west-1.amazonaws.com");
            assert_eq!(envelope["SignatureVersion"], version);
            let signature = envelope["Signature"].as_str().unwrap();
            assert!(verifies(version, lines, signature));
            assert!(!verifies(other, lines, signature));
            assert!(!verifies(version, &lines.replace("hi", "ho"), signature));
        }
        let url = envelope["SigningCertURL"].as_str().unwrap();
        let file = url
            .strip_prefix("https://sns.eu-west-1.amazonaws.com/")
            .unwrap();
        assert_eq!(file, authority().unwrap().file);
    }

    #[test]
    fn a_request_to_confirm_is_signed_with_its_token() {
        let mut envelope = json!({
            "Type": "SubscriptionConfirmation", "MessageId": "m", "TopicArn": "t", "Message": "x",
            "Token": "k", "SubscribeURL": "u", "Timestamp": "now",
        });
        let envelope = envelope.as_object_mut().unwrap();
        sign(envelope, "2", "https://sns.eu-west-1.amazonaws.com");
        let lines = "Message\nx\nMessageId\nm\nSubscribeURL\nu\nTimestamp\nnow\nToken\nk\nTopicArn\nt\n\
                     Type\nSubscriptionConfirmation\n";
        assert!(verifies(
            "2",
            lines,
            envelope["Signature"].as_str().unwrap()
        ));
    }
}
