//! The road that connection notifications take in an AccountRegion, and the notification of each of its services.

use chrono::{DateTime, Utc};
use privatelink::ServiceId;

use super::{PgConnection, StoreError};
use crate::domain::hint_setup::{HintSetup, SetupState};
use crate::domain::ids::{AccountRegionId, EndpointServiceId};
use crate::domain::notice::Remembered;
use crate::domain::silence::{MARGIN, Missed, Silence};

/// The set-up of an AccountRegion, if the worker has taken it up.
pub async fn by_id(
    conn: &mut PgConnection,
    id: AccountRegionId,
) -> Result<Option<HintSetup>, StoreError> {
    Ok(super::account_regions::by_id(conn, id)
        .await?
        .and_then(|account_region| account_region.hints))
}

/// Where to receive messages, once there is a queue.
pub async fn queue_url(
    conn: &mut PgConnection,
    id: AccountRegionId,
) -> Result<Option<String>, StoreError> {
    let url = sqlx::query_scalar!(
        "SELECT queue_url FROM hint_setups WHERE account_region_id = $1 AND state <> 'off'",
        id as _,
    )
    .fetch_optional(conn)
    .await?;
    Ok(url.flatten())
}

/// What a pass of the set-up came to.
#[derive(Debug)]
pub struct Progress<'a> {
    /// Where it stands now.
    pub state: SetupState,
    /// The topic, if it stands.
    pub topic_arn: Option<&'a str>,
    /// The queue, if it stands.
    pub queue_url: Option<&'a str>,
    /// AWS's code and words, where it said no.
    pub failure: Option<(&'a str, &'a str)>,
    /// When to look again.
    pub check_at: DateTime<Utc>,
}

/// Records what a pass of the set-up came to. The caller holds the lease.
pub async fn record(
    conn: &mut PgConnection,
    id: AccountRegionId,
    progress: &Progress<'_>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO hint_setups AS h (account_region_id, state, since, topic_arn, queue_url, code, message, check_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (account_region_id) DO UPDATE
            SET since = CASE WHEN h.state = EXCLUDED.state THEN h.since ELSE EXCLUDED.since END,
                state = EXCLUDED.state, topic_arn = EXCLUDED.topic_arn, queue_url = EXCLUDED.queue_url,
                code = EXCLUDED.code, message = EXCLUDED.message, check_at = EXCLUDED.check_at",
        id as _,
        progress.state.as_str(),
        now,
        progress.topic_arn,
        progress.queue_url,
        progress.failure.map(|(code, _)| code),
        progress.failure.map(|(_, message)| message),
        progress.check_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes that messages came: whatever silence there was is over. The caller holds the lease.
pub async fn record_message(
    conn: &mut PgConnection,
    id: AccountRegionId,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE hint_setups SET last_message_at = $2, silent_since = NULL, silent_missed = NULL
          WHERE account_region_id = $1",
        id as _,
        at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes that the queue is gone: the set-up begins anew. The caller holds the lease.
pub async fn record_queue_lost(
    conn: &mut PgConnection,
    id: AccountRegionId,
    url: &str,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE hint_setups
            SET state = 'setting_up', since = $3, queue_url = NULL, code = NULL, message = NULL, check_at = $3
          WHERE account_region_id = $1 AND queue_url = $2",
        id as _,
        url,
        at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Records whether messages are missing. The caller holds the lease.
pub async fn record_silence(
    conn: &mut PgConnection,
    id: AccountRegionId,
    silence: Option<Silence>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE hint_setups SET silent_since = $2, silent_missed = $3 WHERE account_region_id = $1",
        id as _,
        silence.map(|s| s.since),
        silence.map(|s| s.missed),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// New connections since the last message that AWS should have told of: made while the set-up stood, and after the notification of their
/// service.
pub async fn missed(conn: &mut PgConnection, id: AccountRegionId) -> Result<Missed, StoreError> {
    let row = sqlx::query!(
        r#"SELECT count(*) AS "count!", min(c.first_seen_at) AS first_at
             FROM hint_setups h
             JOIN connections c ON c.account_region_id = h.account_region_id
                  AND c.first_seen_at > GREATEST(h.since, h.last_message_at)
             JOIN service_notifications n ON n.endpoint_service_id = c.endpoint_service_id
            WHERE h.account_region_id = $1 AND h.state = 'listening'
              AND c.aws_created_at > GREATEST(h.since, h.last_message_at, n.made_at) + $2"#,
        id as _,
        MARGIN as _,
    )
    .fetch_one(conn)
    .await?;
    Ok(Missed {
        count: row.count,
        first_at: row.first_at,
    })
}

/// A service and what is remembered of its notification.
#[derive(Debug)]
pub struct Noticed {
    /// The service.
    pub id: EndpointServiceId,
    /// Its id in AWS.
    pub aws_id: ServiceId,
    /// Its notification.
    pub remembered: Remembered,
    /// When to try again what AWS refused.
    pub retry_at: Option<DateTime<Utc>>,
}

/// Whether a service stands in AWS and has no notification, although one could be tried now.
pub async fn lacks_notification(
    conn: &mut PgConnection,
    id: AccountRegionId,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let found = sqlx::query_scalar!(
        r#"SELECT true AS "found!"
             FROM endpoint_services s LEFT JOIN service_notifications n ON n.endpoint_service_id = s.id
            WHERE s.account_region_id = $1 AND s.aws_service_id IS NOT NULL AND s.lifecycle IN ('active', 'draining')
              AND n.notification_id IS NULL
              AND (n.retry_at IS NULL OR n.retry_at <= $2)
            LIMIT 1"#,
        id as _,
        now,
    )
    .fetch_optional(conn)
    .await?;
    Ok(found.is_some())
}

/// Every service of the AccountRegion that stands in AWS.
pub async fn services(
    conn: &mut PgConnection,
    id: AccountRegionId,
) -> Result<Vec<Noticed>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT s.id AS "id: EndpointServiceId", s.aws_service_id AS "aws_service_id!",
                  coalesce(n.generation, 0) AS "generation!", n.notification_id AS "notification_id?",
                  n.made_at AS "made_at?", n.retry_at AS "retry_at?"
             FROM endpoint_services s LEFT JOIN service_notifications n ON n.endpoint_service_id = s.id
            WHERE s.account_region_id = $1 AND s.aws_service_id IS NOT NULL AND s.lifecycle IN ('active', 'draining')
            ORDER BY s.id"#,
        id as _,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let aws_id = row.aws_service_id.parse().map_err(|what| {
                StoreError::inconsistent("endpoint_services", row.id, format!("{what:?}"))
            })?;
            Ok(Noticed {
                id: row.id,
                aws_id,
                remembered: Remembered {
                    generation: row.generation,
                    made: row.notification_id.zip(row.made_at),
                },
                retry_at: row.retry_at,
            })
        })
        .collect()
}

/// The notification that is a service's, if there is one.
pub async fn notification_of(
    conn: &mut PgConnection,
    service: EndpointServiceId,
) -> Result<Option<String>, StoreError> {
    let id = sqlx::query_scalar!(
        "SELECT notification_id FROM service_notifications WHERE endpoint_service_id = $1",
        service as _,
    )
    .fetch_optional(conn)
    .await?;
    Ok(id.flatten())
}

/// Remembers which notification is the service's. The caller holds the lease.
pub async fn record_notification(
    conn: &mut PgConnection,
    service: EndpointServiceId,
    notification: &str,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO service_notifications (endpoint_service_id, notification_id, made_at) VALUES ($1, $2, $3)
         ON CONFLICT (endpoint_service_id) DO UPDATE
            SET notification_id = EXCLUDED.notification_id, made_at = EXCLUDED.made_at,
                code = NULL, message = NULL, retry_at = NULL",
        service as _,
        notification,
        at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets a notification that is gone; the next one has another client token. The caller holds the lease.
pub async fn forget_notification(
    conn: &mut PgConnection,
    service: EndpointServiceId,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE service_notifications SET notification_id = NULL, made_at = NULL, generation = generation + 1
          WHERE endpoint_service_id = $1",
        service as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Records why AWS would not make or mend a notification, or that it is as it should be. The caller holds the lease.
pub async fn record_refusal(
    conn: &mut PgConnection,
    service: EndpointServiceId,
    refusal: Option<(&str, &str, DateTime<Utc>)>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO service_notifications (endpoint_service_id, code, message, retry_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (endpoint_service_id) DO UPDATE
            SET code = EXCLUDED.code, message = EXCLUDED.message, retry_at = EXCLUDED.retry_at",
        service as _,
        refusal.map(|(code, ..)| code),
        refusal.map(|(_, message, _)| message),
        refusal.map(|(.., retry_at)| retry_at),
    )
    .execute(conn)
    .await?;
    Ok(())
}
