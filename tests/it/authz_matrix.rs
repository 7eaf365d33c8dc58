//! Who may do what: every operation of the OpenAPI document against everybody. An operation that is not in the table fails the test.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::http::send;
use crate::support::{TestApp, Who};

/// The lowest role that may do an operation; `Nobody` means that it is public.
const LOWEST: &[(&str, Who)] = &[
    ("healthz", Who::Nobody),
    ("readyz", Who::Nobody),
    ("metrics", Who::Nobody),
    ("openapi_json", Who::Nobody),
    ("receive_sns_message", Who::Nobody),
    ("list_account_regions", Who::Viewer),
    ("read_account_region", Who::Viewer),
    ("register_account_region", Who::Admin),
    ("list_audit_entries", Who::Admin),
    ("list_events", Who::Viewer),
    ("list_operations", Who::Viewer),
    ("read_operation", Who::Viewer),
    ("list_services", Who::Viewer),
    ("read_service", Who::Viewer),
    ("register_service", Who::Admin),
    ("change_service", Who::Admin),
    ("retry_service_sync", Who::Admin),
    ("refresh_service_zones", Who::Admin),
    ("drain_service", Who::Admin),
    ("delete_service", Who::Admin),
    ("cancel_service_drain", Who::Admin),
    ("release_service", Who::Admin),
    ("list_connections", Who::Viewer),
    ("read_connection", Who::Viewer),
    ("accept_connection", Who::Approver),
    ("reject_connection", Who::Approver),
    ("revoke_connection", Who::Approver),
    ("retry_connection_sync", Who::Admin),
    ("examine_service", Who::Viewer),
    ("check_service", Who::Approver),
    ("examine_connection", Who::Viewer),
    ("change_account_region", Who::Admin),
    ("list_replicas", Who::Viewer),
    ("claim_service_stall", Who::Admin),
    ("release_service_stall", Who::Admin),
    ("give_up_service", Who::Admin),
    ("claim_connection_stall", Who::Admin),
    ("release_connection_stall", Who::Admin),
    ("give_up_connection", Who::Admin),
    ("list_stalls", Who::Viewer),
    ("list_drifts", Who::Viewer),
    ("read_drift", Who::Viewer),
    // Those of services take an admin: `drift_inbox.rs`.
    ("adopt_drift", Who::Approver),
    ("adopt_drifts", Who::Approver),
    ("revert_drift", Who::Approver),
    ("ignore_drift", Who::Approver),
    ("import_services", Who::Admin),
    ("list_consumers", Who::Viewer),
    ("register_consumer", Who::Admin),
    ("read_consumer", Who::Viewer),
    ("change_consumer", Who::Admin),
    ("list_consumer_accounts", Who::Viewer),
    ("add_consumer_account", Who::Admin),
    ("remove_consumer_account", Who::Admin),
    ("list_accounts", Who::Viewer),
    ("list_denials", Who::Viewer),
    ("add_denial", Who::Approver),
    ("read_denial", Who::Viewer),
    ("lift_denial", Who::Admin),
    ("read_consumer_quota", Who::Viewer),
    ("set_consumer_quota", Who::Admin),
    ("read_service_quota", Who::Viewer),
    ("set_service_quota", Who::Admin),
    ("list_blocks", Who::Viewer),
    ("read_block", Who::Viewer),
    ("preview_account_block", Who::Viewer),
    ("preview_consumer_block", Who::Viewer),
    ("preview_service_block", Who::Viewer),
    ("block_account", Who::Admin),
    ("unblock_account", Who::Admin),
    ("block_consumer", Who::Admin),
    ("unblock_consumer", Who::Admin),
    ("block_service", Who::Admin),
    ("unblock_service", Who::Admin),
    ("list_access_requests", Who::Viewer),
    ("ask_access", Who::Approver),
    ("read_access_request", Who::Viewer),
    ("approve_access_request", Who::Approver),
    ("reject_access_request", Who::Approver),
    ("withdraw_access_request", Who::Approver),
    ("withdraw_access_approval", Who::Approver),
    ("list_access_removals", Who::Viewer),
    ("preview_access_removal", Who::Viewer),
    ("end_access", Who::Admin),
    ("read_access_removal", Who::Viewer),
    ("cancel_access_removal", Who::Admin),
    ("list_rejudgements", Who::Viewer),
    ("read_rejudgement", Who::Viewer),
    ("list_rejudged_connections", Who::Viewer),
    ("ask_for_rejudgement", Who::Admin),
    ("apply_rejudgement", Who::Admin),
    ("cancel_rejudgement", Who::Admin),
    ("list_reviews", Who::Viewer),
    ("summarise_reviews", Who::Viewer),
    ("claim_review", Who::Approver),
    // Another person's claim takes an admin: `reviews.rs`.
    ("release_review", Who::Approver),
    ("hold_review", Who::Approver),
    ("unhold_review", Who::Approver),
    ("add_comment", Who::Approver),
    ("list_comments", Who::Viewer),
    ("read_review_rules", Who::Viewer),
    ("change_review_rules", Who::Admin),
    ("withdraw_approval", Who::Approver),
    ("decide_connections", Who::Approver),
    ("renew_connection", Who::Approver),
    ("schedule_revocation", Who::Approver),
    ("cancel_revocation", Who::Approver),
    ("list_policies", Who::Viewer),
    ("create_policy", Who::Admin),
    ("read_policy", Who::Viewer),
    ("change_policy", Who::Admin),
    ("validate_policy_text", Who::Viewer),
    ("validate_policy", Who::Admin),
    ("test_policy", Who::Admin),
    ("start_dry_run", Who::Admin),
    ("read_dry_run", Who::Viewer),
    ("activate_policy", Who::Admin),
    ("deactivate_policy", Who::Admin),
    ("discard_policy", Who::Admin),
    ("list_policy_templates", Who::Viewer),
    ("read_policy_schema", Who::Viewer),
    ("explain_connection", Who::Viewer),
    ("list_judgements", Who::Viewer),
    ("list_service_tokens", Who::Admin),
    ("make_service_token", Who::Admin),
    ("read_service_token", Who::Admin),
    ("rotate_service_token", Who::Admin),
    ("revoke_service_token", Who::Admin),
];

struct Operation {
    name: String,
    method: Method,
    path: String,
}

fn operations() -> Vec<Operation> {
    let document = serde_json::to_value(portcullis::api::openapi::document()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, item): (&String, &Value)| -> Vec<Operation> {
        let operations = item.as_object().unwrap().iter();
        operations
            .filter(|(_, operation)| operation["operationId"].is_string())
            .map(|(method, operation)| Operation {
                name: operation["operationId"].as_str().unwrap().to_owned(),
                method: method.to_uppercase().parse().unwrap(),
                path: path.clone(),
            })
            .collect()
    };
    paths.iter().flat_map(of_path).collect()
}

#[sqlx::test(migrations = "./migrations")]
async fn every_operation_is_open_to_whom_it_should_be_and_to_nobody_else(pool: PgPool) {
    let app = TestApp::start(pool);
    let mut table: BTreeMap<&str, Who> = LOWEST.iter().copied().collect();
    for operation in operations() {
        let Operation { name, method, path } = operation;
        let lowest = table
            .remove(name.as_str())
            .unwrap_or_else(|| panic!("{name} ({method} {path}) is new: say who may do it"));
        let path = path
            .replace("{id}", "nothing")
            .replace("{account_id}", "nothing")
            .replace("{dry_run_id}", "nothing");
        let request = app.request(Who::Auditor, method.clone(), &path);
        let answer = send(request.json(&json!({}))).await;
        if name == "list_audit_entries" || matches!(lowest, Who::Nobody | Who::Viewer) {
            let what = format!("{name}: {}", answer.text);
            assert!(![401, 403, 404, 405].contains(&answer.status), "{what}");
        } else {
            answer.refused(&name, 403, "forbidden");
        }
        for who in Who::ALL {
            let request = app.request(who, method.clone(), &path).json(&json!({}));
            let answer = send(request).await;
            let step = |who: Who| Who::ALL.iter().position(|w| *w == who);
            let what = format!("{who:?} {name}: {}", answer.text);
            if step(who) >= step(lowest) {
                assert!(![401, 403, 404, 405].contains(&answer.status), "{what}");
            } else if who == Who::Nobody {
                answer.refused(&what, 401, "unauthenticated");
            } else {
                answer.refused(&what, 403, "forbidden");
            }
        }
    }
    assert!(table.is_empty(), "these are no operations: {table:?}");
    let written = app
        .count(
            "SELECT (SELECT count(*) FROM account_regions) + (SELECT count(*) FROM endpoint_services)
                  + (SELECT count(*) FROM consumers) + (SELECT count(*) FROM denials) + (SELECT count(*) FROM blocks) + (SELECT count(*) FROM policies) + (SELECT count(*) FROM rejudgements) + (SELECT count(*) FROM access_requests) + (SELECT count(*) FROM access_removals) + (SELECT count(*) FROM service_tokens) + (SELECT count(*) FROM decisions) + (SELECT count(*) FROM audit_entries)",
        )
        .await;
    assert_eq!(written, 0, "none of these requests was a good one");
}
