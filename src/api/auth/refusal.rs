//! Why a caller is not known.

/// Which check a token failed: for the log and the metrics, never for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It is longer than any good one.
    TooLong,
    /// It is not three parts with dots between them.
    Shape,
    /// Its header is no JSON object, or says something twice.
    Header,
    /// It asks for an extension that is not understood.
    Extension,
    /// Its algorithm is none that is taken, or not the one of its key.
    Algorithm,
    /// It is of another type.
    Type,
    /// Nobody who is trusted has issued it.
    Issuer,
    /// Its key is not known.
    Key,
    /// The signature is not that key's.
    Signature,
    /// Its claims are no JSON object, or say something twice, or one that is needed is missing or malformed.
    Claims,
    /// It is for somebody else.
    Audience,
    /// It is not good yet.
    NotYet,
    /// It is good for longer than tokens may be.
    Lifetime,
    /// Its subject is empty, too long, or has characters that none may have.
    Subject,
    /// Its roles and its organisation do not go together.
    Organisation,
    /// It is shaped like a service token and is none that exists.
    ServiceToken,
    /// The service token was revoked.
    Revoked,
}

impl Reason {
    /// In one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::Shape => "shape",
            Self::Header => "header",
            Self::Extension => "extension",
            Self::Algorithm => "algorithm",
            Self::Type => "type",
            Self::Issuer => "issuer",
            Self::Key => "key",
            Self::Signature => "signature",
            Self::Claims => "claims",
            Self::Audience => "audience",
            Self::NotYet => "not_yet",
            Self::Lifetime => "lifetime",
            Self::Subject => "subject",
            Self::Organisation => "organisation",
            Self::ServiceToken => "service_token",
            Self::Revoked => "revoked",
        }
    }
}

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// There is no token.
    #[error("the request carries no bearer token")]
    Missing,
    /// The `Authorization` header is not one bearer token.
    #[error("the Authorization header is not one bearer token")]
    Malformed,
    /// The token is not one we accept; which check failed is for the log only.
    #[error("the bearer token is not accepted ({})", .0.as_str())]
    Refused(Reason),
    /// The token was good until its end.
    #[error("the bearer token has expired")]
    Expired,
    /// The issuer's keys are too old to be believed, or were never had.
    #[error("the keys of the token's issuer are not known")]
    KeysUnavailable,
    /// Whether there is such a service token cannot be looked up now.
    #[error("service tokens cannot be looked up")]
    LookupFailed,
}

impl AuthError {
    /// In one word, for the metrics.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::Refused(reason) => reason.as_str(),
            Self::Expired => "expired",
            Self::KeysUnavailable => "keys_unavailable",
            Self::LookupFailed => "lookup_failed",
        }
    }
}
