//! Our own identifiers: a UUIDv7 in the database, a prefixed word for people.
//!
//! Each table has its own type, so a service's id does not compile where a connection's belongs, and pasting one where the other
//! is meant is refused at the edge with a sentence.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering};

use chrono::{DateTime, Utc};
use uuid::{Builder, Uuid};

/// Text that is not the id it was taken for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not {expected}")]
pub struct InvalidId {
    value: String,
    expected: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, sqlx::Type)]
        #[sqlx(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// What the id looks like.
            pub const EXPECTED: &'static str = concat!($what, " (", $prefix, " and 32 hexadecimal digits)");

            /// A new id that sorts by `at`.
            pub fn new(at: DateTime<Utc>) -> Self {
                Self(uuid_at(at))
            }

            /// The bare UUID, as the database has it.
            pub fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0.simple())
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(value: &str) -> Result<Self, InvalidId> {
                value
                    .strip_prefix($prefix)
                    .filter(|tail| tail.len() == 32)
                    .and_then(|tail| Uuid::try_parse(tail).ok())
                    .map(Self)
                    .ok_or_else(|| InvalidId {
                        value: value.chars().take(64).collect(),
                        expected: Self::EXPECTED,
                    })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::schema::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .description(Some(Self::EXPECTED))
                    .pattern(Some(concat!("^", $prefix, "[0-9a-f]{32}$")))
                    .examples([concat!($prefix, "018f3a5c9d2e7b41a6c08e5d7f1b2a34")])
                    .into()
            }
        }

        impl utoipa::ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
        }
    };
}

id!(
    /// An AWS account in a Region that Portcullis works in.
    AccountRegionId,
    "acr_",
    "an AccountRegion id"
);
id!(
    /// A consumer's connection to a registered service.
    ConnectionId,
    "con_",
    "a connection id"
);
id!(
    /// A decision about a connection.
    DecisionId,
    "dec_",
    "a decision id"
);
id!(
    /// A registered endpoint service. (`vpce-svc-…` is AWS's id of it.)
    EndpointServiceId,
    "svc_",
    "an endpoint service id"
);

id!(
    /// A disagreement between AWS and us.
    DriftId,
    "dft_",
    "a drift id"
);

id!(
    /// An entry of the audit trail.
    AuditEntryId,
    "aud_",
    "an audit entry id"
);

id!(
    /// An organisation that connects.
    ConsumerId,
    "cns_",
    "a consumer id"
);

id!(
    /// That an AWS account belongs, or belonged, to a consumer.
    ConsumerAccountId,
    "cac_",
    "the id of a consumer's account"
);

id!(
    /// That somebody may not be accepted.
    DenialId,
    "den_",
    "a denial id"
);

id!(
    /// The kill switch, thrown once.
    BlockId,
    "blk_",
    "a block id"
);

id!(
    /// One person's approval of a connection that needs two.
    ApprovalId,
    "apr_",
    "an approval id"
);
id!(
    /// A comment on a connection.
    CommentId,
    "cmt_",
    "a comment id"
);

id!(
    /// Access that somebody asked for before there was an endpoint.
    AccessRequestId,
    "acq_",
    "an access request id"
);

id!(
    /// Access that is taken away.
    AccessRemovalId,
    "arm_",
    "an access removal id"
);

id!(
    /// A token of a program.
    ServiceTokenId,
    "stk_",
    "a service token id"
);

id!(
    /// An answer of gates and policies about a connection.
    JudgementId,
    "jdg_",
    "a judgement id"
);
id!(
    /// A text of acceptance policies, with its life.
    PolicyId,
    "pol_",
    "a policy id"
);
id!(
    /// A policy tried over what was decided and what is live.
    DryRunId,
    "dry_",
    "a dry run id"
);
id!(
    /// What is live, judged again.
    RejudgementId,
    "rjd_",
    "a re-judgement id"
);

id!(
    /// What is sold.
    ListingId,
    "lst_",
    "a listing id"
);
id!(
    /// A plan of a listing, the same in every revision.
    PlanId,
    "pln_",
    "a plan id"
);
id!(
    /// A plan for other prices, or for some accounts.
    OfferId,
    "ofr_",
    "an offer id"
);
id!(
    /// What a consumer has bought.
    AgreementId,
    "agr_",
    "an agreement id"
);
id!(
    /// An account that may connect by an agreement.
    AgreementAccountId,
    "aga_",
    "the id of an agreement's account"
);

id!(
    /// What an agreement used in an hour.
    UsageHourId,
    "usg_",
    "the id of a row of the usage ledger"
);

id!(
    /// Something that does not fit together with what was bought.
    FindingId,
    "fnd_",
    "a finding id"
);

/// A UUIDv7 for a row that needs no type of its own.
///
/// Ids that this process makes for one moment sort in the order in which they were made, so that the steps of one transaction are told in
/// their order: behind the milliseconds stand the fraction of the millisecond (RFC 9562, 6.2, method 3), then a counter (method 1), then
/// 42 random bits.
pub fn uuid_at(at: DateTime<Utc>) -> Uuid {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let millis = u64::try_from(at.timestamp_millis()).unwrap_or_default();
    let fraction = u64::from(at.timestamp_subsec_nanos() % 1_000_000) * 4096 / 1_000_000;
    let count = u64::from(MADE.fetch_add(1, Ordering::Relaxed)) % (1 << 20);
    let random = Uuid::new_v4().as_u128() & ((1 << 42) - 1);
    // The four bits before `fraction` and the two before `count` become the version and the variant.
    let tail = (u128::from(fraction) << 64) | (u128::from(count) << 42) | random;
    let mut bytes = [0; 10];
    bytes.copy_from_slice(&tail.to_be_bytes()[6..]);
    Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn an_id_reads_back_as_itself() {
        let id = ConnectionId::new(at(1_800_000_000));
        assert_eq!(id.to_string().parse::<ConnectionId>(), Ok(id));
    }

    #[test]
    fn ids_of_another_kind_are_refused_with_the_expected_shape() {
        let id = EndpointServiceId::new(at(1_800_000_000)).to_string();
        let refusal = id.parse::<ConnectionId>().unwrap_err().to_string();
        assert!(
            refusal.ends_with("is not a connection id (con_ and 32 hexadecimal digits)"),
            "{refusal}"
        );
        for bad in [
            "",
            "con_",
            "con_zz",
            "con_{0192f0c1-0000-7000-8000-000000000000}",
        ] {
            assert!(bad.parse::<ConnectionId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn ids_sort_by_time() {
        assert!(ConnectionId::new(at(1_800_000_000)) < ConnectionId::new(at(1_800_000_001)));
    }
    #[test]
    fn ids_of_one_moment_sort_in_the_order_in_which_they_were_made() {
        let moment = at(1_800_000_000) + chrono::TimeDelta::nanoseconds(123_456_789);
        let ids: Vec<Uuid> = (0..1000).map(|_| uuid_at(moment)).collect();
        assert!(ids.is_sorted(), "{ids:?}");
        let later = uuid_at(moment + chrono::TimeDelta::microseconds(1));
        assert!(ids.iter().all(|id| *id < later));
        for id in ids {
            assert_eq!(
                (id.get_version_num(), id.get_variant()),
                (7, uuid::Variant::RFC4122)
            );
            let (seconds, nanos) = id.get_timestamp().unwrap().to_unix();
            assert_eq!((seconds, nanos), (1_800_000_000, 123_000_000));
        }
    }
}
