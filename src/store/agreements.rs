//! Agreements, as they were when they were last looked at. What was bought never changes; where one stands follows its notices.

use chrono::{DateTime, Utc};
use privatelink::AccountId;
use uuid::Uuid;

use super::{PgConnection, StoreError};
use crate::domain::agreement::{Agreement, OverQuota};
use crate::domain::decision::{AgreementSource, AgreementState};
use crate::domain::ids::{AgreementId, ListingId, OfferId, PlanId};
use crate::domain::listing::{ContractTerm, EndCause};
use crate::domain::policy::Stamp;

const TABLE: &str = "agreements";

struct Row {
    id: AgreementId,
    source: String,
    reference: String,
    listing_id: ListingId,
    plan_id: PlanId,
    revision: i64,
    offer_id: Option<OfferId>,
    buyer_account: String,
    term: Option<String>,
    anchored_at: Option<DateTime<Utc>>,
    replaces: Option<AgreementId>,
    state: String,
    cause: Option<String>,
    grace_until: Option<DateTime<Utc>>,
    succeeded_at: Option<DateTime<Utc>>,
    starts_at: Option<DateTime<Utc>>,
    ends_at: Option<DateTime<Utc>>,
    over_quota_since: Option<DateTime<Utc>>,
    over_quota_until: Option<DateTime<Utc>>,
    due_at: Option<DateTime<Utc>>,
    version: i64,
    made_at: DateTime<Utc>,
    made_by: String,
    stood_at: DateTime<Utc>,
}

impl TryFrom<Row> for Agreement {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let broken = |what: String| StoreError::inconsistent(TABLE, row.id, what);
        let buyer = row.buyer_account.parse::<AccountId>();
        let over_quota = row.over_quota_since.zip(row.over_quota_until);
        Ok(Self {
            id: row.id,
            source: row.source.parse().map_err(broken)?,
            reference: row.reference,
            listing: row.listing_id,
            plan: row.plan_id,
            revision: row.revision,
            offer: row.offer_id,
            buyer: buyer.map_err(|e| broken(e.to_string()))?,
            term: row
                .term
                .as_deref()
                .map(str::parse)
                .transpose()
                .map_err(broken)?,
            anchored_at: row.anchored_at,
            replaces: row.replaces,
            state: row.state.parse().map_err(broken)?,
            cause: row
                .cause
                .as_deref()
                .map(str::parse)
                .transpose()
                .map_err(broken)?,
            grace_until: row.grace_until,
            succeeded_at: row.succeeded_at,
            starts_at: row.starts_at,
            ends_at: row.ends_at,
            over_quota: over_quota.map(|(since, until)| OverQuota { since, until }),
            due_at: row.due_at,
            version: row.version,
            made: Stamp {
                at: row.made_at,
                by: row.made_by,
            },
            stood_at: row.stood_at,
        })
    }
}

/// Reads agreements: the columns once, whatever the rest of the statement says.
macro_rules! agreement_rows {
    ($rest:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"SELECT id AS "id: AgreementId", source, reference, listing_id AS "listing_id: ListingId", plan_id AS "plan_id: PlanId", revision,
                      offer_id AS "offer_id: OfferId", buyer_account, term, anchored_at, replaces AS "replaces: AgreementId", state, cause, grace_until,
                      succeeded_at, starts_at, ends_at, over_quota_since, over_quota_until, due_at, version, made_at, made_by, stood_at
                 FROM agreements "# + $rest
            $(, $argument)*
        )
    };
}

/// Adds an agreement. Answers false where the source has told of one with this reference before. The caller has locked its accounts, and keeps its listing as it is.
pub async fn insert(conn: &mut PgConnection, new: &Agreement) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "INSERT INTO agreements (id, source, reference, listing_id, plan_id, revision, offer_id, buyer_account, term, replaces, state, cause, grace_until,
                                 succeeded_at, starts_at, ends_at, due_at, version, made_at, made_by, stood_at, anchored_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)
         ON CONFLICT ON CONSTRAINT agreements_reference_unique DO NOTHING",
        new.id as _,
        new.source.as_str(),
        new.reference,
        new.listing as _,
        new.plan as _,
        new.revision,
        new.offer.map(OfferId::uuid),
        new.buyer.as_str(),
        new.term.map(ContractTerm::as_str),
        new.replaces.map(AgreementId::uuid),
        new.state.as_str(),
        new.cause.map(EndCause::as_str),
        new.grace_until,
        new.succeeded_at,
        new.starts_at,
        new.ends_at,
        new.due_at,
        new.version,
        new.made.at,
        new.made.by,
        new.stood_at,
        new.anchored_at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// One by id.
pub async fn by_id(
    conn: &mut PgConnection,
    id: AgreementId,
) -> Result<Option<Agreement>, StoreError> {
    let row = agreement_rows!(r#"WHERE id = $1"#, id as _)
        .fetch_optional(conn)
        .await?;
    row.map(Agreement::try_from).transpose()
}

/// One by its id at its source.
pub async fn by_reference(
    conn: &mut PgConnection,
    source: AgreementSource,
    reference: &str,
) -> Result<Option<Agreement>, StoreError> {
    let row = agreement_rows!(
        r#"WHERE source = $1 AND reference = $2"#,
        source.as_str(),
        reference,
    )
    .fetch_optional(conn)
    .await?;
    row.map(Agreement::try_from).transpose()
}

/// Several by id, in the order of their ids.
pub async fn by_ids(
    conn: &mut PgConnection,
    ids: &[AgreementId],
) -> Result<Vec<Agreement>, StoreError> {
    let ids = uuids(ids);
    let rows = agreement_rows!(r#"WHERE id = ANY($1) ORDER BY id"#, &ids)
        .fetch_all(conn)
        .await?;
    rows.into_iter().map(Agreement::try_from).collect()
}

/// Several by id, in the order of their ids, locked until the transaction ends. After accounts, services and listings; before connections.
pub async fn locked(
    conn: &mut PgConnection,
    ids: &[AgreementId],
) -> Result<Vec<Agreement>, StoreError> {
    let ids = uuids(ids);
    let rows = agreement_rows!(r#"WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE"#, &ids)
        .fetch_all(conn)
        .await?;
    rows.into_iter().map(Agreement::try_from).collect()
}

/// Those that take the place of these. Behind one that never came to be, whoever was to take its place takes theirs; it is among them itself.
pub async fn heirs(
    conn: &mut PgConnection,
    ids: &[AgreementId],
) -> Result<Vec<Agreement>, StoreError> {
    let ids = uuids(ids);
    let rows = agreement_rows!(
        r#"WHERE id IN (WITH RECURSIVE line AS (
                            SELECT id, source, reference FROM agreements WHERE replaces = ANY($1)
                            UNION SELECT next.id, next.source, next.reference
                                    FROM line JOIN agreements AS next ON next.replaces = line.id
                                   WHERE EXISTS (SELECT FROM agreement_notices AS n
                                                  WHERE n.source = line.source AND n.reference = line.reference AND n.kind = 'rolled_back'))
                        SELECT id FROM line)
           ORDER BY id"#,
        &ids,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Agreement::try_from).collect()
}

/// Whose place each of these takes, where it takes any: before those that never came to be, that of the one before them.
pub async fn places(
    conn: &mut PgConnection,
    ids: &[AgreementId],
) -> Result<Vec<(AgreementId, AgreementId)>, StoreError> {
    let rows = sqlx::query!(
        r#"WITH RECURSIVE line AS (
               SELECT id AS heir, replaces AS id, 1 AS steps FROM agreements WHERE id = ANY($1) AND replaces IS NOT NULL
               UNION SELECT line.heir, gone.replaces, line.steps + 1 FROM line JOIN agreements AS gone ON gone.id = line.id
                      WHERE gone.replaces IS NOT NULL
                        AND EXISTS (SELECT FROM agreement_notices AS n
                                     WHERE n.source = gone.source AND n.reference = gone.reference AND n.kind = 'rolled_back'))
           SELECT DISTINCT ON (heir) heir AS "heir!: AgreementId", id AS "place!: AgreementId" FROM line ORDER BY heir, steps DESC"#,
        &uuids(ids),
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.heir, row.place)).collect())
}

/// The one whose place another takes, and before one that never came to be the one before that: the last of them is the first that did.
pub async fn line_before(
    conn: &mut PgConnection,
    id: AgreementId,
) -> Result<Vec<AgreementId>, StoreError> {
    let rows = sqlx::query_scalar!(
        r#"WITH RECURSIVE line AS (
               SELECT replaces AS id, 1 AS steps FROM agreements WHERE id = $1 AND replaces IS NOT NULL
               UNION SELECT gone.replaces, line.steps + 1 FROM line JOIN agreements AS gone ON gone.id = line.id
                      WHERE gone.replaces IS NOT NULL
                        AND EXISTS (SELECT FROM agreement_notices AS n
                                     WHERE n.source = gone.source AND n.reference = gone.reference AND n.kind = 'rolled_back'))
           SELECT id AS "id!: AgreementId" FROM line ORDER BY steps"#,
        id as _,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// Those that take the place of one, those that take theirs, and so on; in the order of their ids.
pub async fn line_behind(
    conn: &mut PgConnection,
    id: AgreementId,
) -> Result<Vec<AgreementId>, StoreError> {
    let rows = sqlx::query_scalar!(
        r#"WITH RECURSIVE line AS (
               SELECT id FROM agreements WHERE replaces = $1
               UNION SELECT next.id FROM agreements next JOIN line ON next.replaces = line.id)
           SELECT id AS "id!: AgreementId" FROM line ORDER BY id"#,
        id as _,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// Those by which these accounts may connect to what these listings sell or will, and of those that have ended the newest of each account and listing: what is over stays
/// over, so the others have nothing to say.
pub async fn of_accounts(
    conn: &mut PgConnection,
    listings: &[ListingId],
    accounts: &[String],
) -> Result<Vec<Agreement>, StoreError> {
    let listings: Vec<Uuid> = listings.iter().map(|id| id.uuid()).collect();
    let rows = agreement_rows!(
        r#"WHERE listing_id = ANY($1)
             AND id IN (SELECT agreement_id FROM agreement_accounts WHERE account_id = ANY($2) AND detached_at IS NULL)
             AND (state <> 'ended'
                  OR id IN (SELECT DISTINCT ON (m.account_id, e.listing_id) e.id
                              FROM agreement_accounts AS m JOIN agreements AS e ON e.id = m.agreement_id
                             WHERE m.account_id = ANY($2) AND m.detached_at IS NULL AND e.listing_id = ANY($1) AND e.state = 'ended'
                             ORDER BY m.account_id, e.listing_id, e.id DESC))
           ORDER BY id"#,
        &listings,
        accounts,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Agreement::try_from).collect()
}

/// An agreement by which one of these accounts has tried a plan already, with the account; whether it is attached still or not. One that never came to be does not
/// count, and neither does one that the account was attached to without any proof: anybody can claim that.
pub async fn trial_of(
    conn: &mut PgConnection,
    plan: PlanId,
    accounts: &[String],
    but: Option<AgreementId>,
) -> Result<Option<(AgreementId, String)>, StoreError> {
    let found = sqlx::query!(
        r#"SELECT a.id AS "id: AgreementId", t.account_id
             FROM agreements a JOIN agreement_accounts t ON t.agreement_id = a.id
            WHERE a.plan_id = $1 AND t.account_id = ANY($2) AND t.proof <> 'none' AND ($3::uuid IS NULL OR a.id <> $3) AND NOT (a.state = 'ended' AND a.cause IS NULL)
              AND EXISTS (SELECT FROM agreement_notices n
                           WHERE n.source = a.source AND n.reference = a.reference AND n.kind = 'made' AND n.terms @> '{"trial": true}')
            ORDER BY a.id LIMIT 1"#,
        plan as _,
        accounts,
        but.map(AgreementId::uuid),
    )
    .fetch_optional(conn)
    .await?;
    Ok(found.map(|row| (row.id, row.account_id)))
}

/// Which agreements to list. Absent filters let everything through.
#[derive(Debug, Default)]
pub struct Filter<'a> {
    /// Only those of this listing.
    pub listing: Option<ListingId>,
    /// Only those of this plan.
    pub plan: Option<PlanId>,
    /// Only those that stand so.
    pub state: Option<AgreementState>,
    /// Only those from there.
    pub source: Option<AgreementSource>,
    /// Only that with this id there.
    pub reference: Option<&'a str>,
    /// Only those by which this account may connect.
    pub account: Option<&'a AccountId>,
    /// Only those that more is connected by than they grant.
    pub over_quota: Option<bool>,
    /// Only those that end by themselves before this time, have not ended, and have nobody in their place yet.
    pub ends_before: Option<DateTime<Utc>>,
}

/// A page, newest first, starting after `before`.
pub async fn page(
    conn: &mut PgConnection,
    filter: &Filter<'_>,
    before: Option<AgreementId>,
    limit: i64,
) -> Result<Vec<Agreement>, StoreError> {
    let rows = agreement_rows!(
        r#"WHERE ($1::uuid IS NULL OR id < $1)
              AND ($2::uuid IS NULL OR listing_id = $2)
              AND ($3::uuid IS NULL OR plan_id = $3)
              AND ($4::text IS NULL OR state = $4)
              AND ($5::text IS NULL OR source = $5)
              AND ($6::text IS NULL OR reference = $6)
              AND ($7::text IS NULL OR id IN (SELECT agreement_id FROM agreement_accounts WHERE account_id = $7 AND detached_at IS NULL))
              AND ($8::bool IS NULL OR (over_quota_since IS NOT NULL) = $8)
              AND ($9::timestamptz IS NULL OR (ends_at < $9 AND state NOT IN ('grace', 'ended') AND succeeded_at IS NULL))
            ORDER BY id DESC
            LIMIT $10"#,
        before.map(AgreementId::uuid),
        filter.listing.map(ListingId::uuid),
        filter.plan.map(PlanId::uuid),
        filter.state.map(AgreementState::as_str),
        filter.source.map(AgreementSource::as_str),
        filter.reference,
        filter.account.map(AccountId::as_str),
        filter.over_quota,
        filter.ends_before,
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Agreement::try_from).collect()
}

/// Records where agreements stand, with their terms, and when they are to be looked at again. Each gets its next version. The caller has locked them.
pub async fn record(conn: &mut PgConnection, rows: &[Agreement]) -> Result<(), StoreError> {
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id.uuid()).collect();
    let states: Vec<&str> = rows.iter().map(|row| row.state.as_str()).collect();
    let causes: Vec<Option<&str>> = rows.iter().map(|r| r.cause.map(EndCause::as_str)).collect();
    let graces: Vec<Option<DateTime<Utc>>> = rows.iter().map(|row| row.grace_until).collect();
    let succeeded: Vec<Option<DateTime<Utc>>> = rows.iter().map(|row| row.succeeded_at).collect();
    let starts: Vec<Option<DateTime<Utc>>> = rows.iter().map(|row| row.starts_at).collect();
    let ends: Vec<Option<DateTime<Utc>>> = rows.iter().map(|row| row.ends_at).collect();
    let since: Vec<Option<DateTime<Utc>>> =
        rows.iter().map(|r| r.over_quota.map(|o| o.since)).collect();
    let until: Vec<Option<DateTime<Utc>>> =
        rows.iter().map(|r| r.over_quota.map(|o| o.until)).collect();
    let due: Vec<Option<DateTime<Utc>>> = rows.iter().map(|row| row.due_at).collect();
    let stood: Vec<DateTime<Utc>> = rows.iter().map(|row| row.stood_at).collect();
    sqlx::query!(
        "UPDATE agreements AS a
            SET state = u.state, cause = u.cause, grace_until = u.grace_until, succeeded_at = u.succeeded_at, starts_at = u.starts_at, ends_at = u.ends_at,
                over_quota_since = u.since, over_quota_until = u.until, due_at = u.due_at, stood_at = u.stood_at, failures = 0, retry_at = NULL,
                version = a.version + 1
           FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[], $7::timestamptz[],
                       $8::timestamptz[], $9::timestamptz[], $10::timestamptz[], $11::timestamptz[])
                AS u (id, state, cause, grace_until, succeeded_at, starts_at, ends_at, since, until, due_at, stood_at)
          WHERE a.id = u.id",
        &ids,
        &states as &[&str],
        &causes as &[Option<&str>],
        &graces as &[Option<DateTime<Utc>>],
        &succeeded as &[Option<DateTime<Utc>>],
        &starts as &[Option<DateTime<Utc>>],
        &ends as &[Option<DateTime<Utc>>],
        &since as &[Option<DateTime<Utc>>],
        &until as &[Option<DateTime<Utc>>],
        &due as &[Option<DateTime<Utc>>],
        &stood,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Has the worker look at agreements now. One that should have been looked at already keeps that time, so that timers go on waiting for it.
pub async fn look_at(
    conn: &mut PgConnection,
    ids: &[AgreementId],
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE agreements SET due_at = least(due_at, $2), failures = 0, retry_at = NULL WHERE id = ANY($1)",
        &uuids(ids),
        at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Records only when agreements are to be looked at again; nothing else has changed.
pub async fn put_off(
    conn: &mut PgConnection,
    next: &[(AgreementId, Option<DateTime<Utc>>)],
) -> Result<(), StoreError> {
    let ids: Vec<Uuid> = next.iter().map(|(id, _)| id.uuid()).collect();
    let due: Vec<Option<DateTime<Utc>>> = next.iter().map(|(_, due)| *due).collect();
    sqlx::query!(
        "UPDATE agreements AS a SET due_at = u.due_at, failures = 0, retry_at = NULL
           FROM unnest($1::uuid[], $2::timestamptz[]) AS u (id, due_at) WHERE a.id = u.id",
        &ids,
        &due as &[Option<DateTime<Utc>>],
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes that an agreement could not be carried out. It stays due, so that nothing that it plans is done before it was looked at, and is tried again later, and later each
/// time: after two seconds at first, after five minutes at most. Answers how often that happened in a row.
pub async fn note_failure(
    conn: &mut PgConnection,
    id: AgreementId,
    now: DateTime<Utc>,
) -> Result<i32, StoreError> {
    let failures = sqlx::query_scalar!(
        "UPDATE agreements SET failures = failures + 1, retry_at = $2::timestamptz + least(interval '1 s' * 2 ^ least(failures + 1, 10), interval '5 min')
          WHERE id = $1 RETURNING failures",
        id as _,
        now,
    )
    .fetch_optional(conn)
    .await?;
    Ok(failures.unwrap_or_default())
}

/// Has the worker look at all agreements of a listing that have not ended: what it sells, or to whom, has changed. One that should have been looked at already keeps that time, so
/// that timers go on waiting for it.
pub async fn look_at_listing(
    conn: &mut PgConnection,
    listing: ListingId,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE agreements SET due_at = least(due_at, $2)
          WHERE id IN (SELECT id FROM agreements WHERE listing_id = $1 AND (state <> 'ended' OR due_at IS NOT NULL) ORDER BY id FOR NO KEY UPDATE)",
        listing as _,
        at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// An agreement that is to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueAgreement {
    /// The agreement.
    pub id: AgreementId,
    /// What was bought.
    pub listing: ListingId,
    /// How many accounts are attached to it.
    pub accounts: i64,
}

/// Agreements that are to be looked at, those first that wait longest for it.
pub async fn due(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<DueAgreement>, StoreError> {
    let rows = sqlx::query_as!(
        DueAgreement,
        r#"SELECT a.id AS "id: AgreementId", a.listing_id AS "listing: ListingId",
                  (SELECT count(*) FROM agreement_accounts AS m WHERE m.agreement_id = a.id AND m.detached_at IS NULL) AS "accounts!"
             FROM agreements AS a WHERE a.due_at <= $1 AND (a.retry_at IS NULL OR a.retry_at <= $1) ORDER BY a.due_at, a.id LIMIT $2"#,
        now,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// Those of these that are still to be looked at and that nobody else looks at, locked until the transaction ends. After services and listings; before connections.
pub async fn due_and_free(
    conn: &mut PgConnection,
    ids: &[AgreementId],
    now: DateTime<Utc>,
) -> Result<Vec<Agreement>, StoreError> {
    let ids = uuids(ids);
    let rows = agreement_rows!(
        r#"WHERE id = ANY($1) AND due_at <= $2 ORDER BY id FOR NO KEY UPDATE SKIP LOCKED"#,
        &ids,
        now,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Agreement::try_from).collect()
}

fn uuids(ids: &[AgreementId]) -> Vec<Uuid> {
    ids.iter().map(|id| id.uuid()).collect()
}
