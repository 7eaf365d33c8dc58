//! Words that mean the same wherever they stand, and what they look like: the document's examples.
//!
//! A member or a parameter that has no example of its own gets the one of its name. So the reference page shows a request that could be sent, and a generated
//! client's documentation something to copy. What has a meaning of its own in one place has its example there.

use serde_json::{Value, json};

/// A text: its name in the API, and an example.
const TEXTS: &[(&str, &str)] = &[
    ("account_id", "222222222222"),
    ("action", "connection.accept"),
    ("actor", "ann@provider.example"),
    ("allowed_principals", "arn:aws:iam::222222222222:root"),
    ("answer", "Access as ordered"),
    ("approver", "ann@provider.example"),
    ("author", "ann@provider.example"),
    ("availability_zone_ids", "euw1-az1"),
    ("aws_code", "InvalidParameter"),
    ("aws_connection_id", "vpce-con-0123456789abcdef0"),
    ("aws_service_id", "vpce-svc-0123456789abcdef0"),
    ("aws_service_ids", "vpce-svc-0123456789abcdef0"),
    ("aws_state", "available"),
    (
        "base_endpoint_dns_names",
        "vpce-svc-0123456789abcdef0.eu-west-1.vpce.amazonaws.com",
    ),
    ("body", "Asked them for the number of their order"),
    ("by", "ann@provider.example"),
    ("cause", "No target is healthy"),
    ("check", "targets_healthy"),
    ("claimed_by", "ann@provider.example"),
    ("clause", "principal.known"),
    ("code", "InvalidParameter"),
    ("connection_id", "vpce-con-0123456789abcdef0"),
    ("created_by", "ann@provider.example"),
    ("detail", "The connection is already accepted."),
    (
        "digest",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    ),
    (
        "dns_names",
        "vpce-0123456789abcdef0-1a2b3c4d.vpce-svc-0123456789abcdef0.eu-west-1.vpce.amazonaws.com",
    ),
    ("endpoint_id", "vpce-0123456789abcdef0"),
    ("endpoint_region", "eu-west-1"),
    ("endpoints", "vpce-0123456789abcdef0"),
    ("error", "NXDOMAIN"),
    ("evidence", "2 of 2 targets are unhealthy"),
    ("external_id", "portcullis-7f3c"),
    ("failure", "the policy was changed"),
    ("fix", "Register a healthy target"),
    ("foreign_principals", "arn:aws:iam::222222222222:root"),
    ("help", "did you mean known?"),
    ("id", "con_018f3a5c9d2e7b41a6c08e5d7f1b2a34"),
    ("ip_address_type", "ipv4"),
    ("issuers_without_keys", "https://login.provider.example"),
    ("kept_by", "principal * of the service"),
    ("licence", "none"),
    (
        "load_balancer_arn",
        "arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/net/ledger/0123456789abcdef",
    ),
    (
        "load_balancer_arns",
        "arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/net/ledger/0123456789abcdef",
    ),
    ("made_by", "ann@provider.example"),
    ("message", "Welcome: your order is paid"),
    ("most_likely", "targets_healthy"),
    ("name", "Ledger EU"),
    ("note", "Known accounts need no review"),
    ("notes", "Customer since 2019"),
    ("outcome", "accept"),
    ("owner", "ann@provider.example"),
    ("owner_account", "222222222222"),
    ("owner_account_id", "222222222222"),
    ("payer_responsibility", "ServiceOwner"),
    ("policies", "known-accounts"),
    ("policy_versions", "known-accounts@3"),
    ("principal", "arn:aws:iam::222222222222:root"),
    ("principals", "arn:aws:iam::222222222222:root"),
    ("principals_after_drain", "arn:aws:iam::222222222222:root"),
    ("principals_left_in_aws", "arn:aws:iam::222222222222:root"),
    ("principals_that_stay", "arn:aws:iam::222222222222:root"),
    ("private_dns_name", "ledger.provider.example"),
    ("problem", "The record is not there"),
    ("provider", "provider.example"),
    (
        "queue_url",
        "https://sqs.eu-west-1.amazonaws.com/111122223333/portcullis",
    ),
    ("reason", "Order 4711 is paid"),
    ("reason_code", "approval_expired"),
    ("refused_code", "ExistingVpcEndpointConnections"),
    ("refused_message", "There are endpoints attached"),
    ("region", "eu-west-1"),
    ("regions", "eu-west-1"),
    ("replica", "api-1"),
    ("request_id", "554e891dd2b44fdd9ef18c8a833b6c8f"),
    ("role_arn", "arn:aws:iam::111122223333:role/portcullis"),
    ("rotated_by", "ann@provider.example"),
    ("secret", "shown once, in this answer only"),
    ("sentence", "The account is known"),
    (
        "service_name",
        "com.amazonaws.vpce.eu-west-1.vpce-svc-0123456789abcdef0",
    ),
    ("set_by", "ann@provider.example"),
    ("slug", "example-bank"),
    ("stage", "decisions"),
    ("subject", "vpce-0123456789abcdef0"),
    ("subject_id", "con_018f3a5c9d2e7b41a6c08e5d7f1b2a34"),
    ("summary", "Accepts the accounts of known consumers"),
    ("supported_ip_address_types", "ipv4"),
    ("supported_regions", "eu-central-1"),
    ("ticket_url", "https://tickets.example/4711"),
    ("to_change", "Add the account to a consumer"),
    ("topic_arn", "arn:aws:sns:eu-west-1:111122223333:portcullis"),
    (
        "unknown_load_balancer_arns",
        "arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/net/other/0123456789abcdef",
    ),
    ("unknown_principals", "arn:aws:iam::222222222222:root"),
    ("waits_for", "vpce-0123456789abcdef0"),
    ("x-amz-sns-message-type", "Notification"),
];

/// A policy's text, and the schema's.
const POLICY: &str =
    "@id(\"known-accounts\")\npermit (principal, action, resource)\nwhen { principal.known };\n";

/// Numbers that are no plain counts.
const NUMBERS: &[(&str, i64)] = &[
    ("version", 4),
    ("applied_version", 4),
    ("approvals_required", 2),
    ("expiry_grace_seconds", 86_400),
    ("grace_seconds", 86_400),
    ("reject_after_seconds", 604_800),
    ("reminder_seconds", 86_400),
    ("review_sla_seconds", 259_200),
    ("age_seconds", 3600),
    ("oldest_age_seconds", 3600),
    ("took_ms", 240),
    ("limit", 50),
];

/// What a plain count is.
const COUNT: i64 = 3;

/// The example of a text.
pub(super) fn text(name: &str) -> Option<Value> {
    if matches!(name, "text" | "schema") {
        return Some(json!(POLICY));
    }
    let found = TEXTS.iter().find(|(known, _)| *known == name);
    found.map(|(_, example)| json!(example))
}

/// The example of a number.
pub(super) fn number(name: &str) -> Value {
    let found = NUMBERS.iter().find(|(known, _)| *known == name);
    json!(found.map_or(COUNT, |(_, example)| *example))
}

/// The example of a time.
pub(super) fn time(name: &str) -> Value {
    // What is planned lies ahead; everything else was.
    if matches!(name, "expires_at" | "until" | "at" | "reject_at") {
        json!("2031-03-31T16:00:00Z")
    } else {
        json!("2026-11-27T09:30:00Z")
    }
}

/// What items of a list of AWS's have to look like in a request, as the handlers check it.
pub(super) fn pattern(name: &str) -> Option<&'static str> {
    match name {
        "aws_service_ids" => Some("^vpce-svc-[0-9a-f]{8,17}$"),
        "load_balancer_arns" => Some(
            "^arn:aws[a-z-]*:elasticloadbalancing:[a-z0-9-]+:[0-9]{12}:loadbalancer/(net|gwy)/[A-Za-z0-9-]+/[0-9a-f]+$",
        ),
        "supported_ip_address_types" => Some("^ipv[46]$"),
        "ticket_url" => Some("^https://[^\\s@]+$"),
        "slug" => Some("^[a-z0-9]+(-[a-z0-9]+)*$"),
        _ => None,
    }
}
