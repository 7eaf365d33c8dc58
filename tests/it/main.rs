//! The whole product in one process: the REST API on a real socket, the worker stepped by hand, a PostgreSQL database for each test
//! and the simulator in AWS's place. Invariants (I1, I4, …) are named where a test holds one.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod access_gate;
mod access_removal_races;
mod access_removals;
mod access_requests;
mod agreement_drain;
mod agreement_gate;
mod agreement_notices;
mod agreement_orders;
mod agreement_second_looks;
mod agreement_verbs;
mod agreements;
mod approvals;
mod asked_again;
mod audit_seals;
mod authz_matrix;
mod authz_objects;
mod aws_ids;
mod blocks;
mod bulk;
mod catalog;
mod concurrency;
mod consumers;
mod crash;
mod deactivations;
mod denials;
mod doctor;
mod drift;
mod drift_healing;
mod drift_import;
mod drift_inbox;
mod drift_races;
mod drift_verbs;
mod dry_runs;
mod events;
mod explanations;
mod findings;
mod glance;
mod hardening;
mod heard;
mod hint_faults;
mod hint_setup;
mod hints;
mod idempotency;
mod issuer_keys;
mod issuers;
mod judge;
mod life;
mod listing;
mod listing_refusals;
mod listing_second_looks;
mod listings;
mod listings_and_services;
mod matrix;
mod odd_input;
mod offers;
mod operations;
mod own;
mod pacing;
mod paging;
mod parts;
mod planned_revocations;
mod policies;
mod preconditions;
mod quotas;
mod refusals;
mod refusals_of_decisions;
mod rejudgement_ends;
mod rejudgements;
mod restored;
mod reviews;
mod schema;
mod service_change_faults;
mod service_changes;
mod service_end;
mod service_end_faults;
mod service_end_races;
mod service_faults;
mod service_load_balancers;
mod service_payer;
mod service_private_dns;
mod service_replacement_faults;
mod service_tokens;
mod sns_attacks;
mod sns_hook;
mod spreading;
mod stalls;
mod summary;
mod support;
mod sync_batches;
mod sync_faults;
mod sync_order;
mod tenant_hand;
mod tenant_wall;
mod timers;
mod token_attacks;
mod usage;
mod usage_months;
mod usage_reports;
