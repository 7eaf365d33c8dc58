//! Replicas that live, and what they see of each other. The database's clock is the only one that counts here, as for leases.

use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{PgConnection, StoreError};
use crate::domain::ids::AccountRegionId;

/// Says that this replica lives, for as long as a lease lasts.
pub async fn announce(conn: &mut PgConnection, id: Uuid, ttl: Duration) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO replicas (id, started_at, live_until) VALUES ($1, now(), now() + make_interval(secs => $2))
         ON CONFLICT (id) DO UPDATE SET live_until = EXCLUDED.live_until",
        id,
        ttl.as_secs_f64(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Says how many AccountRegions this replica still wants.
pub async fn want(conn: &mut PgConnection, id: Uuid, wants: usize) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE replicas SET wants = $2 WHERE id = $1 AND wants <> $2",
        id,
        i32::try_from(wants).unwrap_or(i32::MAX),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What a replica sees when it looks around.
#[derive(Debug, Clone, Copy)]
pub struct Around {
    /// AccountRegions that are enabled and not at rest after a failure to get in, or held.
    pub servable: usize,
    /// Replicas that live.
    pub replicas: usize,
    /// AccountRegions that nobody holds and that can be taken now.
    pub free: usize,
    /// Those of them that this replica may take.
    pub takeable: usize,
    /// What the others want.
    pub wanted: usize,
}

/// Looks around. `shunned` are AccountRegions that this replica leaves to others, each at the version at which it failed.
pub async fn around(
    conn: &mut PgConnection,
    id: Uuid,
    shunned: &[(AccountRegionId, i64)],
) -> Result<Around, StoreError> {
    let (ids, versions): (Vec<Uuid>, Vec<i64>) = shunned
        .iter()
        .map(|(id, version)| (id.uuid(), *version))
        .unzip();
    let row = sqlx::query!(
        r#"
        WITH placed AS (
            SELECT id, version, lease_until >= now() AS held, entry_after > now() AS resting
              FROM account_regions WHERE state = 'enabled'
        ), open AS (
            SELECT id, version FROM placed WHERE held IS NOT TRUE AND resting IS NOT TRUE
        )
        SELECT (SELECT count(*) FROM placed WHERE held OR resting IS NOT TRUE) AS "servable!",
               (SELECT count(*) FROM open) AS "free!",
               (SELECT count(*) FROM open
                 WHERE (id, version) NOT IN (SELECT * FROM unnest($2::uuid[], $3::bigint[]))) AS "takeable!",
               (SELECT count(*) FROM replicas WHERE live_until >= now()) AS "replicas!",
               (SELECT coalesce(sum(wants), 0) FROM replicas WHERE live_until >= now() AND id <> $1) AS "wanted!"
        "#,
        id,
        &ids,
        &versions,
    )
    .fetch_one(conn)
    .await?;
    let count = |n: i64| usize::try_from(n).unwrap_or(0);
    Ok(Around {
        servable: count(row.servable),
        replicas: count(row.replicas),
        free: count(row.free),
        takeable: count(row.takeable),
        wanted: count(row.wanted),
    })
}

/// Takes the announcement back.
pub async fn leave(conn: &mut PgConnection, id: Uuid) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM replicas WHERE id = $1", id)
        .execute(conn)
        .await?;
    Ok(())
}

/// Clears away the announcements of replicas that died a while ago.
pub async fn clear_dead(conn: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM replicas WHERE live_until < now() - interval '1 hour'")
        .execute(conn)
        .await?;
    Ok(())
}

/// Takes every announcement back. Only for whoever knows that no other replica lives.
pub async fn leave_all(conn: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM replicas").execute(conn).await?;
    Ok(())
}

/// A replica that lives.
#[derive(Debug, Clone)]
pub struct Replica {
    /// Its id, new with every start.
    pub id: Uuid,
    /// Since when it lives.
    pub started_at: DateTime<Utc>,
    /// Until when it counts as living unless it says so again.
    pub live_until: DateTime<Utc>,
    /// AccountRegions that it holds.
    pub holds: i64,
    /// AccountRegions that it wants beside these.
    pub wants: i32,
}

/// Those that live, the oldest first.
pub async fn all(conn: &mut PgConnection) -> Result<Vec<Replica>, StoreError> {
    let rows = sqlx::query_as!(
        Replica,
        r#"SELECT r.id, r.started_at, r.live_until, r.wants,
                  (SELECT count(*) FROM account_regions a WHERE a.lease_holder = r.id AND a.lease_until >= now()) AS "holds!"
             FROM replicas r WHERE r.live_until >= now() ORDER BY r.started_at, r.id"#
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}
