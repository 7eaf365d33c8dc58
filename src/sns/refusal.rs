//! Why a message is not taken. SNS never repeats what was answered with 4xx, and repeats what was answered with 5xx: what can be mended by
//! time must be one of the last four.

use super::trust::Untrusted;
use crate::app::AppError;
use crate::app::code::Code;

/// Why a message is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It has not the shape of SNS's messages.
    #[error("malformed: {0}")]
    Malformed(String),
    /// Its topic is not listened to.
    #[error("the topic is not one that is listened to here")]
    Topic,
    /// Its signature is of version 1.
    #[error("signatures of version 1 are not taken")]
    Version,
    /// It names an address that is not SNS's.
    #[error("{0} is not an address of SNS in the topic's Region")]
    Address(&'static str),
    /// Its time is too far from ours.
    #[error("its time is too far from ours")]
    Time,
    /// Its certificate is not SNS's.
    #[error("the certificate is not SNS's: {0}")]
    Certificate(Untrusted),
    /// Its signature does not fit.
    #[error("the signature does not fit the message")]
    Signature,
    /// Its certificate could not be fetched.
    #[error("the certificate could not be fetched: {0}")]
    NoCertificate(String),
    /// SNS did not confirm the subscription.
    #[error("the subscription could not be confirmed: {0}")]
    NotConfirmed(String),
    /// Too much is going on, or it took too long.
    #[error("too busy")]
    Busy,
    /// It could not be stored.
    #[error("not stored")]
    NotStored(#[source] AppError),
}

impl Refusal {
    /// A word for metrics.
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::Topic => "foreign_topic",
            Self::Version => "signature_version",
            Self::Address(_) => "foreign_address",
            Self::Time => "too_old",
            Self::Certificate(_) => "untrusted_certificate",
            Self::Signature => "bad_signature",
            Self::NoCertificate(_) => "no_certificate",
            Self::NotConfirmed(_) => "not_confirmed",
            Self::Busy => "busy",
            Self::NotStored(_) => "not_stored",
        }
    }
}

impl From<AppError> for Refusal {
    fn from(error: AppError) -> Self {
        Self::NotStored(error)
    }
}

impl From<Refusal> for AppError {
    fn from(refusal: Refusal) -> Self {
        let detail = match &refusal {
            Refusal::Malformed(why) => why.clone(),
            Refusal::Version => {
                "signatures of version 1 are not taken: set the topic's SignatureVersion to 2"
                    .to_owned()
            }
            other => other.to_string(),
        };
        let code = match refusal {
            Refusal::Malformed(_) => Code::SnsMessageMalformed,
            Refusal::Topic => Code::SnsTopicNotAllowed,
            Refusal::Time => Code::SnsMessageTooOld,
            Refusal::Version
            | Refusal::Address(_)
            | Refusal::Certificate(_)
            | Refusal::Signature => Code::SnsSignatureInvalid,
            Refusal::NotStored(error) => return error,
            Refusal::NoCertificate(_) | Refusal::NotConfirmed(_) | Refusal::Busy => {
                return Self::unavailable(refusal);
            }
        };
        Self::new(code, detail)
    }
}
