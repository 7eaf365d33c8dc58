//! Each way for an SDK call to end badly, and the error it must become.

use std::collections::HashSet;

use aws_sdk_ec2::config::http::HttpResponse;
use aws_sdk_ec2::error::{ConnectorError, ErrorMetadata};
use aws_sdk_ec2::operation::accept_vpc_endpoint_connections::AcceptVpcEndpointConnectionsError as Refusal;

use super::*;

fn answer(status: u16) -> HttpResponse {
    HttpResponse::new(status.try_into().unwrap(), "".into())
}

fn refused(code: &str, status: u16) -> GatewayError {
    let meta = ErrorMetadata::builder().code(code).message("no").build();
    let error: SdkError<Refusal> = SdkError::service_error(Refusal::generic(meta), answer(status));
    from_sdk(&error)
}

#[test]
fn each_code_is_listed_once_and_with_a_source() {
    let codes: HashSet<_> = CODES.iter().map(|(code, ..)| code).collect();
    assert_eq!(codes.len(), CODES.len());
    assert!(CODES.iter().all(|(.., source)| !source.is_empty()));
}

#[test]
fn throttling_is_busy_with_http_503_and_with_http_400() {
    assert_eq!(refused("RequestLimitExceeded", 503).kind(), "busy");
    assert_eq!(
        refused("ConcurrentMutationLimitExceeded", 400).kind(),
        "busy"
    );
    assert_eq!(refused("Throttling", 400).kind(), "busy");
    assert_eq!(refused("NeverHeardOf", 429).kind(), "busy");
}

#[test]
fn the_wait_that_aws_asks_for_is_kept() {
    let meta = ErrorMetadata::builder()
        .code("RequestLimitExceeded")
        .build();
    let mut raw = answer(503);
    raw.headers_mut().insert("retry-after", "7");
    let error: SdkError<Refusal> = SdkError::service_error(Refusal::generic(meta), raw);
    assert_eq!(
        from_sdk(&error),
        GatewayError::Busy {
            code: "RequestLimitExceeded".to_owned(),
            retry_after: Some(Duration::from_secs(7)),
        }
    );
}

#[test]
fn what_is_not_there_is_not_found_whatever_its_noun() {
    for code in [
        "InvalidVpcEndpointServiceId.NotFound",
        "InvalidVpcEndpointService.NotFound",
        "InvalidNetworkLoadBalancerArn.NotFound",
        "LoadBalancerNotFound",
        "Client.InvalidVpcEndpointId.NotFound",
    ] {
        assert_eq!(refused(code, 400).kind(), "not_found", "{code}");
    }
}

#[test]
fn a_malformed_id_is_invalid() {
    let error = refused("InvalidVpcEndpointServiceIdId.Malformed", 400);
    assert_eq!(error.kind(), "invalid");
}

#[test]
fn missing_rights_and_wrong_credentials_are_denied() {
    for (code, status) in [
        ("UnauthorizedOperation", 403),
        ("AuthFailure", 401),
        ("ExpiredToken", 400),
        ("OptInRequired", 400),
        ("NeverHeardOf", 403),
    ] {
        assert_eq!(refused(code, status).kind(), "denied", "{code}");
    }
}

#[test]
fn a_server_error_leaves_the_outcome_unknown() {
    for (code, status) in [
        ("InternalError", 500),
        ("ServiceUnavailable", 503),
        ("Unavailable", 503),
        ("NeverHeardOf", 502),
    ] {
        assert_eq!(refused(code, status).kind(), "unknown", "{code}");
    }
}

#[test]
fn an_answer_without_a_code_is_never_taken_for_not_found() {
    let bare = |status| {
        let error = Refusal::generic(ErrorMetadata::builder().build());
        let error: SdkError<Refusal> = SdkError::service_error(error, answer(status));
        let error = from_sdk(&error);
        (error.kind(), error.code().to_owned())
    };
    for (status, kind, code) in [
        (200, "unknown", "BadResponse"),
        (400, "unknown", "Http400"),
        (403, "denied", "Http403"),
        (404, "unknown", "Http404"),
        (429, "busy", "Http429"),
        (503, "unknown", "Http503"),
    ] {
        assert_eq!(bare(status), (kind, code.to_owned()));
    }
}

#[test]
fn silence_breakage_and_nonsense_leave_the_outcome_unknown() {
    let broken: SdkError<Refusal> =
        SdkError::dispatch_failure(ConnectorError::io("connection reset".into()));
    let late: SdkError<Refusal> = SdkError::timeout_error("too late");
    let slow: SdkError<Refusal> =
        SdkError::dispatch_failure(ConnectorError::timeout("too late".into()));
    let nonsense: SdkError<Refusal> = SdkError::response_error("not XML", answer(200));
    for (error, code) in [
        (broken, "Connection"),
        (late, "Timeout"),
        (slow, "Timeout"),
        (nonsense, "BadResponse"),
    ] {
        let error = from_sdk(&error);
        assert_eq!((error.kind(), error.code()), ("unknown", code));
    }
}

#[test]
fn a_role_that_sts_will_not_give_is_denied() {
    let meta = ErrorMetadata::builder()
        .code("AccessDenied")
        .message("not authorized to perform: sts:AssumeRole")
        .build();
    let sts = SdkError::service_error(AssumeRoleError::generic(meta), answer(403));
    let cause = CredentialsError::provider_error(sts);
    let error: SdkError<Refusal> =
        SdkError::dispatch_failure(ConnectorError::other(cause.into(), None));
    assert_eq!(
        from_sdk(&error),
        GatewayError::Denied {
            code: "AccessDenied".to_owned(),
            message: "not authorized to perform: sts:AssumeRole".to_owned(),
        }
    );
}

#[test]
fn no_credentials_at_all_is_denied_and_not_a_broken_connection() {
    let cause = CredentialsError::not_loaded("nothing in the chain");
    let error: SdkError<Refusal> =
        SdkError::dispatch_failure(ConnectorError::other(cause.into(), None));
    let error = from_sdk(&error);
    assert_eq!((error.kind(), error.code()), ("denied", "NoCredentials"));
}

#[test]
fn the_same_refusal_twice_compares_equal() {
    let told = |request: &str| {
        classify(
            "InvalidParameter",
            400,
            &format!("LBs are already associated (Request ID: {request})"),
            None,
        )
    };
    assert_eq!(
        told("7a62c49f-347e-4fc4-9331-6e8eaaaaaaaa"),
        told("11112222-3333-4444-5555-666677778888")
    );
}

#[test]
fn sns_and_sqs_have_words_of_their_own() {
    for (code, status, kind) in [
        ("AuthorizationError", 403, "denied"),
        ("NotFound", 404, "not_found"),
        ("Throttled", 429, "busy"),
        ("TopicLimitExceeded", 403, "invalid"),
        ("AWS.SimpleQueueService.NonExistentQueue", 400, "not_found"),
        ("QueueDoesNotExist", 400, "not_found"),
        ("RequestThrottled", 403, "busy"),
        ("OverLimit", 403, "busy"),
        ("AWS.SimpleQueueService.QueueDeletedRecently", 400, "busy"),
    ] {
        assert_eq!(refused(code, status).kind(), kind, "{code}");
    }
}
