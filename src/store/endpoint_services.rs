//! Registered endpoint services.

use chrono::{DateTime, Utc};
use privatelink::{EndpointService, ServiceId};
use serde_json::Value;

use super::{PgConnection, StoreError};
use crate::domain::doctor::Check;
use crate::domain::endpoint_service::{
    Checks, ObservedService, Origin, RegisteredService, ServiceSync, Waiting, WantedName,
};
use crate::domain::ids::{AccountRegionId, EndpointServiceId};
use crate::domain::lifecycle::{Drain, Lifecycle, LifecycleState, Said};
use crate::domain::order::Order;
use crate::domain::stall::{GivenUp, Stall};
use crate::domain::sync::SyncState;

const TABLE: &str = "endpoint_services";

#[expect(
    clippy::struct_excessive_bools,
    reason = "a row has the columns that it has"
)]
struct Row {
    id: EndpointServiceId,
    account_region_id: AccountRegionId,
    account_id: String,
    region: String,
    name: String,
    origin: String,
    acceptance_required: bool,
    load_balancer_arns: Vec<String>,
    allowed_principals: Vec<String>,
    supported_ip_address_types: Option<Vec<String>>,
    supported_regions: Option<Vec<String>>,
    tags: Value,
    open_to_everybody: bool,
    granted_principals: Vec<String>,
    set_tag_keys: Vec<String>,
    version: i64,
    applied_version: i64,
    aws_service_id: Option<String>,
    service_name: Option<String>,
    observed: Option<Value>,
    observed_at: Option<DateTime<Utc>>,
    observed_principals: Option<Vec<String>>,
    checks: Option<Value>,
    checked_at: Option<DateTime<Utc>>,
    sync_state: String,
    sync_due_at: DateTime<Utc>,
    sync_attempts: i32,
    sync_code: Option<String>,
    sync_message: Option<String>,
    created_at: DateTime<Utc>,
    created_by: String,
    check_requested_at: Option<DateTime<Utc>>,
    stalled_at: Option<DateTime<Utc>>,
    stall_owner: Option<String>,
    stall_owned_at: Option<DateTime<Utc>>,
    dropped_load_balancer_arns: Vec<String>,
    listeners_may_differ: bool,
    refresh_zones_at: Option<DateTime<Utc>>,
    private_dns_wanted: String,
    private_dns_name: Option<String>,
    service_owner_pays: bool,
    private_dns: Option<Value>,
    waiting: Option<Value>,
    lifecycle: String,
    lifecycle_since: Option<DateTime<Utc>>,
    lifecycle_by: Option<String>,
    lifecycle_reason: Option<String>,
    reject_at: Option<DateTime<Utc>>,
    then_delete: bool,
    frozen_at: Option<DateTime<Utc>>,
    delete_called_at: Option<DateTime<Utc>>,
    delete_refusals: i32,
    delete_code: Option<String>,
    delete_message: Option<String>,
    gave_up_at: Option<DateTime<Utc>>,
    gave_up_by: Option<String>,
    gave_up_reason: Option<String>,
}

/// The words of `private_dns_wanted`.
fn wanted_name(word: &str, name: Option<String>) -> Result<WantedName, String> {
    match (word, name) {
        ("as_it_is", None) => Ok(WantedName::AsItIs),
        ("none", None) => Ok(WantedName::Absent),
        ("name", Some(name)) => Ok(WantedName::Name(name)),
        (word, name) => Err(format!("private_dns_wanted: {word:?} with {name:?}")),
    }
}

/// The life of a service, out of its columns.
fn lifecycle(row: &Row) -> Result<Lifecycle, String> {
    let said = (
        row.lifecycle_since,
        row.lifecycle_by.clone(),
        row.lifecycle_reason.clone(),
    );
    Ok(Lifecycle {
        state: row.lifecycle.parse()?,
        said: match said {
            (Some(at), Some(by), Some(reason)) => Some(Said { at, by, reason }),
            (None, None, None) => None,
            _ => return Err("half a life".to_owned()),
        },
        drain: row.reject_at.map(|reject_at| Drain {
            reject_at,
            then_delete: row.then_delete,
            frozen_at: row.frozen_at,
            called_at: row.delete_called_at,
            refusals: row.delete_refusals,
            answer: row.delete_code.clone().zip(row.delete_message.clone()),
        }),
    })
}

impl TryFrom<Row> for RegisteredService {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        fn broken(id: EndpointServiceId) -> impl Fn(String) -> StoreError {
            move |what| StoreError::inconsistent(TABLE, id, what)
        }
        let lifecycle = lifecycle(&row).map_err(|e| StoreError::inconsistent(TABLE, row.id, e))?;
        let broken = broken(row.id);
        let principals = row.observed_principals;
        let observed = row
            .observed
            .zip(row.observed_at)
            .map(|(value, at)| {
                let service: EndpointService =
                    serde_json::from_value(value).map_err(|e| broken(format!("observed: {e}")))?;
                Ok::<_, StoreError>(ObservedService {
                    service,
                    principals,
                    at,
                })
            })
            .transpose()?;
        let checks = row
            .checks
            .zip(row.checked_at)
            .map(|(value, at)| {
                let all: Vec<Check> =
                    serde_json::from_value(value).map_err(|e| broken(format!("checks: {e}")))?;
                Ok::<_, StoreError>(Checks { all, at })
            })
            .transpose()?;
        Ok(Self {
            id: row.id,
            account_region_id: row.account_region_id,
            account: row.account_id.parse().map_err(|e| broken(format!("{e}")))?,
            region: row.region.parse().map_err(|e| broken(format!("{e}")))?,
            name: row.name,
            origin: row.origin.parse::<Origin>().map_err(&broken)?,
            acceptance_required: row.acceptance_required,
            load_balancer_arns: row
                .load_balancer_arns
                .iter()
                .map(|arn| arn.parse().map_err(|e| broken(format!("{e}"))))
                .collect::<Result<_, _>>()?,
            allowed_principals: row.allowed_principals,
            supported_ip_address_types: row.supported_ip_address_types,
            supported_regions: row.supported_regions,
            tags: serde_json::from_value(row.tags).map_err(|e| broken(format!("tags: {e}")))?,
            open_to_everybody: row.open_to_everybody,
            granted_principals: row.granted_principals,
            set_tag_keys: row.set_tag_keys,
            version: row.version,
            applied_version: row.applied_version,
            aws_service_id: row
                .aws_service_id
                .map(|id| id.parse().map_err(|e| broken(format!("{e}"))))
                .transpose()?,
            service_name: row.service_name,
            observed,
            checks,
            sync: ServiceSync {
                state: row.sync_state.parse::<SyncState>().map_err(&broken)?,
                due_at: row.sync_due_at,
                attempts: row.sync_attempts,
                code: row.sync_code,
                message: row.sync_message,
            },
            created_at: row.created_at,
            created_by: row.created_by,
            check_requested_at: row.check_requested_at,
            given_up: match (row.gave_up_at, row.gave_up_by, row.gave_up_reason) {
                (Some(at), Some(by), Some(reason)) => Some(GivenUp { at, by, reason }),
                (None, None, None) => None,
                _ => return Err(broken("half given up".to_owned())),
            },
            stall: row.stalled_at.map(|since| Stall {
                since,
                owner: row.stall_owner.zip(row.stall_owned_at),
            }),
            dropped_load_balancer_arns: row
                .dropped_load_balancer_arns
                .iter()
                .map(|arn| arn.parse().map_err(|e| broken(format!("{e}"))))
                .collect::<Result<_, _>>()?,
            listeners_may_differ: row.listeners_may_differ,
            refresh_zones_at: row.refresh_zones_at,
            private_dns_name: wanted_name(&row.private_dns_wanted, row.private_dns_name)
                .map_err(&broken)?,
            service_owner_pays: row.service_owner_pays,
            private_dns: row
                .private_dns
                .map(serde_json::from_value)
                .transpose()
                .map_err(|e| broken(format!("private_dns: {e}")))?,
            waiting: row
                .waiting
                .map(serde_json::from_value::<Vec<Waiting>>)
                .transpose()
                .map_err(|e| broken(format!("waiting: {e}")))?
                .unwrap_or_default(),
            lifecycle,
        })
    }
}

/// The index that an AWS service is registered once in its AccountRegion, as long as it is looked after.
const REGISTERED_ONCE: &str = "endpoint_services_aws_service_id_unique";

/// Adds a service, due for its first sync at once; `Duplicate` on `endpoint_services_aws_service_id_unique`, which leaves the transaction usable.
pub async fn insert(
    conn: &mut PgConnection,
    service: &RegisteredService,
) -> Result<(), StoreError> {
    let arns: Vec<String> = service
        .load_balancer_arns
        .iter()
        .map(ToString::to_string)
        .collect();
    let done = sqlx::query!(
        "INSERT INTO endpoint_services (id, account_region_id, name, origin, acceptance_required, load_balancer_arns,
                                        allowed_principals, open_to_everybody, aws_service_id, sync_state, sync_due_at,
                                        created_at, created_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'due', $10, $11, $12)
         ON CONFLICT (account_region_id, aws_service_id) WHERE lifecycle NOT IN ('deleted', 'released') DO NOTHING",
        service.id as _,
        service.account_region_id as _,
        service.name,
        service.origin.as_str(),
        service.acceptance_required,
        &arns,
        &service.allowed_principals,
        service.open_to_everybody,
        service.aws_service_id.as_ref().map(ServiceId::as_str),
        service.sync.due_at,
        service.created_at,
        service.created_by,
    )
    .execute(conn)
    .await?;
    if done.rows_affected() == 0 {
        let constraint = REGISTERED_ONCE.to_owned();
        return Err(StoreError::Duplicate { constraint });
    }
    Ok(())
}

/// Reads services with their place: the columns once, whatever the rest of the statement says.
macro_rules! service_rows {
    ($rest:literal $(, $argument:expr)* $(,)?) => {
        service_rows!([$rest] $(, $argument)*)
    };
    ([$($rest:literal)+] $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"SELECT s.id AS "id: EndpointServiceId", s.account_region_id AS "account_region_id: AccountRegionId",
                      a.account_id, a.region, s.name, s.origin, s.acceptance_required, s.load_balancer_arns,
                      s.allowed_principals, s.supported_ip_address_types, s.supported_regions, s.tags, s.open_to_everybody,
                      s.granted_principals, s.set_tag_keys, s.version, s.applied_version, s.aws_service_id, s.service_name,
                      s.observed, s.observed_at, s.observed_principals, s.checks, s.checked_at, s.sync_state, s.sync_due_at, s.sync_attempts, s.sync_code, s.sync_message,
                      s.created_at, s.created_by, s.check_requested_at, s.stalled_at, s.stall_owner, s.stall_owned_at,
                      s.dropped_load_balancer_arns, s.listeners_may_differ, s.refresh_zones_at,
                      s.private_dns_wanted, s.private_dns_name, s.service_owner_pays, s.private_dns, s.waiting,
                      s.lifecycle, s.lifecycle_since, s.lifecycle_by, s.lifecycle_reason, s.reject_at, s.then_delete,
                      s.frozen_at, s.delete_called_at, s.delete_refusals, s.delete_code, s.delete_message,
                      s.gave_up_at, s.gave_up_by, s.gave_up_reason
                 FROM endpoint_services s JOIN account_regions a ON a.id = s.account_region_id "# $(+ $rest)+
            $(, $argument)*
        )
    };
}

/// One by id.
pub async fn by_id(
    conn: &mut PgConnection,
    id: EndpointServiceId,
) -> Result<Option<RegisteredService>, StoreError> {
    let row = service_rows!(r#"WHERE s.id = $1"#, id as _,)
        .fetch_optional(conn)
        .await?;
    row.map(RegisteredService::try_from).transpose()
}

/// Those of these that there are, by id.
pub async fn by_ids(
    conn: &mut PgConnection,
    ids: &[EndpointServiceId],
) -> Result<Vec<RegisteredService>, StoreError> {
    let ids: Vec<uuid::Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let rows = service_rows!(r#"WHERE s.id = ANY($1) ORDER BY s.id"#, &ids,)
        .fetch_all(conn)
        .await?;
    rows.into_iter().map(RegisteredService::try_from).collect()
}

/// Which services to list. Absent filters let everything through.
#[derive(Debug, Default)]
pub struct Filter<'a> {
    /// Only this AccountRegion's.
    pub account_region: Option<AccountRegionId>,
    /// Only the one with this AWS id.
    pub aws_service_id: Option<&'a ServiceId>,
    /// Only those whose sync is in this state.
    pub sync_state: Option<SyncState>,
    /// Only those that are there in their life.
    pub lifecycle: Option<LifecycleState>,
}

/// A page, starting after `from`.
pub async fn page(
    conn: &mut PgConnection,
    filter: &Filter<'_>,
    order: Order,
    from: Option<EndpointServiceId>,
    limit: i64,
) -> Result<Vec<RegisteredService>, StoreError> {
    macro_rules! listed {
        ($after:literal, $order:literal) => {
            service_rows!(
                [r#"WHERE ($1::uuid IS NULL OR s.id "# $after r#" $1)
                      AND ($2::uuid IS NULL OR s.account_region_id = $2)
                      AND ($3::text IS NULL OR s.aws_service_id = $3)
                      AND ($4::text IS NULL OR s.sync_state = $4)
                      AND ($5::text IS NULL OR s.lifecycle = $5)
                    ORDER BY s.id "# $order r#" LIMIT $6"#],
                from.map(EndpointServiceId::uuid),
                filter.account_region.map(AccountRegionId::uuid),
                filter.aws_service_id.map(ServiceId::as_str),
                filter.sync_state.map(SyncState::as_str),
                filter.lifecycle.map(LifecycleState::as_str),
                limit,
            )
            .fetch_all(conn)
            .await?
        };
    }
    let rows = match order {
        Order::Asc => listed!(">", "ASC"),
        Order::Desc => listed!("<", "DESC"),
    };
    rows.into_iter().map(RegisteredService::try_from).collect()
}

/// What the worker has to look at now: out of step, not looked at for a while, or asked for.
pub async fn due(
    conn: &mut PgConnection,
    account_region: AccountRegionId,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<RegisteredService>, StoreError> {
    let rows = service_rows!(
        r#"WHERE s.account_region_id = $1 AND s.lifecycle NOT IN ('deleted', 'released')
              AND ((s.sync_state NOT IN ('stalled', 'given_up') AND s.sync_due_at <= $2) OR s.check_requested_at IS NOT NULL)
            -- New registrations and looks that were asked for before refreshes: somebody may be waiting.
            ORDER BY s.check_requested_at IS NULL AND s.sync_state <> 'due', s.sync_due_at
            LIMIT $3"#,
        account_region as _,
        now,
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(RegisteredService::try_from).collect()
}

/// When the next service of an AccountRegion is due.
pub async fn next_due(
    conn: &mut PgConnection,
    account_region: AccountRegionId,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    let at = sqlx::query_scalar!(
        "SELECT min(sync_due_at) FROM endpoint_services
          WHERE account_region_id = $1 AND sync_state NOT IN ('stalled', 'given_up') AND lifecycle NOT IN ('deleted', 'released')",
        account_region as _,
    )
    .fetch_one(conn)
    .await?;
    Ok(at)
}

/// Records what AWS said about a service, and its principals where they were read. An adopted service takes its desired values from the first read. `Duplicate` on
/// `endpoint_services_aws_service_id_unique` when another row already is this AWS service. The caller holds the lease.
pub async fn record_observed(
    conn: &mut PgConnection,
    id: EndpointServiceId,
    service: &EndpointService,
    principals: Option<&[String]>,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let observed =
        serde_json::to_value(service).map_err(|e| StoreError::inconsistent(TABLE, id, e))?;
    let arns: Vec<String> = service
        .network_load_balancer_arns
        .iter()
        .map(ToString::to_string)
        .collect();
    sqlx::query!(
        "UPDATE endpoint_services
            SET acceptance_required = CASE WHEN origin = 'adopted' AND observed IS NULL THEN $6 ELSE acceptance_required END,
                load_balancer_arns  = CASE WHEN origin = 'adopted' AND observed IS NULL THEN $7 ELSE load_balancer_arns END,
                aws_service_id = $2, service_name = $3, observed_state = $4, observed = $5, observed_at = $8,
                observed_principals = coalesce($9, observed_principals)
          WHERE id = $1 AND (observed_at IS NULL OR observed_at <= $8)",
        id as _,
        service.service_id.as_str(),
        service.service_name,
        service.state.as_str(),
        observed,
        service.acceptance_required,
        &arns,
        at,
        principals,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Records how far AWS is told of what was desired of a service when it was read, with nothing that waits; nothing when somebody has changed it since, or
/// has asked for another try. The caller holds the lease.
pub async fn record_sync(
    conn: &mut PgConnection,
    read: &RegisteredService,
    sync: &ServiceSync,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE endpoint_services
            -- Zones that somebody asked for in the meantime keep it due.
            SET sync_state   = CASE WHEN $3 = 'idle' AND refresh_zones_at IS NOT NULL THEN 'due' ELSE $3 END,
                sync_due_at  = CASE WHEN $3 = 'idle' AND refresh_zones_at IS NOT NULL THEN refresh_zones_at ELSE $4 END,
                sync_attempts = $5, sync_code = $6, sync_message = $7, waiting = NULL
          WHERE id = $1 AND version = $2 AND sync_state = $8 AND sync_due_at = $9",
        read.id as _,
        read.version,
        sync.state.as_str(),
        sync.due_at,
        sync.attempts,
        sync.code,
        sync.message,
        read.sync.state.as_str(),
        read.sync.due_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Makes a service due again that is stalled or given up, waits, or was not deleted when AWS was asked. Answers whether it was any of these.
pub async fn retry(
    conn: &mut PgConnection,
    id: EndpointServiceId,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE endpoint_services
            SET sync_state = 'due', sync_due_at = $2, sync_attempts = 0, sync_code = NULL, sync_message = NULL
          WHERE id = $1 AND (sync_state IN ('stalled', 'given_up') OR waiting IS NOT NULL OR lifecycle = 'draining' AND delete_code IS NOT NULL)
            AND lifecycle NOT IN ('deleted', 'released')",
        id as _,
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}
