//! Real signatures under SNS envelopes, by a certificate authority that each process makes for itself.
//!
//! The key is made when the first envelope is signed, at random: envelopes are the one thing that differs between two runs
//! with the same seed. Only version 2 (SHA-256 with RSA) is signed. Version 1 is SHA-1 with RSA, which the cryptography of
//! this workspace verifies and, rightly, does not sign.

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
        certificate: certificate.pem(),
        root: root.as_ref().pem(),
        file,
    })
}

/// Adds the signature to an envelope, and where its certificate is.
pub(super) fn sign(envelope: &mut Map<String, Value>, sns_host: &str) {
    let Some(authority) = authority() else { return };
    let mut signature = vec![0; authority.key.public_modulus_len()];
    let text = signed_text(envelope);
    let signed = authority.key.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        text.as_bytes(),
        &mut signature,
    );
    if signed.is_err() {
        tracing::error!("an SNS envelope could not be signed");
        return;
    }
    envelope.insert("Signature".into(), STANDARD.encode(signature).into());
    let url = format!("{sns_host}/{}", authority.file);
    envelope.insert("SigningCertURL".into(), url.into());
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
    use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
    use serde_json::json;

    use super::*;

    fn verifies(text: &str, signature: &str) -> bool {
        let key = authority().unwrap().key.public_key();
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.as_ref());
        let signature = STANDARD.decode(signature).unwrap();
        key.verify(text.as_bytes(), &signature).is_ok()
    }

    #[test]
    fn the_signature_is_over_the_documented_lines() {
        let mut envelope = json!({
            "Type": "Notification", "MessageId": "m", "TopicArn": "t", "Subject": "s", "Message": "hi\nyou",
            "Timestamp": "now", "SignatureVersion": "2",
        });
        let envelope = envelope.as_object_mut().unwrap();
        sign(envelope, "https://sns.eu-west-1.amazonaws.com");
        let signature = envelope["Signature"].as_str().unwrap();
        let lines = "Message\nhi\nyou\nMessageId\nm\nSubject\ns\nTimestamp\nnow\nTopicArn\nt\nType\nNotification\n";
        assert!(verifies(lines, signature));
        assert!(!verifies(&lines.replace("hi", "ho"), signature));
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
        sign(envelope, "https://sns.eu-west-1.amazonaws.com");
        let lines = "Message\nx\nMessageId\nm\nSubscribeURL\nu\nTimestamp\nnow\nToken\nk\nTopicArn\nt\n\
                     Type\nSubscriptionConfirmation\n";
        assert!(verifies(lines, envelope["Signature"].as_str().unwrap()));
    }
}
