//! What agreements look like, with their accounts and terms.

use std::collections::BTreeMap;

use chrono::{DateTime, SubsecRound as _, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::arguments::{optional_time, time};
use super::consumer_accounts::SaidView;
use super::policy_views::StampView;
use crate::app::read_agreements::{Price, WholeAgreement};
use crate::domain::agreement::{Account, AccountProof, Agreement, OverQuota, Terms};
use crate::domain::decision::{AgreementSource, AgreementState};
use crate::domain::ids::{AgreementId, ListingId, OfferId, PlanId};
use crate::domain::listing::{BindRule, ContractTerm, EndCause, PricingModel, Quotas};
use crate::domain::money::{Amount, Currency};
use crate::store::agreement_bindings::Used;

/// An agreement in as few words as a list takes.
#[derive(Debug, Serialize, ToSchema)]
pub struct AgreementSummaryView {
    /// Its id.
    id: AgreementId,
    /// Where it was made.
    source: AgreementSource,
    /// Its id there; ours where the provider has none of its own.
    #[schema(example = "order-4711")]
    reference: String,
    /// Of which listing.
    listing_id: ListingId,
    /// Which plan of it.
    plan_id: PlanId,
    /// The revision that has the plan as it was bought.
    #[schema(minimum = 1, example = 1)]
    revision: i64,
    /// By which offer; null for the plan's own prices.
    offer_id: Option<OfferId>,
    /// The account that bought.
    #[schema(example = "222222222222")]
    buyer_account: String,
    /// For how long a quantity was bought; null where nothing is bought in advance.
    term: Option<ContractTerm>,
    /// From when its term is counted, where it goes on others of the same plan: what began on a 31st comes back to it after a shorter month. Null where that is its own beginning.
    #[schema(example = "2031-01-31T16:00:00Z")]
    anchored_at: Option<DateTime<Utc>>,
    /// The one whose place it takes.
    replaces: Option<AgreementId>,
    /// Where it stands.
    state: AgreementState,
    /// Why it ended; null while it has not, and where it never came to be.
    #[schema(example = "cancelled")]
    cause: Option<EndCause>,
    /// In grace, and once the one that takes its place is waited for for an hour: until when what is connected may stay.
    grace_until: Option<DateTime<Utc>>,
    /// Superseded: since when the one that takes its place is in force; null while that is waited for.
    succeeded_at: Option<DateTime<Utc>>,
    /// When it begins.
    starts_at: Option<DateTime<Utc>>,
    /// When it ends by itself; null where it runs until somebody ends it.
    ends_at: Option<DateTime<Utc>>,
    /// More is connected than it grants; null while not.
    over_quota: Option<OverQuotaView>,
    /// Counts the changes.
    version: i64,
    /// Who made it known here.
    made: StampView,
    /// Since when it stands so.
    stood_at: DateTime<Utc>,
}

impl From<&Agreement> for AgreementSummaryView {
    fn from(row: &Agreement) -> Self {
        Self {
            id: row.id,
            source: row.source,
            reference: row.reference.clone(),
            listing_id: row.listing,
            plan_id: row.plan,
            revision: row.revision,
            offer_id: row.offer,
            buyer_account: row.buyer.to_string(),
            term: row.term,
            anchored_at: row.anchored_at,
            replaces: row.replaces,
            state: row.state,
            cause: row.cause,
            grace_until: row.grace_until,
            succeeded_at: row.succeeded_at,
            starts_at: row.starts_at,
            ends_at: row.ends_at,
            over_quota: row.over_quota.map(Into::into),
            version: row.version,
            made: row.made.clone().into(),
            stood_at: row.stood_at,
        }
    }
}

/// More is connected than an agreement grants.
#[derive(Debug, Serialize, ToSchema)]
pub struct OverQuotaView {
    /// Since when.
    since: DateTime<Utc>,
    /// From when on the newest connections are cut.
    until: DateTime<Utc>,
}

impl From<OverQuota> for OverQuotaView {
    fn from(over: OverQuota) -> Self {
        Self {
            since: over.since,
            until: over.until,
        }
    }
}

/// For when, and for how much, an agreement was made.
#[derive(Debug, Serialize, ToSchema)]
pub struct AgreementTermsView {
    /// When it begins.
    starts_at: DateTime<Utc>,
    /// When it ends by itself; null where it runs until somebody ends it.
    ends_at: Option<DateTime<Utc>>,
    /// Whether it is a trial.
    trial: bool,
    /// How much of each dimension was bought in advance, by the dimension's key.
    #[schema(example = json!({ "endpoint_seat": "4" }))]
    quantities: BTreeMap<String, Amount>,
    /// How much it grants, where that is not what the plan says.
    quotas: Quotas,
}

impl From<Terms> for AgreementTermsView {
    fn from(terms: Terms) -> Self {
        Self {
            starts_at: terms.starts_at,
            ends_at: terms.ends_at,
            trial: terms.trial,
            quantities: terms.quantities,
            quotas: terms.quotas,
        }
    }
}

/// The terms that a source tells of.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AgreementTermsBody {
    /// When it begins.
    #[serde(deserialize_with = "time")]
    starts_at: DateTime<Utc>,
    /// When it ends by itself; absent where it runs until somebody ends it.
    #[serde(default, deserialize_with = "optional_time")]
    #[schema(example = "2031-03-31T16:00:00Z")]
    ends_at: Option<DateTime<Utc>>,
    /// Whether it is a trial.
    #[serde(default)]
    trial: bool,
    /// How much of each dimension was bought in advance, by the dimension's key.
    #[serde(default)]
    #[schema(example = json!({ "endpoint_seat": "4" }))]
    quantities: BTreeMap<String, Amount>,
    /// How much it grants, where that is not what the plan says.
    #[serde(default)]
    quotas: Quotas,
}

impl From<AgreementTermsBody> for Terms {
    fn from(body: AgreementTermsBody) -> Self {
        Self {
            starts_at: kept(body.starts_at),
            ends_at: body.ends_at.map(kept),
            trial: body.trial,
            quantities: body.quantities,
            quotas: body.quotas,
        }
    }
}

/// A time as exactly as the database keeps it, so that it can be compared with what was sent before.
pub(super) fn kept(at: DateTime<Utc>) -> DateTime<Utc> {
    at.trunc_subsecs(6)
}

/// What of a plan matters to an agreement.
#[derive(Debug, Serialize, ToSchema)]
pub struct AgreedPlanView {
    /// Its id.
    id: PlanId,
    /// What people call it.
    #[schema(example = "Standard")]
    name: String,
    /// How it is paid for.
    pricing_model: PricingModel,
    /// The currency of all prices; null where nothing is paid.
    currency: Option<Currency>,
    /// Which agreement pays where an account has several; null where it may have one.
    bind_rule: Option<BindRule>,
    /// Whether an agreement of it is needed to connect.
    agreement_required: bool,
}

/// What one of a dimension costs by an agreement.
#[derive(Debug, Serialize, ToSchema)]
pub struct AgreedPriceView {
    /// The dimension, by its key.
    #[schema(example = "endpoint_seat")]
    dimension: String,
    /// For which term; null for what is used.
    term: Option<ContractTerm>,
    /// What one costs, in the plan's currency.
    price: Amount,
}

impl From<Price> for AgreedPriceView {
    fn from(price: Price) -> Self {
        Self {
            dimension: price.dimension,
            term: price.term,
            price: price.price,
        }
    }
}

/// That an account may connect by an agreement, or might once.
#[derive(Debug, Serialize, ToSchema)]
pub struct AgreementAccountView {
    /// The AWS account, 12 digits.
    account_id: String,
    /// How it was proven. With `none` it is not let in before it is vouched for.
    proof: AccountProof,
    /// Whether it may connect while the agreement is in force: it is attached, with a proof.
    let_in: bool,
    /// Who attached it.
    attached: StampView,
    /// Why.
    reason: Option<String>,
    /// Who detached it; null while it is attached.
    detached: Option<SaidView>,
}

impl From<Account> for AgreementAccountView {
    fn from(row: Account) -> Self {
        Self {
            let_in: row.detached.is_none() && row.proof != AccountProof::None,
            account_id: row.account.into(),
            proof: row.proof,
            attached: row.attached.into(),
            reason: row.reason,
            detached: row.detached.map(Into::into),
        }
    }
}

/// What is used of an agreement now.
#[derive(Debug, Serialize, ToSchema)]
pub struct AgreementUseView {
    /// Connections that it pays for.
    connections: i64,
    /// Different endpoints among them.
    endpoints: i64,
    /// Different Regions that they are in.
    regions: i64,
}

impl From<Used> for AgreementUseView {
    fn from(used: Used) -> Self {
        Self {
            connections: used.connections,
            endpoints: used.endpoints,
            regions: used.regions,
        }
    }
}

/// The agreement that takes the place of another.
#[derive(Debug, Serialize, ToSchema)]
pub struct SuccessorView {
    /// Its id.
    agreement_id: AgreementId,
    /// From when on.
    since: DateTime<Utc>,
}

/// An agreement with everything about it.
#[derive(Debug, Serialize, ToSchema)]
pub struct AgreementView {
    /// The agreement.
    #[serde(flatten)]
    summary: AgreementSummaryView,
    /// Its plan, as it was bought.
    plan: AgreedPlanView,
    /// Its terms, as they were told last; null before they were.
    terms: Option<AgreementTermsView>,
    /// How much it grants: its own figures, and the plan's where it has none.
    quotas: Quotas,
    /// What is paid for it: the offer's prices, and the plan's where that has none.
    prices: Vec<AgreedPriceView>,
    /// The accounts, those that were detached as well.
    accounts: Vec<AgreementAccountView>,
    /// What is used of it now.
    used: AgreementUseView,
    /// The one that takes its place; null where none does.
    successor: Option<SuccessorView>,
    /// When it will stand elsewhere if nothing further is told; null where never.
    next_change_at: Option<DateTime<Utc>>,
}

impl From<WholeAgreement> for AgreementView {
    fn from(whole: WholeAgreement) -> Self {
        let plan = whole.plan;
        Self {
            plan: AgreedPlanView {
                id: whole.agreement.plan,
                name: plan.name,
                pricing_model: plan.pricing_model,
                currency: plan.currency,
                bind_rule: plan.bind_rule,
                agreement_required: plan.agreement_required,
            },
            summary: (&whole.agreement).into(),
            terms: whole.terms.map(Into::into),
            quotas: whole.quotas,
            prices: whole.prices.into_iter().map(Into::into).collect(),
            accounts: whole.accounts.into_iter().map(Into::into).collect(),
            used: whole.used.into(),
            successor: whole.successor.map(|(agreement_id, since)| SuccessorView {
                agreement_id,
                since,
            }),
            next_change_at: whole.standing.until,
        }
    }
}
