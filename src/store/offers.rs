//! Offers. What one says never changes; it can be taken back.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use privatelink::AccountId;
use serde_json::Value;

use super::{PgConnection, StoreError};
use crate::domain::consumer::Said;
use crate::domain::ids::{ListingId, OfferId, PlanId};
use crate::domain::listing::{Offer, OfferKind, OfferState, Plan};
use crate::domain::policy::Stamp;

const TABLE: &str = "offers";

struct Row {
    id: OfferId,
    listing_id: ListingId,
    plan_id: PlanId,
    revision: i64,
    kind: String,
    name: String,
    accounts: Vec<String>,
    valid_from: DateTime<Utc>,
    valid_until: Option<DateTime<Utc>>,
    prices: Value,
    version: i64,
    made_at: DateTime<Utc>,
    made_by: String,
    withdrawn_at: Option<DateTime<Utc>>,
    withdrawn_by: Option<String>,
    withdrawn_reason: Option<String>,
}

impl TryFrom<Row> for Offer {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let broken = |what: String| StoreError::inconsistent(TABLE, row.id, what);
        let withdrawn = match (row.withdrawn_at, row.withdrawn_by, row.withdrawn_reason) {
            (None, None, None) => None,
            (Some(at), Some(by), Some(reason)) => Some(Said { at, by, reason }),
            _ => return Err(broken("half withdrawn".to_owned())),
        };
        let accounts = row
            .accounts
            .iter()
            .map(|account| account.parse::<AccountId>());
        Ok(Self {
            id: row.id,
            listing: row.listing_id,
            plan: row.plan_id,
            revision: row.revision,
            kind: row.kind.parse().map_err(broken)?,
            name: row.name,
            accounts: accounts
                .collect::<Result<_, _>>()
                .map_err(|e| broken(e.to_string()))?,
            valid_from: row.valid_from,
            valid_until: row.valid_until,
            prices: serde_json::from_value(row.prices).map_err(|e| broken(e.to_string()))?,
            version: row.version,
            made: Stamp {
                at: row.made_at,
                by: row.made_by,
            },
            withdrawn,
        })
    }
}

/// Reads offers: the columns once, whatever the rest of the statement says.
macro_rules! offer_rows {
    ($rest:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"SELECT id AS "id: OfferId", listing_id AS "listing_id: ListingId", plan_id AS "plan_id: PlanId", revision, kind, name, accounts,
                      valid_from, valid_until, prices, version, made_at, made_by, withdrawn_at, withdrawn_by, withdrawn_reason
                 FROM offers "# + $rest
            $(, $argument)*
        )
    };
}

/// Adds an offer. The caller has locked its listing.
pub async fn insert(conn: &mut PgConnection, new: &Offer) -> Result<(), StoreError> {
    let accounts: Vec<String> = new.accounts.iter().map(ToString::to_string).collect();
    let prices = serde_json::to_value(&new.prices)
        .map_err(|e| StoreError::inconsistent(TABLE, new.id, e))?;
    sqlx::query!(
        "INSERT INTO offers (id, listing_id, plan_id, revision, kind, name, accounts, valid_from, valid_until, prices, version, made_at, made_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        new.id as _,
        new.listing as _,
        new.plan as _,
        new.revision,
        new.kind.as_str(),
        new.name,
        &accounts,
        new.valid_from,
        new.valid_until,
        prices,
        new.version,
        new.made.at,
        new.made.by,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// One by id.
pub async fn by_id(conn: &mut PgConnection, id: OfferId) -> Result<Option<Offer>, StoreError> {
    let row = offer_rows!(r#"WHERE id = $1"#, id as _,)
        .fetch_optional(conn)
        .await?;
    row.map(Offer::try_from).transpose()
}

/// One by id, locked until the transaction ends.
pub async fn locked(conn: &mut PgConnection, id: OfferId) -> Result<Option<Offer>, StoreError> {
    let row = offer_rows!(r#"WHERE id = $1 FOR NO KEY UPDATE"#, id as _,)
        .fetch_optional(conn)
        .await?;
    row.map(Offer::try_from).transpose()
}

/// One by id, kept as it is until the transaction ends. Several may keep it at a time, and whoever would withdraw it waits for all of them.
pub async fn kept(conn: &mut PgConnection, id: OfferId) -> Result<Option<Offer>, StoreError> {
    let row = offer_rows!(r#"WHERE id = $1 FOR SHARE"#, id as _,)
        .fetch_optional(conn)
        .await?;
    row.map(Offer::try_from).transpose()
}

/// A public offer of a plan whose time overlaps another's.
pub async fn overlapping(
    conn: &mut PgConnection,
    new: &Offer,
) -> Result<Option<Offer>, StoreError> {
    let row = offer_rows!(
        r#"WHERE plan_id = $1 AND kind = 'public' AND withdrawn_at IS NULL
              AND ($3::timestamptz IS NULL OR valid_from < $3) AND (valid_until IS NULL OR valid_until > $2)
            ORDER BY id LIMIT 1"#,
        new.plan as _,
        new.valid_from,
        new.valid_until,
    )
    .fetch_optional(conn)
    .await?;
    row.map(Offer::try_from).transpose()
}

/// Takes an offer back that nobody has taken back. Answers whether nobody had.
pub async fn withdraw(
    conn: &mut PgConnection,
    id: OfferId,
    said: &Said,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE offers SET withdrawn_at = $2, withdrawn_by = $3, withdrawn_reason = $4, version = version + 1
          WHERE id = $1 AND withdrawn_at IS NULL",
        id as _,
        said.at,
        said.by,
        said.reason,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Which offers to list. Absent filters let everything through.
#[derive(Debug, Default)]
pub struct Filter<'a> {
    /// Only those of this listing.
    pub listing: Option<ListingId>,
    /// Only those of this plan.
    pub plan: Option<PlanId>,
    /// Only those of this kind.
    pub kind: Option<OfferKind>,
    /// Only those that stand so.
    pub state: Option<OfferState>,
    /// Only private ones for this account.
    pub account: Option<&'a AccountId>,
}

/// A page, newest first, starting after `before`. The state is that at `now`.
pub async fn page(
    conn: &mut PgConnection,
    filter: &Filter<'_>,
    now: DateTime<Utc>,
    before: Option<OfferId>,
    limit: i64,
) -> Result<Vec<Offer>, StoreError> {
    let rows = offer_rows!(
        r#"WHERE ($1::uuid IS NULL OR id < $1)
              AND ($2::uuid IS NULL OR listing_id = $2)
              AND ($3::uuid IS NULL OR plan_id = $3)
              AND ($4::text IS NULL OR kind = $4)
              AND ($5::text IS NULL OR $5 = ANY(accounts))
              AND ($6::text IS NULL
                   OR $6 = CASE WHEN withdrawn_at IS NOT NULL THEN 'withdrawn' WHEN valid_until <= $7 THEN 'expired'
                                WHEN valid_from > $7 THEN 'scheduled' ELSE 'open' END)
            ORDER BY id DESC
            LIMIT $8"#,
        before.map(OfferId::uuid),
        filter.listing.map(ListingId::uuid),
        filter.plan.map(PlanId::uuid),
        filter.kind.map(OfferKind::as_str),
        filter.account.map(AccountId::as_str),
        filter.state.map(OfferState::as_str),
        now,
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Offer::try_from).collect()
}

/// Whose open offers are looked for.
#[derive(Debug)]
pub struct Looked<'a> {
    /// Of which listings.
    pub listings: &'a [ListingId],
    /// The plans that they sell now: an offer goes on as long as there is its plan.
    pub plans: &'a [PlanId],
    /// The accounts of whoever looks.
    pub accounts: &'a [String],
    /// Now.
    pub now: DateTime<Utc>,
    /// The most of one listing.
    pub most: i64,
}

/// An offer that can be taken, with the plan as it was in the revision that the offer pins.
#[derive(Debug, Clone)]
pub struct OpenOffer {
    /// The offer.
    pub offer: Offer,
    /// The plan.
    pub plan: Plan,
}

/// Offers that can be taken now by whoever has one of these accounts: private ones that name an account, and then public ones, of each listing the newest first. One
/// whose plan this version of the program cannot read is left out.
pub async fn open_for(
    conn: &mut PgConnection,
    looked: &Looked<'_>,
) -> Result<Vec<OpenOffer>, StoreError> {
    let listings: Vec<uuid::Uuid> = looked.listings.iter().map(|id| id.uuid()).collect();
    let plans: Vec<uuid::Uuid> = looked.plans.iter().map(|id| id.uuid()).collect();
    // No more of the revisions is read than the plans, and of no more offers than are shown.
    let found = sqlx::query!(
        r#"SELECT picked.id AS "id: OfferId", plan.value AS "plan!"
             FROM unnest($1::uuid[]) AS l (id)
            CROSS JOIN LATERAL (
                  SELECT o.id, o.revision, 'pln_' || replace(o.plan_id::text, '-', '') AS plan FROM offers AS o
                   WHERE o.listing_id = l.id AND o.plan_id = ANY($2) AND o.withdrawn_at IS NULL
                     AND o.valid_from <= $4 AND (o.valid_until IS NULL OR o.valid_until > $4)
                     AND (o.kind = 'public' OR o.accounts && $3)
                   ORDER BY o.kind = 'public', o.id DESC
                   LIMIT $5) AS picked
             JOIN listing_revisions AS r ON r.listing_id = l.id AND r.number = picked.revision
            CROSS JOIN LATERAL jsonb_array_elements(r.content -> 'plans') AS plan (value)
            WHERE plan.value ->> 'id' = picked.plan"#,
        &listings,
        &plans,
        looked.accounts,
        looked.now,
        looked.most,
    )
    .fetch_all(&mut *conn)
    .await?;
    let ids: Vec<uuid::Uuid> = found.iter().map(|row| row.id.uuid()).collect();
    let rows = offer_rows!(
        r#"WHERE id = ANY($1) ORDER BY kind = 'public', id DESC"#,
        &ids,
    )
    .fetch_all(conn)
    .await?;
    let mut plans: BTreeMap<OfferId, Value> =
        found.into_iter().map(|row| (row.id, row.plan)).collect();
    let read = |row: Row| {
        let offer = Offer::try_from(row)?;
        let plan = plans.remove(&offer.id).unwrap_or_default();
        Ok(serde_json::from_value(plan)
            .inspect_err(|error| tracing::error!(%error, offer.id = %offer.id, "the plan of an offer cannot be read"))
            .ok()
            .map(|plan| OpenOffer { offer, plan }))
    };
    rows.into_iter()
        .map(read)
        .filter_map(Result::transpose)
        .collect()
}
