//! An agreement as it is kept: what was bought, where it stood when it was last looked at, and who may connect by it.

use chrono::{DateTime, Utc};
use privatelink::AccountId;

use super::notice::Notice;
use super::standing::Standing;
use crate::domain::consumer::{Proof, Said};
use crate::domain::decision::{AgreementSource, AgreementState};
use crate::domain::ids::{AgreementAccountId, AgreementId, ListingId, OfferId, PlanId};
use crate::domain::listing::{ContractTerm, EndCause};
use crate::domain::policy::Stamp;
use crate::domain::text::text_enum;

/// More is connected than an agreement grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OverQuota {
    /// Since when.
    pub since: DateTime<Utc>,
    /// From when on the newest connections are cut.
    pub until: DateTime<Utc>,
}

/// An agreement.
#[derive(Debug, Clone)]
pub struct Agreement {
    /// Our id.
    pub id: AgreementId,
    /// Where it was made.
    pub source: AgreementSource,
    /// Its id there.
    pub reference: String,
    /// What was bought.
    pub listing: ListingId,
    /// Which plan of it.
    pub plan: PlanId,
    /// As it was in which revision.
    pub revision: i64,
    /// By which offer; `None` for the plan's own prices.
    pub offer: Option<OfferId>,
    /// The account that bought.
    pub buyer: AccountId,
    /// For how long a quantity was bought.
    pub term: Option<ContractTerm>,
    /// From when its term is counted, where it goes on one of the same plan that began then; `None` for its own beginning.
    pub anchored_at: Option<DateTime<Utc>>,
    /// The one whose place it takes.
    pub replaces: Option<AgreementId>,
    /// Where it stood when it was last looked at.
    pub state: AgreementState,
    /// Why it ended.
    pub cause: Option<EndCause>,
    /// In grace, and once the one that takes its place is waited for for an hour: until when what is connected may stay.
    pub grace_until: Option<DateTime<Utc>>,
    /// Superseded: since when the one that takes its place is in force.
    pub succeeded_at: Option<DateTime<Utc>>,
    /// When it begins, as it was told last.
    pub starts_at: Option<DateTime<Utc>>,
    /// When it ends by itself, as it was told last.
    pub ends_at: Option<DateTime<Utc>>,
    /// More is connected than it grants.
    pub over_quota: Option<OverQuota>,
    /// When it has to be looked at again.
    pub due_at: Option<DateTime<Utc>>,
    /// Rises with every change.
    pub version: i64,
    /// Who made it known here, and when.
    pub made: Stamp,
    /// Since when it stands as it stands.
    pub stood_at: DateTime<Utc>,
}

impl Agreement {
    /// Whether it stands as it is known to stand.
    pub fn stands_as(&self, standing: &Standing) -> bool {
        (self.state, self.cause, self.grace_until, self.succeeded_at)
            == (
                standing.state,
                standing.cause,
                standing.grace_until,
                standing.succeeded_at,
            )
    }

    /// Whether its accounts are let in: as long as it is in force, and while it waits for the one that takes its place.
    pub fn lets_in(&self) -> bool {
        match self.state {
            AgreementState::Active | AgreementState::Review => true,
            AgreementState::Superseded => self.succeeded_at.is_none(),
            AgreementState::Pending | AgreementState::Grace | AgreementState::Ended => false,
        }
    }
}

/// A notice that was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeardNotice {
    /// Who told.
    pub source: AgreementSource,
    /// Of which agreement, by its id there.
    pub reference: String,
    /// What.
    pub notice: Notice,
    /// Why, in words.
    pub reason: Option<String>,
    /// When it was heard, and from whom.
    pub heard: Stamp,
}

text_enum!(
    /// How it was proven that an account may connect by an agreement.
    AccountProof {
        /// It bought.
        Buyer = "buyer",
        /// Not at all.
        None = "none",
        /// A person vouches for it.
        OperatorVouched = "operator_vouched",
        /// The account itself signed an `sts:GetCallerIdentity` request that was replayed to AWS.
        StsPresigned = "sts_presigned",
    }
);

impl AccountProof {
    /// Whether the account is let in. Nobody has said of one without any proof that it belongs to whoever bought.
    pub fn lets_in(self) -> bool {
        match self {
            Self::Buyer | Self::OperatorVouched | Self::StsPresigned => true,
            Self::None => false,
        }
    }
}

impl From<Proof> for AccountProof {
    fn from(proof: Proof) -> Self {
        match proof {
            Proof::None => Self::None,
            Proof::OperatorVouched => Self::OperatorVouched,
            Proof::StsPresigned => Self::StsPresigned,
        }
    }
}

/// An account that may connect by an agreement.
#[derive(Debug, Clone)]
pub struct Account {
    /// Our id.
    pub id: AgreementAccountId,
    /// The agreement.
    pub agreement: AgreementId,
    /// The account.
    pub account: AccountId,
    /// How that was proven.
    pub proof: AccountProof,
    /// Who attached it, and when.
    pub attached: Stamp,
    /// Why.
    pub reason: Option<String>,
    /// Who detached it.
    pub detached: Option<Said>,
}

text_enum!(
    /// Why an agreement does not pay for a connection any more.
    Unbound {
        /// Another one pays.
        Moved = "moved",
        /// The connection is not live any more.
        Gone = "gone",
        /// The agreement has ended, or the account was detached from it.
        Ended = "ended",
    }
);
