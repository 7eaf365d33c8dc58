//! Rows as AWS really sends them, and what they become.

use super::*;

const SERVICE: &str = "vpce-svc-0123456789abcdef0";

fn home() -> Region {
    "eu-west-1".parse().unwrap()
}

fn bare_connection() -> ec2::builders::VpcEndpointConnectionBuilder {
    ec2::VpcEndpointConnection::builder()
        .service_id(SERVICE)
        .vpc_endpoint_id("vpce-0123456789abcdef0")
        .vpc_endpoint_owner("210987654321")
}

fn bare_service() -> ec2::builders::ServiceConfigurationBuilder {
    ec2::ServiceConfiguration::builder()
        .service_id(SERVICE)
        .service_name(format!("com.amazonaws.vpce.eu-west-1.{SERVICE}"))
}

#[test]
fn the_wire_word_of_a_state_is_read_and_not_the_sdk_variant() {
    let wire = ec2::State::from("pendingAcceptance");
    assert_ne!(
        wire,
        ec2::State::PendingAcceptance,
        "the trap is still there"
    );
    let row = bare_connection().vpc_endpoint_state(wire).build();
    let read = connection(&row, &home()).unwrap();
    assert_eq!(read.state, ConnectionState::PendingAcceptance);
}

#[test]
fn an_older_account_s_short_row_is_a_connection() {
    let read = connection(&bare_connection().build(), &home()).unwrap();
    assert_eq!(read.state, ConnectionState::Unknown(String::new()));
    assert_eq!(
        (read.created_at, read.connection_id, read.endpoint_region),
        (None, None, None)
    );
    assert!(read.dns_entries.is_empty());
}

#[test]
fn the_consumers_region_is_told_only_when_it_is_another() {
    let at = |region: &str| {
        let row = bare_connection().vpc_endpoint_region(region).build();
        connection(&row, &home()).unwrap().endpoint_region
    };
    assert_eq!(at("eu-west-1"), None);
    assert_eq!(at("us-east-1"), Some("us-east-1".parse().unwrap()));
}

#[test]
fn a_creation_time_keeps_its_milliseconds() {
    let row = bare_connection()
        .creation_timestamp(AwsTime::from_millis(1_508_416_570_939))
        .build();
    let read = connection(&row, &home()).unwrap();
    let at: DateTime<Utc> = "2017-10-19T12:36:10.939Z".parse().unwrap();
    assert_eq!(read.created_at, Some(at));
}

#[test]
fn a_row_that_does_not_name_its_parties_is_skipped() {
    for row in [
        bare_connection().set_vpc_endpoint_id(None),
        bare_connection().service_id("svc-1"),
        bare_connection().vpc_endpoint_owner("amazon"),
    ] {
        assert_eq!(connection(&row.build(), &home()), None);
    }
    let nameless = ec2::ServiceConfiguration::builder().service_id(SERVICE);
    assert_eq!(endpoint_service(&nameless.build(), &home()), None);
}

#[test]
fn a_service_that_says_nothing_about_acceptance_needs_it() {
    let read = endpoint_service(&bare_service().build(), &home()).unwrap();
    assert!(read.acceptance_required);
    assert_eq!(read.private_dns_name, None);
}

#[test]
fn supported_regions_leave_out_home_and_what_is_closed() {
    let entry = |region: &str, state: &str| {
        ec2::SupportedRegionDetail::builder()
            .region(region)
            .service_state(state)
            .build()
    };
    let row = bare_service()
        .supported_regions(entry("eu-west-1", "Available"))
        .supported_regions(entry("us-east-1", "Available"))
        .supported_regions(entry("us-west-2", "Closed"))
        .supported_regions(entry("ap-south-1", "Pending"))
        .build();
    let read = endpoint_service(&row, &home()).unwrap();
    assert_eq!(read.supported_regions, ["us-east-1", "ap-south-1"]);
}

#[test]
fn a_private_name_without_its_proof_yet_is_a_name_without_a_proof() {
    let empty = ec2::PrivateDnsNameConfiguration::builder().build();
    let row = bare_service()
        .private_dns_name("api.example.com")
        .private_dns_name_configuration(empty)
        .build();
    let read = endpoint_service(&row, &home()).unwrap();
    let name = read.private_dns_name.unwrap();
    assert_eq!(name.name, "api.example.com");
    assert_eq!(
        (name.state, name.txt_name, name.txt_value),
        (None, None, None)
    );
}

#[test]
fn a_load_balancer_of_another_shape_does_not_hide_the_service() {
    let row = bare_service()
        .network_load_balancer_arns("arn:of:another:age")
        .build();
    let read = endpoint_service(&row, &home()).unwrap();
    assert!(read.network_load_balancer_arns.is_empty());
}

#[test]
fn a_failure_with_missing_parts_is_still_a_failure() {
    let nothing = item_failure(&ec2::UnsuccessfulItem::builder().build());
    assert_eq!(
        (nothing.resource_id, nothing.code.as_str()),
        (None, "Missing")
    );
    let error = ec2::UnsuccessfulItemError::builder().code("InvalidState");
    let row = ec2::UnsuccessfulItem::builder().error(error.build());
    assert_eq!(item_failure(&row.build()).code, "InvalidState");
}

#[test]
fn an_empty_token_ends_a_listing_and_a_repeated_one_breaks_it() {
    let sent = PageToken("a".to_owned());
    assert_eq!(next_page(None, Some(&sent)), Ok(None));
    assert_eq!(next_page(Some(""), None), Ok(None));
    assert_eq!(
        next_page(Some("b"), Some(&sent)),
        Ok(Some(PageToken("b".to_owned())))
    );
    let repeated = next_page(Some("a"), Some(&sent)).unwrap_err();
    assert_eq!(repeated.kind(), "unknown");
}
