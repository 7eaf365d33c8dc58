//! Comparing a page that AWS showed with what is stored, at a glance: by the digest that the table keeps of each row. It reads an index and
//! writes nothing.
//!
//! Equal digests are equal rows. Unequal ones are a suspicion: [`super::observed::record`] compares those rows word by word before it writes.

use aws_lc_rs::digest::{SHA256, digest};
use privatelink::{Connection as Seen, ConnectionState};
use serde::Serialize as _;
use serde_json::ser::{Formatter, Serializer};

use super::{PgConnection, StoreError};
use crate::domain::account_region::Lease;
use crate::domain::ids::AccountRegionId;

/// What a glance at a page showed.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Glance {
    /// Rows of the page that are connections of registered services.
    pub known: usize,
    /// The hash of those that AWS shows as not deleted; see [`live`].
    pub live: i64,
    /// The places in the page of those that are new or may differ from what is stored.
    pub differing: Vec<usize>,
}

/// Glances at a page. It fails when the lease was taken over; nothing is written here, so the lease need not be held on to.
pub async fn at(
    conn: &mut PgConnection,
    lease: &Lease,
    page: &[Seen],
    seed: i64,
) -> Result<Glance, StoreError> {
    let services: Vec<String> = page.iter().map(|s| s.service_id.to_string()).collect();
    let endpoints: Vec<String> = page.iter().map(|s| s.endpoint_id.to_string()).collect();
    let digests: Vec<Vec<u8>> = page.iter().map(digest_of).collect();
    let live: Vec<bool> = page
        .iter()
        .map(|seen| seen.state != ConnectionState::Deleted)
        .collect();
    let row = sqlx::query!(
        r#"
        SELECT count(*) AS "known!",
               coalesce(bit_xor(hashtextextended(u.endpoint_id, uuid_hash_extended(s.id, $6))) FILTER (WHERE u.live), 0) AS "live!",
               coalesce(array_agg(DISTINCT u.position) FILTER (WHERE c.observed_digest IS DISTINCT FROM u.digest), '{}')
                   AS "differing!",
               EXISTS (SELECT FROM account_regions WHERE id = $1 AND lease_fence = $7 AND lease_holder = $8) AS "held!"
          FROM unnest($2::text[], $3::text[], $4::bytea[], $5::boolean[])
               WITH ORDINALITY AS u (aws_service_id, endpoint_id, digest, live, position)
          JOIN endpoint_services s ON s.account_region_id = $1 AND s.aws_service_id = u.aws_service_id AND s.lifecycle <> 'released'
          LEFT JOIN connections c ON c.endpoint_service_id = s.id AND c.endpoint_id = u.endpoint_id
        "#,
        lease.account_region as _,
        &services,
        &endpoints,
        &digests,
        &live,
        seed,
        lease.fence,
        lease.holder,
    )
    .fetch_one(conn)
    .await?;
    if !row.held {
        return Err(StoreError::LostLease);
    }
    Ok(Glance {
        known: usize::try_from(row.known).unwrap_or_default(),
        live: row.live,
        differing: row
            .differing
            .into_iter()
            .filter_map(|position| usize::try_from(position).ok()?.checked_sub(1))
            .collect(),
    })
}

/// The hash of all connections of an AccountRegion that are not deleted: that of a set, whatever its order. It is equal to those of a listing's
/// pages, taken together by exclusive or, when the listing showed each of these connections once and no other.
pub async fn live(
    conn: &mut PgConnection,
    account_region: AccountRegionId,
    seed: i64,
) -> Result<i64, StoreError> {
    let hash = sqlx::query_scalar!(
        r#"SELECT coalesce(bit_xor(hashtextextended(c.endpoint_id, uuid_hash_extended(s.id, $2))), 0) AS "live!"
             FROM connections c JOIN endpoint_services s ON s.id = c.endpoint_service_id
            WHERE c.account_region_id = $1 AND c.observed_state <> 'deleted'
              AND s.aws_service_id IS NOT NULL AND s.lifecycle <> 'released'"#,
        account_region as _,
        seed,
    )
    .fetch_one(conn)
    .await?;
    Ok(hash)
}

/// The digest that `connections.observed_digest` has when the row says the same.
fn digest_of(seen: &Seen) -> Vec<u8> {
    let mut text = Vec::with_capacity(1_024);
    let region = seen.endpoint_region.as_ref().map(ToString::to_string);
    let words = [
        Some(seen.state.as_str()),
        seen.connection_id.as_deref(),
        region.as_deref(),
        seen.ip_address_type.as_deref(),
    ];
    for word in words {
        match word {
            Some(word) => {
                text.extend_from_slice(word.len().to_string().as_bytes());
                text.push(b':');
                text.extend_from_slice(word.as_bytes());
            }
            None => text.push(b'-'),
        }
    }
    let mut json = Serializer::with_formatter(&mut text, AsJsonb);
    if seen.dns_entries.serialize(&mut json).is_err() {
        // Then it is the digest of no row, and the row is compared word by word.
        text.clear();
    }
    digest(&SHA256, &text).as_ref().to_vec()
}

/// JSON as PostgreSQL writes a `jsonb` out, but for the order of members: they have to come in the right one.
struct AsJsonb;

impl Formatter for AsJsonb {
    fn begin_array_value<W>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()>
    where
        W: ?Sized + std::io::Write,
    {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()>
    where
        W: ?Sized + std::io::Write,
    {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W>(&mut self, writer: &mut W) -> std::io::Result<()>
    where
        W: ?Sized + std::io::Write,
    {
        writer.write_all(b": ")
    }
}
