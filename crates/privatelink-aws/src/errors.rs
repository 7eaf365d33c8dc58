//! The one table from what AWS says to the port's five errors.
//!
//! EC2 has no modelled errors: there is only a code string, so everything is decided by code, then by the family of the code,
//! then by HTTP status. Where no answer came, or one that cannot be read, the outcome is unknown.

mod scrub;

use std::error::Error;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use privatelink::GatewayError;

pub(crate) use scrub::scrub;

/// The port's errors without their words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Busy,
    NotFound,
    Denied,
    Invalid,
    Unknown,
}

/// Every code that is not decided by its family, and where it is documented:
/// "EC2" is the EC2 API reference's list of error codes, "ELBv2", "SNS", "SQS" and "STS" those services' API references, "common" the errors
/// common to all AWS Query APIs, "SDK" the retry rules of the AWS SDKs, "seen" public bug reports of programs that run on AWS.
const CODES: &[(&str, Kind, &str)] = &[
    // Slow down. AWS did nothing.
    ("RequestLimitExceeded", Kind::Busy, "EC2, with HTTP 503"),
    (
        "ConcurrentMutationLimitExceeded",
        Kind::Busy,
        "EC2; the SDK does not retry it",
    ),
    ("EC2ThrottledException", Kind::Busy, "SDK"),
    ("Throttling", Kind::Busy, "ELBv2, with HTTP 400"),
    ("ThrottlingException", Kind::Busy, "common"),
    ("ThrottledException", Kind::Busy, "SDK"),
    ("RequestThrottled", Kind::Busy, "SDK"),
    ("RequestThrottledException", Kind::Busy, "SDK"),
    ("TooManyRequestsException", Kind::Busy, "SDK"),
    ("Throttled", Kind::Busy, "SNS"),
    (
        "OverLimit",
        Kind::Busy,
        "SQS: too many messages are received and not deleted; they come back by themselves",
    ),
    (
        "AWS.SimpleQueueService.QueueDeletedRecently",
        Kind::Busy,
        "SQS: for 60 s a deleted queue's name cannot be used",
    ),
    ("QueueDeletedRecently", Kind::Busy, "SQS"),
    // Not here, or not to be known.
    (
        "InvalidServiceName",
        Kind::NotFound,
        "EC2; also for no permission and the wrong Region",
    ),
    (
        "NetworkLoadBalancerNotFoundException",
        Kind::NotFound,
        "EC2",
    ),
    (
        "LoadBalancerNotFound",
        Kind::NotFound,
        "ELBv2; the wire drops \"Exception\"",
    ),
    ("ListenerNotFound", Kind::NotFound, "ELBv2"),
    ("TargetGroupNotFound", Kind::NotFound, "ELBv2"),
    ("InvalidConnectionNotification", Kind::NotFound, "seen"),
    ("NotFound", Kind::NotFound, "SNS, with HTTP 404"),
    (
        "AWS.SimpleQueueService.NonExistentQueue",
        Kind::NotFound,
        "SQS, as its older protocol has it and the SDK passes it on",
    ),
    ("QueueDoesNotExist", Kind::NotFound, "SQS"),
    // Whoever asked may not.
    ("AuthFailure", Kind::Denied, "EC2, with HTTP 401 or 403"),
    ("UnauthorizedOperation", Kind::Denied, "EC2, with HTTP 403"),
    ("Blocked", Kind::Denied, "EC2"),
    ("OptInRequired", Kind::Denied, "EC2 and common"),
    ("PendingVerification", Kind::Denied, "EC2"),
    ("AccessDenied", Kind::Denied, "STS"),
    ("AccessDeniedException", Kind::Denied, "common"),
    ("ExpiredToken", Kind::Denied, "STS"),
    ("ExpiredTokenException", Kind::Denied, "common"),
    ("IncompleteSignature", Kind::Denied, "common"),
    (
        "InvalidClientTokenId",
        Kind::Denied,
        "common: an access key that does not exist",
    ),
    ("MissingAuthenticationToken", Kind::Denied, "common"),
    ("NotAuthorized", Kind::Denied, "common"),
    ("AuthorizationError", Kind::Denied, "SNS, with HTTP 403"),
    ("KMSAccessDenied", Kind::Denied, "SNS: an encrypted topic"),
    ("KmsAccessDenied", Kind::Denied, "SQS: an encrypted queue"),
    ("RegionDisabledException", Kind::Denied, "STS"),
    ("RequestExpired", Kind::Denied, "common: the clock is wrong"),
    ("SignatureDoesNotMatch", Kind::Denied, "STS"),
    ("UnrecognizedClientException", Kind::Denied, "common"),
    // Understood and refused.
    ("DryRunOperation", Kind::Invalid, "EC2, with HTTP 412"),
    ("ExistingVpcEndpointConnections", Kind::Invalid, "EC2"),
    ("FilterLimitExceeded", Kind::Invalid, "EC2"),
    ("IdempotentParameterMismatch", Kind::Invalid, "EC2"),
    ("IncorrectState", Kind::Invalid, "EC2"),
    ("InvalidAction", Kind::Invalid, "EC2 and common"),
    ("InvalidFilter", Kind::Invalid, "EC2"),
    ("InvalidMaxResults", Kind::Invalid, "EC2"),
    ("InvalidNextToken", Kind::Invalid, "EC2"),
    ("InvalidPaginationToken", Kind::Invalid, "EC2"),
    (
        "InvalidParameter",
        Kind::Invalid,
        "EC2; also a load balancer that backs another service",
    ),
    ("InvalidParameterCombination", Kind::Invalid, "EC2"),
    ("InvalidParameterValue", Kind::Invalid, "EC2"),
    (
        "InvalidPrincipal",
        Kind::Invalid,
        "seen: the ARN of an assumed role",
    ),
    ("InvalidState", Kind::Invalid, "EC2"),
    ("MalformedQueryString", Kind::Invalid, "EC2"),
    ("MissingParameter", Kind::Invalid, "EC2"),
    (
        "OperationNotPermitted",
        Kind::Invalid,
        "EC2 and ELBv2: the state forbids it, not the policy",
    ),
    ("UnknownParameter", Kind::Invalid, "EC2"),
    ("UnknownPrincipalType.Unsupported", Kind::Invalid, "EC2"),
    ("UnsupportedOperation", Kind::Invalid, "EC2"),
    ("VpcEndpointLimitExceeded", Kind::Invalid, "EC2"),
    (
        "QueueNameExists",
        Kind::Invalid,
        "SQS: with other attributes",
    ),
    ("QueueAlreadyExists", Kind::Invalid, "SQS: the same"),
    ("TopicLimitExceeded", Kind::Invalid, "SNS, with HTTP 403"),
    (
        "SubscriptionLimitExceeded",
        Kind::Invalid,
        "SNS, with HTTP 403",
    ),
    // AWS itself failed: the call may have worked.
    ("InternalError", Kind::Unknown, "EC2"),
    ("InternalFailure", Kind::Unknown, "EC2 and common"),
    ("ServerInternal", Kind::Unknown, "EC2"),
    ("ServiceUnavailable", Kind::Unknown, "EC2 and common"),
    ("Unavailable", Kind::Unknown, "EC2"),
];

/// Sorts what an SDK call ended in.
pub(crate) fn from_sdk<E>(error: &SdkError<E>) -> GatewayError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error {
        SdkError::ServiceError(context) => {
            let refusal = context.err();
            let raw = context.raw();
            let status = raw.status().as_u16();
            match refusal.code() {
                Some(code) => classify(
                    code,
                    status,
                    refusal.message().unwrap_or_default(),
                    raw.headers().get("retry-after").and_then(seconds),
                ),
                None => without_code(status, &causes(refusal)),
            }
        }
        SdkError::ResponseError(context) => unknown(
            "BadResponse",
            &format!(
                "HTTP {} with an answer that cannot be read: {}",
                context.raw().status().as_u16(),
                causes(error)
            ),
        ),
        SdkError::TimeoutError(_) => unknown("Timeout", "AWS did not answer in time"),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => {
            unknown("Timeout", &causes(error))
        }
        SdkError::DispatchFailure(_) => {
            from_credentials(error).unwrap_or_else(|| unknown("Connection", &causes(error)))
        }
        // The request could not even be built, so it was never sent.
        SdkError::ConstructionFailure(_) => {
            from_credentials(error).unwrap_or_else(|| GatewayError::Invalid {
                code: "NotSent".to_owned(),
                message: scrub(&causes(error)),
            })
        }
        _ => unknown("Unclassified", &causes(error)),
    }
}

/// An answer that breaks AWS's own rules; what the call did is unknown.
pub(crate) fn bad_response(what: &str) -> GatewayError {
    unknown("BadResponse", what)
}

/// Decides by code, then by the family of the code, then by HTTP status.
fn classify(code: &str, status: u16, message: &str, retry_after: Option<Duration>) -> GatewayError {
    let kind = kind_of_code(code).unwrap_or_else(|| kind_of_status(status));
    let code = code.to_owned();
    let message = scrub(message);
    match kind {
        Kind::Busy => GatewayError::Busy { code, retry_after },
        Kind::NotFound => GatewayError::NotFound { code, message },
        Kind::Denied => GatewayError::Denied { code, message },
        Kind::Invalid => GatewayError::Invalid { code, message },
        Kind::Unknown => GatewayError::Unknown { code, message },
    }
}

/// An answer without an AWS code is no word of AWS's: a proxy's page, or half an answer. Above all its 404 must not pass for
/// "AWS does not know it".
fn without_code(status: u16, message: &str) -> GatewayError {
    let code = format!("Http{status}");
    let message = scrub(message);
    match status {
        429 => GatewayError::Busy {
            code,
            retry_after: None,
        },
        401 | 403 => GatewayError::Denied { code, message },
        200..=299 => bad_response(&message),
        _ => GatewayError::Unknown { code, message },
    }
}

/// Looks the code up. EC2 names whole families by suffix: `InvalidVpcEndpointServiceId.NotFound`,
/// `InvalidVpcEndpointServiceIdId.Malformed` (doubled `Id` and all). Old tooling prefixes `Client.` or `Server.`.
fn kind_of_code(code: &str) -> Option<Kind> {
    let code = code
        .strip_prefix("Client.")
        .or_else(|| code.strip_prefix("Server."))
        .unwrap_or(code);
    let listed = CODES.iter().find(|(listed, ..)| *listed == code);
    if let Some((_, kind, _)) = listed {
        return Some(*kind);
    }
    if code.ends_with(".NotFound") {
        Some(Kind::NotFound)
    } else if code.ends_with(".Malformed") {
        Some(Kind::Invalid)
    } else {
        None
    }
}

/// For codes that nobody has documented yet.
fn kind_of_status(status: u16) -> Kind {
    match status {
        429 => Kind::Busy,
        401 | 403 => Kind::Denied,
        404 => Kind::NotFound,
        400..=499 => Kind::Invalid,
        _ => Kind::Unknown,
    }
}

/// The call was not sent for want of credentials: either there are none, or STS would not give the role.
fn from_credentials(error: &(dyn Error + 'static)) -> Option<GatewayError> {
    let refusal = find::<CredentialsError>(error)?;
    if let Some(assume_role) = find::<SdkError<AssumeRoleError>>(refusal) {
        return Some(from_sdk(assume_role));
    }
    match refusal {
        CredentialsError::CredentialsNotLoaded(_) | CredentialsError::InvalidConfiguration(_) => {
            Some(GatewayError::Denied {
                code: "NoCredentials".to_owned(),
                message: scrub(&causes(refusal)),
            })
        }
        _ => Some(unknown("Credentials", &causes(refusal))),
    }
}

fn unknown(code: &str, message: &str) -> GatewayError {
    GatewayError::Unknown {
        code: code.to_owned(),
        message: scrub(message),
    }
}

fn seconds(header: &str) -> Option<Duration> {
    header.trim().parse().ok().map(Duration::from_secs)
}

/// The first error of this type in the chain of causes.
fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    chain(error).find_map(|cause| cause.downcast_ref())
}

/// The chain of causes in one line.
fn causes(error: &(dyn Error + 'static)) -> String {
    let words: Vec<String> = chain(error).map(ToString::to_string).collect();
    words.join(": ")
}

fn chain<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> + 'a {
    std::iter::successors(Some(error), |&error: &&'a (dyn Error + 'static)| {
        error.source()
    })
}

#[cfg(test)]
mod tests;
