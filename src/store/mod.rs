//! All SQL. Functions take `&mut PgConnection`, so that the caller decides where a transaction begins and ends.
//!
//! Naming: the noun comes from the module (`connections::by_id`). Locks are taken in this order: AccountRegion (lease), accounts,
//! consumers ([`parties`]), endpoint service, then a block, an access request or removal, or a re-judgement (nobody locks a block and a re-judgement), connections by (service, endpoint), drifts, denials. Whoever changes what policies are in force takes ([`policy_steps::lock_force`]) before the policy and its dry
//! runs, and of the others only, after these, what a re-judgement that is asked for with it takes: its service, shared, and those that it supersedes. A listing is locked
//! before its offers, and takes no lock of the others. What counts the use of an agreement is locked last. SQL's own `now()` is used for leases only, where the replicas' clocks must not matter;
//! everything else gets its time as a parameter. Nothing here calls AWS, and no transaction may be open while somebody does.

pub mod access_reach;
pub mod access_removals;
pub mod access_request_parts;
pub mod access_requests;
pub mod access_work;
pub mod account_regions;
pub mod agreement_accounts;
pub mod agreement_bindings;
pub mod agreement_grants;
pub mod agreement_notices;
pub mod agreement_timeline;
pub mod agreement_work;
pub mod agreements;
pub mod approvals;
pub mod audit;
pub mod audit_seals;
pub mod aws_ids;
pub mod block_work;
pub mod blocks;
pub mod comments;
pub mod connection_drifts;
pub mod connection_list;
pub mod connections;
pub mod consumer_accounts;
pub mod consumers;
pub mod decisions;
pub mod denials;
pub mod doctor;
pub mod drain_progress;
pub mod drifts;
pub mod dry_runs;
pub mod endpoint_services;
pub mod error;
pub mod events;
pub mod facts;
pub mod findings;
pub mod glance;
pub mod hint_setups;
pub mod hints;
pub mod history;
pub mod idempotent_requests;
pub mod inventory;
pub mod judge_wakes;
pub mod judgements;
pub mod leases;
pub mod lifecycles;
pub mod listing_revision_steps;
pub mod listing_revisions;
pub mod listing_services;
pub mod listings;
pub mod notices;
pub mod observed;
pub mod offers;
pub mod operations;
pub mod parties;
pub mod partitions;
pub mod planned_revocations;
pub mod policies;
pub mod policy_steps;
pub mod quotas;
pub mod rejudged;
pub mod rejudgement_steps;
pub mod rejudgements;
pub mod replicas;
pub mod retention;
pub mod review_queue;
pub mod review_rules;
pub mod review_timers;
pub mod reviews;
pub mod service_changes;
pub mod service_tokens;
pub mod stalls;
pub mod sync_queue;
pub mod tenant;
pub mod unit_of_work;
pub mod usage_facts;
pub mod usage_hours;
pub mod usage_list;
pub mod usage_marks;
pub mod usage_reports;
pub mod versions;

use std::str::FromStr;
use std::time::Duration;

pub use error::StoreError;
use sqlx::Connection as _;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
pub use sqlx::{PgConnection, PgPool};

/// A connection out of a pool.
pub type PooledConnection = sqlx::pool::PoolConnection<sqlx::Postgres>;

/// The tables that grow for ever, partitioned by month.
pub const PARTITIONED: [&str; 4] = ["observations", "sync_attempts", "audit_entries", "events"];

/// How much of the database a process takes, and how long it waits for it.
#[derive(Debug, Clone, Copy)]
pub struct PoolLimits {
    /// The most connections.
    pub max_connections: u32,
    /// How long somebody waits for a connection.
    pub acquire_timeout: Duration,
    /// How long a statement may run; one that runs longer is stuck or a mistake.
    pub statement_timeout: Duration,
    /// How long a statement waits for a lock.
    pub lock_timeout: Duration,
    /// How long a transaction may stand without a statement.
    pub idle_in_transaction_timeout: Duration,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self {
            max_connections: 16,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(15),
            lock_timeout: Duration::from_secs(5),
            idle_in_transaction_timeout: Duration::from_secs(30),
        }
    }
}

/// Opens a pool. Connections are made lazily, so that a database that is down shows in `/readyz` and not as a crash at start.
pub fn pool(url: &str, limits: PoolLimits) -> Result<PgPool, StoreError> {
    let options = PgConnectOptions::from_str(url)?
        .application_name("portcullis")
        // In milliseconds, which is PostgreSQL's unit where none is named.
        .options(
            [
                ("statement_timeout", limits.statement_timeout),
                ("lock_timeout", limits.lock_timeout),
                (
                    "idle_in_transaction_session_timeout",
                    limits.idle_in_transaction_timeout,
                ),
            ]
            .map(|(name, limit)| (name, limit.as_millis().to_string())),
        );
    Ok(PgPoolOptions::new()
        .max_connections(limits.max_connections)
        .acquire_timeout(limits.acquire_timeout)
        // A ping for every checkout costs a round trip; a broken connection shows at first use anyway.
        .test_before_acquire(false)
        .connect_lazy_with(options))
}

/// Brings the schema up to date, on a connection of its own: a migration may take longer than any statement of the program may. Safe
/// to run from several replicas at once.
pub async fn migrate(url: &str) -> Result<(), sqlx::migrate::MigrateError> {
    let mut conn = PgConnection::connect(url).await?;
    sqlx::migrate!().run(&mut conn).await?;
    conn.close().await?;
    Ok(())
}

/// Whether the database answers and has a schema.
pub async fn ping(conn: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query_scalar!("SELECT count(*) FROM account_regions WHERE false")
        .fetch_one(conn)
        .await?;
    Ok(())
}
