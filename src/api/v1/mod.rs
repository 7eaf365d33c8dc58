//! The REST API, version 1: one file for each noun, with its handlers and what they show.

pub mod access_removal_views;
pub mod access_removals;
pub mod access_request_verbs;
pub mod access_requests;
pub mod access_times;
pub mod account_region_changes;
pub mod account_regions;
pub mod agreement_accounts;
pub mod agreement_claims;
mod agreement_cursor;
pub mod agreement_notices;
pub mod agreement_timeline;
pub mod agreement_usage;
pub mod agreement_verbs;
pub mod agreement_views;
pub mod agreements;
pub(super) mod arguments;
pub mod audit_entries;
pub mod block_verbs;
pub mod blocks;
pub mod bulk_decisions;
pub mod comments;
pub mod connections;
pub mod consumer_accounts;
pub mod consumers;
pub mod decisions;
pub mod denials;
pub mod doctor;
pub mod drifts;
pub mod dry_runs;
pub mod events;
pub mod explanations;
pub mod findings;
pub mod imports;
pub mod listing_reviews;
pub mod listing_revisions;
pub mod listing_steps;
pub mod listing_views;
pub mod listings;
pub mod me;
pub mod offers;
pub mod operations;
pub mod policies;
pub mod policy_steps;
pub mod policy_views;
mod private_dns_view;
pub mod quotas;
pub mod rejudgement_verbs;
pub mod rejudgements;
pub mod replicas;
pub mod review_rules;
mod review_views;
pub mod reviews;
pub mod service_changes;
pub mod service_end;
mod service_ref;
pub mod service_tokens;
pub mod services;
pub mod stalls;
pub mod usage;
mod usage_csv;
pub mod usage_views;
mod views;

use utoipa_actix_web::service_config::ServiceConfig;

use super::current_request_id;
use crate::domain::actor::Actor;

/// Registers every operation.
pub fn configure(cfg: &mut ServiceConfig) {
    services(cfg);
    connections(cfg);
    parties(cfg);
    rules(cfg);
    sales(cfg);
    bought(cfg);
    used(cfg);
    programs(cfg);
    own(cfg);
}

/// Accounts and Regions, and the services in them.
fn services(cfg: &mut ServiceConfig) {
    cfg.service(account_regions::list_account_regions)
        .service(account_regions::register_account_region)
        .service(account_regions::read_account_region)
        .service(account_region_changes::change_account_region)
        .service(replicas::list_replicas)
        .service(audit_entries::list_audit_entries)
        .service(events::list_events)
        .service(operations::list_operations)
        .service(operations::read_operation)
        .service(services::list_services)
        .service(services::register_service)
        .service(services::read_service)
        .service(service_changes::change_service)
        .service(services::retry_service_sync)
        .service(stalls::claim_service_stall)
        .service(stalls::release_service_stall)
        .service(stalls::give_up_service)
        .service(service_changes::refresh_service_zones)
        .service(service_end::drain_service)
        .service(service_end::delete_service)
        .service(service_end::cancel_service_drain)
        .service(service_end::release_service)
        .service(doctor::examine_service)
        .service(doctor::check_service)
        .service(stalls::list_stalls)
        .service(imports::import_services);
}

/// Connections and what people do about them.
fn connections(cfg: &mut ServiceConfig) {
    cfg.service(connections::list_connections)
        .service(connections::read_connection)
        .service(decisions::accept_connection)
        .service(decisions::reject_connection)
        .service(decisions::revoke_connection)
        .service(decisions::withdraw_approval)
        .service(bulk_decisions::decide_connections)
        .service(access_times::renew_connection)
        .service(access_times::schedule_revocation)
        .service(access_times::cancel_revocation)
        .service(reviews::summarise_reviews)
        .service(reviews::list_reviews)
        .service(reviews::claim_review)
        .service(reviews::release_review)
        .service(reviews::hold_review)
        .service(reviews::unhold_review)
        .service(comments::add_comment)
        .service(comments::list_comments)
        .service(connections::retry_connection_sync)
        .service(doctor::examine_connection)
        .service(stalls::claim_connection_stall)
        .service(stalls::release_connection_stall)
        .service(stalls::give_up_connection)
        .service(drifts::list_drifts)
        .service(drifts::adopt_drifts)
        .service(drifts::read_drift)
        .service(drifts::adopt_drift)
        .service(drifts::revert_drift)
        .service(drifts::ignore_drift)
        .service(explanations::explain_connection)
        .service(explanations::list_judgements);
}

/// Who connects, who may not, and who asks to.
fn parties(cfg: &mut ServiceConfig) {
    cfg.service(consumers::list_consumers)
        .service(consumers::register_consumer)
        .service(consumers::read_consumer)
        .service(consumers::change_consumer)
        .service(consumer_accounts::list_consumer_accounts)
        .service(consumer_accounts::add_consumer_account)
        .service(consumer_accounts::remove_consumer_account)
        .service(consumer_accounts::list_accounts)
        .service(denials::list_denials)
        .service(denials::add_denial)
        .service(denials::read_denial)
        .service(denials::lift_denial)
        .service(quotas::read_consumer_quota)
        .service(quotas::set_consumer_quota)
        .service(quotas::read_service_quota)
        .service(quotas::set_service_quota)
        .service(blocks::list_blocks)
        .service(blocks::read_block)
        .service(blocks::preview_account_block)
        .service(blocks::preview_consumer_block)
        .service(blocks::preview_service_block)
        .service(block_verbs::block_account)
        .service(block_verbs::unblock_account)
        .service(block_verbs::block_consumer)
        .service(block_verbs::unblock_consumer)
        .service(block_verbs::block_service)
        .service(block_verbs::unblock_service)
        .service(access_requests::list_access_requests)
        .service(access_requests::ask_access)
        .service(access_requests::read_access_request)
        .service(access_request_verbs::approve_access_request)
        .service(access_request_verbs::reject_access_request)
        .service(access_request_verbs::withdraw_access_request)
        .service(access_request_verbs::withdraw_access_approval)
        .service(access_removals::list_access_removals)
        .service(access_removals::preview_access_removal)
        .service(access_removals::end_access)
        .service(access_removals::read_access_removal)
        .service(access_removals::cancel_access_removal);
}

/// What decides.
fn rules(cfg: &mut ServiceConfig) {
    cfg.service(review_rules::read_review_rules)
        .service(review_rules::change_review_rules)
        .service(policies::list_policies)
        .service(policies::create_policy)
        .service(policy_steps::validate_policy_text)
        .service(policies::read_policy)
        .service(policies::change_policy)
        .service(policy_steps::validate_policy)
        .service(policy_steps::test_policy)
        .service(dry_runs::start_dry_run)
        .service(dry_runs::read_dry_run)
        .service(policy_steps::activate_policy)
        .service(policy_steps::deactivate_policy)
        .service(policy_steps::discard_policy)
        .service(policies::list_policy_templates)
        .service(policies::read_policy_schema)
        .service(rejudgements::list_rejudgements)
        .service(rejudgements::read_rejudgement)
        .service(rejudgements::list_rejudged_connections)
        .service(rejudgement_verbs::ask_for_rejudgement)
        .service(rejudgement_verbs::apply_rejudgement)
        .service(rejudgement_verbs::cancel_rejudgement);
}

/// What is used of what was sold, and what does not fit together with it.
fn used(cfg: &mut ServiceConfig) {
    cfg.service(usage::list_usage)
        .service(usage::report_usage)
        .service(usage::export_usage)
        .service(agreement_usage::read_agreement_usage)
        .service(findings::list_findings)
        .service(findings::refresh_findings)
        .service(findings::grant_agreement);
}

/// What is sold.
fn sales(cfg: &mut ServiceConfig) {
    cfg.service(listings::list_listings)
        .service(listings::create_listing)
        .service(listings::read_listing)
        .service(listings::change_listing)
        .service(listing_revisions::list_listing_revisions)
        .service(listing_revisions::read_listing_revision)
        .service(listing_revisions::examine_listing)
        .service(listing_steps::submit_listing)
        .service(listing_reviews::approve_listing)
        .service(listing_reviews::reject_listing)
        .service(listing_steps::back_to_draft_listing)
        .service(listing_steps::release_listing)
        .service(listing_steps::publish_listing)
        .service(listing_steps::unpublish_listing)
        .service(listing_steps::restrict_listing)
        .service(listing_steps::suspend_listing)
        .service(listing_steps::resume_listing)
        .service(listing_steps::retire_listing)
        .service(offers::list_offers)
        .service(offers::make_offer)
        .service(offers::read_offer)
        .service(offers::withdraw_offer);
}

/// What was bought.
fn bought(cfg: &mut ServiceConfig) {
    cfg.service(agreements::list_agreements)
        .service(agreements::make_agreement)
        .service(agreements::read_agreement)
        .service(agreement_verbs::amend_agreement)
        .service(agreement_verbs::cancel_agreement)
        .service(agreement_verbs::terminate_agreement)
        .service(agreement_verbs::fail_agreement_payment)
        .service(agreement_verbs::question_agreement)
        .service(agreement_verbs::clear_agreement)
        .service(agreement_verbs::roll_back_agreement)
        .service(agreement_verbs::renew_agreement)
        .service(agreement_notices::tell_of_agreement)
        .service(agreement_notices::tell_by_reference)
        .service(agreement_notices::list_agreement_notices)
        .service(agreement_timeline::list_agreement_timeline)
        .service(agreement_accounts::attach_agreement_account)
        .service(agreement_accounts::detach_agreement_account)
        .service(agreement_claims::read_connection_agreement)
        .service(agreement_claims::claim_connection_agreement);
}

/// Tokens of programs.
fn programs(cfg: &mut ServiceConfig) {
    cfg.service(service_tokens::list_service_tokens)
        .service(service_tokens::make_service_token)
        .service(service_tokens::read_service_token)
        .service(service_tokens::rotate_service_token)
        .service(service_tokens::revoke_service_token);
}

/// What consumers see and do by themselves.
fn own(cfg: &mut ServiceConfig) {
    cfg.service(me::read_own_consumer)
        .service(me::list_own_accounts)
        .service(me::read_own_quota)
        .service(me::connections::list_own_connections)
        .service(me::connections::read_own_connection)
        .service(me::services::list_known_services)
        .service(me::services::read_known_service)
        .service(me::access_requests::list_own_access_requests)
        .service(me::access_requests::ask_own_access)
        .service(me::access_requests::read_own_access_request)
        .service(me::access_requests::withdraw_own_access_request);
}

/// The caller as the audit trail knows it, with the request's id.
fn actor(subject: String) -> Actor {
    let request = current_request_id().map(|id| id.as_str().to_owned());
    Actor::caller(subject, request)
}
