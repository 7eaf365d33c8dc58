//! Replicas of the worker, and what they hold.

use actix_web::get;
use actix_web::web::{Data, Json};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::auth::{Caller, Read};
use crate::api::problem::Problem;
use crate::api::responses::AuthProblems;
use crate::app::{AppContext, read};

/// A replica that works for AccountRegions.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReplicaView {
    /// Its id, new with every start; `served_by.replica` of an AccountRegion names it.
    replica: String,
    /// Since when it lives.
    started_at: DateTime<Utc>,
    /// Until when it counts as living unless it says so again.
    live_until: DateTime<Utc>,
    /// AccountRegions that it holds.
    holds: i64,
    /// AccountRegions that it wants beside these and finds nowhere free.
    wants: i32,
}

/// The replicas, the oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReplicaList {
    /// The rows.
    items: Vec<ReplicaView>,
}

/// Lists the replicas that work for AccountRegions
///
/// What each holds, and how many AccountRegions it still wants.
#[utoipa::path(
    tag = "account-regions",
    responses((status = 200, description = "All that live, the oldest first.", body = ReplicaList), AuthProblems)
)]
#[get("/v1/replicas")]
pub(super) async fn list_replicas(
    _caller: Caller<Read>,
    ctx: Data<AppContext>,
) -> Result<Json<ReplicaList>, Problem> {
    let all = read::replicas(&ctx).await?.into_iter();
    let items = all.map(|row| ReplicaView {
        replica: row.id.simple().to_string(),
        started_at: row.started_at,
        live_until: row.live_until,
        holds: row.holds,
        wants: row.wants,
    });
    Ok(Json(ReplicaList {
        items: items.collect(),
    }))
}
