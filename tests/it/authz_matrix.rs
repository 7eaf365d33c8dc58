//! Who may do what: every operation of the OpenAPI document against everybody; about whose objects is in [`crate::authz_objects`]. An operation that is in no table fails the test, and the
//! tables are those of `docs/roles.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::http::send;
use crate::support::{TestApp, Who};

/// Operations of the provider: the lowest role that may do one; `Nobody` means that it is public. Consumers may do none that is not public.
pub(crate) const LOWEST: &[(&str, Who)] = &[
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
    ("list_catalog", Who::Nobody),
    ("read_catalog_listing", Who::Nobody),
    ("list_listings", Who::Viewer),
    ("create_listing", Who::Admin),
    ("read_listing", Who::Viewer),
    ("change_listing", Who::Admin),
    ("list_listing_revisions", Who::Viewer),
    ("read_listing_revision", Who::Viewer),
    ("examine_listing", Who::Viewer),
    ("submit_listing", Who::Admin),
    // Nobody reviews what they wrote: `listings.rs`.
    ("approve_listing", Who::Approver),
    ("reject_listing", Who::Approver),
    ("back_to_draft_listing", Who::Admin),
    ("release_listing", Who::Admin),
    ("publish_listing", Who::Admin),
    ("unpublish_listing", Who::Admin),
    ("restrict_listing", Who::Admin),
    ("suspend_listing", Who::Approver),
    ("resume_listing", Who::Admin),
    ("retire_listing", Who::Admin),
    ("list_offers", Who::Viewer),
    ("make_offer", Who::Admin),
    ("read_offer", Who::Viewer),
    ("withdraw_offer", Who::Admin),
    ("list_agreements", Who::Viewer),
    ("make_agreement", Who::Admin),
    ("read_agreement", Who::Viewer),
    ("amend_agreement", Who::Admin),
    ("cancel_agreement", Who::Admin),
    ("terminate_agreement", Who::Admin),
    ("fail_agreement_payment", Who::Admin),
    ("question_agreement", Who::Approver),
    ("clear_agreement", Who::Approver),
    ("roll_back_agreement", Who::Admin),
    ("renew_agreement", Who::Admin),
    ("tell_of_agreement", Who::Admin),
    ("tell_by_reference", Who::Admin),
    ("list_agreement_notices", Who::Viewer),
    ("list_agreement_timeline", Who::Viewer),
    ("attach_agreement_account", Who::Admin),
    ("detach_agreement_account", Who::Admin),
    ("read_connection_agreement", Who::Viewer),
    ("claim_connection_agreement", Who::Approver),
    ("list_usage", Who::Viewer),
    ("report_usage", Who::Admin),
    ("export_usage", Who::Viewer),
    ("read_agreement_usage", Who::Viewer),
    ("list_findings", Who::Viewer),
    ("refresh_findings", Who::Approver),
    ("grant_agreement", Who::Admin),
];

/// What an operation of consumers is about, besides the organisation itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum About {
    Nothing,
    Connection,
    Service,
    AccessRequest,
}

/// Operations of consumers, which nobody of the provider's may do.
pub(crate) const OWN: &[(&str, About)] = &[
    ("read_own_consumer", About::Nothing),
    ("list_own_accounts", About::Nothing),
    ("read_own_quota", About::Nothing),
    ("list_own_connections", About::Nothing),
    ("read_own_connection", About::Connection),
    ("list_known_services", About::Nothing),
    ("read_known_service", About::Service),
    ("list_own_access_requests", About::Nothing),
    ("ask_own_access", About::Nothing),
    ("read_own_access_request", About::AccessRequest),
    ("withdraw_own_access_request", About::AccessRequest),
];

#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) name: String,
    pub(crate) method: Method,
    pub(crate) path: String,
}

pub(crate) fn operations() -> Vec<Operation> {
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

/// With something in the place of its object that is no id.
fn without_object(path: &str) -> String {
    with_object(path, "nothing")
}

pub(crate) fn with_object(path: &str, id: &str) -> String {
    path.replace("{id}", id)
        .replace("{account_id}", "nothing")
        .replace("{dry_run_id}", "nothing")
        .replace("{number}", "nothing")
}

#[sqlx::test(migrations = "./migrations")]
async fn every_operation_is_open_to_whom_it_should_be_and_to_nobody_else(pool: PgPool) {
    let app = TestApp::start(pool);
    let consumer = app.add_consumer("Acme").await;
    let before = written(&app).await;
    let mut table: BTreeMap<&str, Who> = LOWEST.iter().copied().collect();
    let mut own: BTreeMap<&str, About> = OWN.iter().copied().collect();
    for Operation { name, method, path } in operations() {
        let path = without_object(&path);
        let as_member = app.as_member(&consumer, method.clone(), &path);
        let member = send(as_member.json(&json!({}))).await;
        if own.remove(name.as_str()).is_some() {
            let what = format!("a consumer, {name}: {}", member.text);
            assert!(![401, 403, 404, 405].contains(&member.status), "{what}");
            for who in Who::ALL.into_iter().chain([Who::Auditor]) {
                let request = app.request(who, method.clone(), &path).json(&json!({}));
                let (status, code) = match who {
                    Who::Nobody => (401, "unauthenticated"),
                    _ => (403, "forbidden"),
                };
                let what = format!("{who:?} {name}");
                send(request).await.refused(&what, status, code);
            }
            continue;
        }
        let lowest = table
            .remove(name.as_str())
            .unwrap_or_else(|| panic!("{name} ({method} {path}) is new: say who may do it"));
        if lowest == Who::Nobody {
            let what = format!("a consumer, {name}: {}", member.text);
            assert!(![401, 403, 404, 405].contains(&member.status), "{what}");
        } else {
            member.refused(&format!("a consumer, {name}"), 403, "forbidden");
        }
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
    assert!(own.is_empty(), "these are no operations: {own:?}");
    assert_eq!(
        written(&app).await,
        before,
        "none of these requests was a good one"
    );
}

pub(crate) async fn written(app: &TestApp) -> i64 {
    app.count(
        "SELECT (SELECT count(*) FROM account_regions) + (SELECT count(*) FROM endpoint_services)
              + (SELECT count(*) FROM consumers) + (SELECT count(*) FROM denials) + (SELECT count(*) FROM blocks) + (SELECT count(*) FROM policies) + (SELECT count(*) FROM rejudgements) + (SELECT count(*) FROM access_requests) + (SELECT count(*) FROM access_removals) + (SELECT count(*) FROM service_tokens) + (SELECT count(*) FROM listings) + (SELECT count(*) FROM offers) + (SELECT count(*) FROM agreements) + (SELECT count(*) FROM agreement_notices) + (SELECT count(*) FROM usage_reports) + (SELECT count(*) FROM decisions) + (SELECT count(*) FROM audit_entries)",
    )
    .await
}

/// `docs/roles.md` has these tables; `PORTCULLIS_WRITE_DOCS=1` writes them there.
#[test]
fn the_guide_to_roles_has_these_tables() {
    let mut table = String::from(
        "| Operation | Request | Viewer | Auditor | Approver | Admin | Consumer |\n| --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for Operation { name, method, path } in operations() {
        let lowest = LOWEST.iter().find(|(known, _)| *known == name);
        let may = |who: Who| match lowest {
            None => false,
            Some((_, Who::Nobody)) => true,
            Some((_, lowest)) if who == Who::Auditor => {
                *lowest == Who::Viewer || name == "list_audit_entries"
            }
            Some((_, lowest)) => {
                let step = |who: Who| Who::ALL.iter().position(|w| *w == who);
                step(who) >= step(*lowest)
            }
        };
        let consumer = match lowest {
            None => "own",
            Some((_, Who::Nobody)) => "yes",
            Some(_) => "",
        };
        let marks: Vec<&str> = [Who::Viewer, Who::Auditor, Who::Approver, Who::Admin]
            .map(|who| if may(who) { "yes" } else { "" })
            .into();
        let marks = marks.join(" | ");
        writeln!(
            table,
            "| `{name}` | `{method} {path}` | {marks} | {consumer} |"
        )
        .unwrap();
    }
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/roles.md");
    let text = std::fs::read_to_string(file).unwrap();
    let [begin, end] = ["<!-- the table begins -->\n", "<!-- the table ends -->"];
    let (before, rest) = text.split_once(begin).expect("where the table begins");
    let (known, after) = rest.split_once(end).expect("where the table ends");
    if std::env::var_os("PORTCULLIS_WRITE_DOCS").is_some() {
        std::fs::write(file, format!("{before}{begin}\n{table}\n{end}{after}")).unwrap();
        return;
    }
    let same = known.trim() == table.trim();
    assert!(same, "run this test with PORTCULLIS_WRITE_DOCS=1");
}
