//! What the adapter sends, and what it makes of answers that a simulator of good manners never gives.

use std::sync::Arc;

use privatelink::{
    AccountRegionRef, ConnectionFilter, ConnectionState, Gateways, ServiceId, VpcEndpointId,
};
use privatelink_aws::{AwsGateways, AwsSettings};

use crate::canned::{ACCOUNT, Answer, Canned, ec2_error, ec2_ok, gateway};

const DESCRIBE: &str = "DescribeVpcEndpointConnections";
const FIRST: &str = "vpce-0123456789abcdef0";
const SECOND: &str = "vpce-0123456789abcdef1";

fn service() -> ServiceId {
    "vpce-svc-0123456789abcdef0".parse().unwrap()
}

fn endpoint(id: &str) -> VpcEndpointId {
    id.parse().unwrap()
}

fn row(id: &str, state: &str) -> String {
    format!(
        "<item><serviceId>{}</serviceId><vpcEndpointId>{id}</vpcEndpointId>\
         <vpcEndpointOwner>210987654321</vpcEndpointOwner><vpcEndpointState>{state}</vpcEndpointState>\
         <creationTimestamp>2017-10-19T12:36:10.939Z</creationTimestamp></item>",
        service()
    )
}

fn rows(rows: &[String]) -> Answer {
    let set = rows.concat();
    ec2_ok(
        DESCRIBE,
        &format!("<vpcEndpointConnectionSet>{set}</vpcEndpointConnectionSet><nextToken/>"),
    )
}

#[tokio::test]
async fn a_listing_asks_for_full_pages_and_filters_by_exactly_what_was_asked() {
    let canned = Canned::start(vec![rows(&[]), rows(&[])]).await;
    let gateway = canned.gateway().await;
    let page = gateway
        .connections(&ConnectionFilter::All, None)
        .await
        .unwrap();
    assert_eq!(page.next, None, "an empty token is the end");
    gateway
        .connections(&ConnectionFilter::Service(service()), None)
        .await
        .unwrap();
    let requests = canned.requests();
    assert!(requests[0].contains("MaxResults=1000"), "{}", requests[0]);
    assert!(!requests[0].contains("Filter"), "{}", requests[0]);
    assert!(
        requests[1].contains(&format!(
            "Filter.1.Name=service-id&Filter.1.Value.1={}",
            service()
        )) && !requests[1].contains("Filter.2"),
        "{}",
        requests[1]
    );
}

#[tokio::test]
async fn the_account_is_the_access_key_where_a_simulator_is_called_without_credentials() {
    let canned = Canned::start(vec![rows(&[])]).await;
    let gateway = canned.gateway().await;
    gateway
        .connections(&ConnectionFilter::All, None)
        .await
        .unwrap();
    let request = &canned.requests()[0];
    assert!(
        request.contains(&format!("Credential={ACCOUNT}/")) && request.contains("/eu-west-1/ec2/"),
        "{request}"
    );
}

#[tokio::test]
async fn a_refused_endpoint_filter_is_replaced_by_the_service_filter_and_remembered() {
    let listing = || rows(&[row(FIRST, "available"), row(SECOND, "available")]);
    let canned = Canned::start(vec![
        ec2_error(
            400,
            "InvalidFilter",
            "The filter 'vpc-endpoint-id' is invalid",
        ),
        listing(),
        listing(),
    ])
    .await;
    let gateway = canned.gateway().await;
    let filter = ConnectionFilter::Endpoints(service(), vec![endpoint(SECOND)]);
    for _ in 0..2 {
        let page = gateway.connections(&filter, None).await.unwrap();
        let ids: Vec<_> = page.items.iter().map(|row| &row.endpoint_id).collect();
        assert_eq!(ids, [&endpoint(SECOND)]);
    }
    let asked: Vec<bool> = canned
        .requests()
        .iter()
        .map(|request| request.contains("vpc-endpoint-id"))
        .collect();
    assert_eq!(asked, [true, false, false]);
}

#[tokio::test]
async fn more_endpoints_than_a_filter_holds_are_refused_without_a_call() {
    let canned = Canned::start(Vec::new()).await;
    let gateway = canned.gateway().await;
    let many = vec![endpoint(FIRST); ConnectionFilter::MAX_ENDPOINTS + 1];
    let error = gateway
        .connections(&ConnectionFilter::Endpoints(service(), many), None)
        .await
        .unwrap_err();
    assert_eq!(error.code(), "FilterLimitExceeded");
    assert!(canned.requests().is_empty());
}

#[tokio::test]
async fn an_odd_row_does_not_hide_its_page() {
    let canned = Canned::start(vec![rows(&[
        row("eni-0123", "available"),
        row(FIRST, "pendingAcceptance"),
        row(SECOND, "quarantined"),
    ])])
    .await;
    let page = canned
        .gateway()
        .await
        .connections(&ConnectionFilter::All, None)
        .await
        .unwrap();
    assert_eq!(page.unreadable, 1, "it exists all the same");
    let read: Vec<_> = page
        .items
        .into_iter()
        .map(|row| (row.endpoint_id, row.state))
        .collect();
    assert_eq!(
        read,
        [
            (endpoint(FIRST), ConnectionState::PendingAcceptance),
            (
                endpoint(SECOND),
                ConnectionState::Unknown("quarantined".to_owned())
            ),
        ]
    );
}

#[tokio::test]
async fn an_item_that_failed_without_a_name_is_a_failure() {
    let canned = Canned::start(vec![ec2_ok(
        "AcceptVpcEndpointConnections",
        "<unsuccessful><item/></unsuccessful>",
    )])
    .await;
    let failures = canned
        .gateway()
        .await
        .accept_connections(&service(), &[endpoint(FIRST)])
        .await
        .unwrap();
    assert_eq!(failures.len(), 1);
    assert_eq!(
        (failures[0].resource_id.as_deref(), &*failures[0].code),
        (None, "Missing")
    );
}

#[tokio::test]
async fn accepting_nobody_makes_no_call() {
    let canned = Canned::start(Vec::new()).await;
    let gateway = canned.gateway().await;
    let failures = gateway.accept_connections(&service(), &[]).await.unwrap();
    assert!(failures.is_empty());
    assert!(canned.requests().is_empty());
}

#[tokio::test]
async fn a_server_error_is_tried_twice_and_then_unknown() {
    let error = || ec2_error(500, "InternalError", "an internal error has occurred");
    let canned = Canned::start(vec![error(), error()]).await;
    let error = canned
        .gateway()
        .await
        .accept_connections(&service(), &[endpoint(FIRST)])
        .await
        .unwrap_err();
    assert_eq!((error.kind(), error.code()), ("unknown", "InternalError"));
    assert_eq!(canned.requests().len(), 2);
}

#[tokio::test]
async fn a_refusal_is_not_tried_again_and_loses_its_request_id() {
    let text = "no (RequestID: 7a62c49f-347e-4fc4-9331-6e8eaaaaaaaa)";
    let canned = Canned::start(vec![ec2_error(403, "UnauthorizedOperation", text)]).await;
    let error = canned
        .gateway()
        .await
        .endpoint_service(&service())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), "denied");
    assert!(error.to_string().ends_with("no (RequestID: *)"), "{error}");
    assert_eq!(canned.requests().len(), 1);
}

#[tokio::test]
async fn an_answer_that_is_not_the_answer_leaves_the_outcome_unknown() {
    let canned = Canned::start(vec![Answer::Http(200, "<html>login</html>".to_owned())]).await;
    let error = canned
        .gateway()
        .await
        .accept_connections(&service(), &[endpoint(FIRST)])
        .await
        .unwrap_err();
    assert_eq!((error.kind(), error.code()), ("unknown", "BadResponse"));
}

#[tokio::test]
async fn an_answer_that_never_comes_leaves_the_outcome_unknown() {
    let canned = Canned::start(vec![Answer::Silence, Answer::Silence]).await;
    let error = canned
        .gateway()
        .await
        .connections(&ConnectionFilter::All, None)
        .await
        .unwrap_err();
    assert_eq!((error.kind(), error.code()), ("unknown", "Timeout"));
}

#[tokio::test]
async fn nobody_at_the_address_leaves_the_outcome_unknown() {
    // Port 1 is reserved and never served; a port that was free a moment ago may not be any more.
    let gateway = gateway("http://127.0.0.1:1", None).await;
    let error = gateway
        .connections(&ConnectionFilter::All, None)
        .await
        .unwrap_err();
    assert_eq!((error.kind(), error.code()), ("unknown", "Connection"));
}

#[tokio::test]
async fn one_place_has_one_gateway_and_another_place_another() {
    let gateways = AwsGateways::new(AwsSettings {
        endpoint_url: Some("http://127.0.0.1:1".to_owned()),
        ..AwsSettings::default()
    });
    let place = |region: &str| AccountRegionRef {
        account: ACCOUNT.parse().unwrap(),
        region: region.parse().unwrap(),
        role_arn: None,
        external_id: None,
    };
    let first = gateways.gateway(&place("eu-west-1")).await.unwrap();
    let again = gateways.gateway(&place("eu-west-1")).await.unwrap();
    let other = gateways.gateway(&place("us-east-1")).await.unwrap();
    assert!(Arc::ptr_eq(&first, &again));
    assert!(!Arc::ptr_eq(&first, &other));
}
