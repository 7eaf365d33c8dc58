//! Lookups and lists around policies.

use super::dry_run_policy::gone;
use super::read::Listed;
use super::write_policy::missing;
use super::{AppContext, AppError};
use crate::domain::ids::{DryRunId, PolicyId};
use crate::domain::policy::Policy;
use crate::domain::policy_dry_run::PolicyDryRun;
use crate::store::{PgConnection, dry_runs, policies};

/// One policy.
pub async fn policy(ctx: &AppContext, id: PolicyId) -> Result<Policy, AppError> {
    let conn: &mut PgConnection = &mut *ctx.acquire().await?;
    policies::by_id(conn, id).await?.ok_or_else(|| missing(id))
}

/// Policies, newest first.
pub async fn policies(
    ctx: &AppContext,
    filter: &policies::Filter,
    before: Option<PolicyId>,
    limit: i64,
) -> Result<Listed<Policy, PolicyId>, AppError> {
    let conn: &mut PgConnection = &mut *ctx.acquire().await?;
    let rows = policies::page(conn, filter, before, limit + 1).await?;
    Ok(Listed::cut(rows, limit, |row| row.id))
}

/// One dry run of a policy.
pub async fn dry_run(
    ctx: &AppContext,
    policy: PolicyId,
    id: DryRunId,
) -> Result<PolicyDryRun, AppError> {
    let conn: &mut PgConnection = &mut *ctx.acquire().await?;
    policies::by_id(conn, policy)
        .await?
        .ok_or_else(|| missing(policy))?;
    let found = dry_runs::by_id(conn, policy, id).await?;
    found.ok_or_else(|| gone(id))
}
