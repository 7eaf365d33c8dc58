//! Somebody who signs as SNS does, and the few addresses of AWS that the hook may ask, without a network.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat, Utc};
use portcullis::sns::fetch::{Fetch, FetchError};
use portcullis::sns::metrics::HookMetrics;
use portcullis::sns::settings::SnsSettings;
use portcullis::sns::trust::{self, Roots};
use portcullis::sns::url::AwsUrl;
use portcullis::sns::{Hook, HttpFetch};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DnType, IsCa, KeyPair,
    PKCS_RSA_SHA256, RsaKeySize, date_time_ymd,
};
use serde_json::{Map, Value, json};

use super::{HERE, PROVIDER};

/// A hook that trusts nobody and reaches nobody.
pub(crate) fn deaf_hook() -> Hook {
    let nobody = Arc::new(FakeAws::default());
    let (settings, metrics) = (SnsSettings::default(), HookMetrics::default());
    Hook::new(&settings, nobody, Roots::default(), metrics)
}

/// What AWS answers, by address, and what it was asked.
#[derive(Debug, Default)]
pub(crate) struct FakeAws {
    answers: Mutex<HashMap<String, Result<Vec<u8>, FetchError>>>,
    asked: Mutex<Vec<String>>,
}

impl FakeAws {
    pub(crate) fn answers(&self, url: &str, answer: Result<Vec<u8>, FetchError>) {
        self.answers.lock().unwrap().insert(url.to_owned(), answer);
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

#[async_trait]
impl Fetch for FakeAws {
    async fn get(&self, url: &AwsUrl) -> Result<Vec<u8>, FetchError> {
        self.asked.lock().unwrap().push(url.as_str().to_owned());
        let answers = self.answers.lock().unwrap();
        let unknown = Err(FetchError::Status(403));
        answers.get(url.as_str()).cloned().unwrap_or(unknown)
    }
}

/// A key and its certificate, by an authority of its own.
pub(crate) struct Signer {
    key: RsaKeyPair,
    pub(crate) certificate: String,
    pub(crate) root: String,
}

/// What may be odd about a certificate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Oddity {
    #[default]
    None,
    Expired,
    NotYet,
    SelfSigned,
    OtherName,
}

impl Signer {
    pub(crate) fn new(oddity: Oddity) -> Self {
        let mut root = CertificateParams::new(Vec::new()).unwrap();
        root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        root.distinguished_name
            .push(DnType::CommonName, "an authority");
        let root = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
        let name = match oddity {
            Oddity::OtherName => "s3.eu-west-1.amazonaws.com",
            _ => "sns.amazonaws.com",
        };
        let mut leaf = CertificateParams::new(vec![name.to_owned()]).unwrap();
        leaf.distinguished_name.push(DnType::CommonName, name);
        if oddity == Oddity::Expired {
            leaf.not_after = date_time_ymd(2020, 1, 1);
        }
        if oddity == Oddity::NotYet {
            leaf.not_before = date_time_ymd(2400, 1, 1);
        }
        let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
        let certificate = match oddity {
            Oddity::SelfSigned => leaf.self_signed(&pair),
            _ => leaf.signed_by(&pair, &root),
        };
        Self {
            key: RsaKeyPair::from_pkcs8(&pair.serialize_der()).unwrap(),
            certificate: certificate.unwrap().pem(),
            root: root.as_ref().pem(),
        }
    }

    fn sign(&self, text: &str) -> String {
        let mut signature = vec![0; self.key.public_modulus_len()];
        let random = SystemRandom::new();
        self.key
            .sign(&RSA_PKCS1_SHA256, &random, text.as_bytes(), &mut signature)
            .unwrap();
        STANDARD.encode(signature)
    }
}

/// A chain of two, whose end says only where its issuer's certificate is: as SNS serves it.
pub(crate) struct Distant {
    pub(crate) signer: Signer,
    pub(crate) issuer: Vec<u8>,
}

pub(crate) const ISSUER: &str = "http://crt.r2m01.amazontrust.com/r2m01.cer";

impl Distant {
    pub(crate) fn new(issuer_url: &str) -> Self {
        let ca = |name: &str| {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.distinguished_name.push(DnType::CommonName, name);
            params
        };
        let root = CertifiedIssuer::self_signed(ca("root"), KeyPair::generate().unwrap()).unwrap();
        let middle = KeyPair::generate().unwrap();
        let middle = CertifiedIssuer::signed_by(ca("middle"), middle, &root).unwrap();
        let mut leaf = CertificateParams::new(vec!["sns.amazonaws.com".to_owned()]).unwrap();
        // AuthorityInfoAccess of one description: id-ad-caIssuers and a URI.
        let mut description = vec![0x06, 0x08, 0x2b, 6, 1, 5, 5, 7, 48, 2];
        description.extend([0x86, u8::try_from(issuer_url.len()).unwrap()]);
        description.extend(issuer_url.as_bytes());
        let mut access = vec![0x30, u8::try_from(description.len()).unwrap()];
        access.extend(description);
        access.splice(0..0, [0x30, u8::try_from(access.len()).unwrap()]);
        let oid = [1, 3, 6, 1, 5, 5, 7, 1, 1];
        leaf.custom_extensions
            .push(CustomExtension::from_oid_content(&oid, access));
        let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
        let certificate = leaf.signed_by(&pair, &middle).unwrap();
        Self {
            signer: Signer {
                key: RsaKeyPair::from_pkcs8(&pair.serialize_der()).unwrap(),
                certificate: certificate.pem(),
                root: root.as_ref().pem(),
            },
            issuer: middle.as_ref().der().to_vec(),
        }
    }
}

/// The topic that the tests listen to.
pub(crate) fn topic() -> String {
    format!("arn:aws:sns:{HERE}:{PROVIDER}:portcullis-connections")
}

/// Where the certificate is.
pub(crate) fn certificate_url() -> String {
    format!(
        "https://sns.{HERE}.amazonaws.com/SimpleNotificationService-{}.pem",
        "0a".repeat(16)
    )
}

/// An envelope that can be altered before or after it is signed.
#[derive(Debug, Clone)]
pub(crate) struct Envelope(pub(crate) Map<String, Value>);

impl Envelope {
    pub(crate) fn notification(at: DateTime<Utc>, message: &str) -> Self {
        let value = json!({
            "Type": "Notification",
            "MessageId": uuid::Uuid::new_v4().to_string(),
            "TopicArn": topic(),
            "Message": message,
            "Timestamp": at.to_rfc3339_opts(SecondsFormat::Millis, true),
            "SignatureVersion": "2",
            "SigningCertURL": certificate_url(),
            "UnsubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe",
        });
        Self(value.as_object().unwrap().clone())
    }

    pub(crate) fn confirmation(at: DateTime<Utc>) -> Self {
        let url = format!(
            "https://sns.{HERE}.amazonaws.com/?Action=ConfirmSubscription&TopicArn={}&Token=2336412f37",
            topic()
        );
        Self::notification(at, "You have chosen to subscribe.")
            .with("Type", "SubscriptionConfirmation")
            .with("Token", "2336412f37")
            .with("SubscribeURL", &url)
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn text(&self, name: &str) -> &str {
        self.0.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    pub(crate) fn signed(self, signer: &Signer) -> Self {
        let names: &[&str] = if self.text("Type") == "Notification" {
            &[
                "Message",
                "MessageId",
                "Subject",
                "Timestamp",
                "TopicArn",
                "Type",
            ]
        } else {
            &[
                "Message",
                "MessageId",
                "SubscribeURL",
                "Timestamp",
                "Token",
                "TopicArn",
                "Type",
            ]
        };
        let mut text = String::new();
        for name in names.iter().filter(|name| self.0.contains_key(**name)) {
            text.extend([*name, "\n", self.text(name), "\n"]);
        }
        let signature = signer.sign(&text);
        self.with("Signature", &signature)
    }

    pub(crate) fn body(&self) -> Vec<u8> {
        Value::Object(self.0.clone()).to_string().into_bytes()
    }
}

/// A hook that trusts a signer, whose certificate AWS serves.
pub(crate) fn hook(signer: &Signer, settings: &SnsSettings) -> (Arc<Hook>, Arc<FakeAws>) {
    let aws = Arc::new(FakeAws::default());
    aws.answers(
        &certificate_url(),
        Ok(signer.certificate.clone().into_bytes()),
    );
    let hook = Hook::new(
        settings,
        aws.clone(),
        roots(&signer.root),
        HookMetrics::default(),
    );
    (Arc::new(hook), aws)
}

/// A hook that reaches the simulator.
pub(crate) fn hook_to(origin: &str, root: &str, settings: &SnsSettings) -> Arc<Hook> {
    let fetch = HttpFetch::new(settings.fetch_timeout, &[], Some(origin)).unwrap();
    let metrics = HookMetrics::default();
    Arc::new(Hook::new(settings, Arc::new(fetch), roots(root), metrics))
}

fn roots(pem: &str) -> Roots {
    let mut roots = Roots::default();
    let certificates = trust::certificates(pem.as_bytes()).unwrap();
    roots.add(&certificates).unwrap();
    roots
}
