//! Plans: what is bought, for how much, and what it grants. Their rules are in `plan_rules`.

use std::collections::BTreeSet;

use privatelink::{AvailabilityZoneId, Region};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::grace::Grace;
use crate::domain::ids::PlanId;
use crate::domain::money::{Amount, Currency};
use crate::domain::text::text_enum;

text_enum!(
    /// How a plan is paid for.
    PricingModel {
        /// A quantity for a time, in advance.
        Contract = "contract",
        /// What was used, afterwards.
        Usage = "usage",
        /// A quantity for a time in advance, and what goes beyond it afterwards.
        ContractWithUsage = "contract_with_usage",
        /// Not at all.
        Free = "free",
        /// With a licence that was bought elsewhere.
        Byol = "byol",
    }
);

impl PricingModel {
    /// Whether a quantity is bought in advance.
    pub fn has_contract(self) -> bool {
        matches!(self, Self::Contract | Self::ContractWithUsage)
    }

    /// Whether what is used is paid for.
    pub fn has_usage(self) -> bool {
        matches!(self, Self::Usage | Self::ContractWithUsage)
    }
}

text_enum!(
    /// What a dimension counts, in AWS Marketplace's own words.
    DimensionUnit {
        /// Persons.
        Users = "Users",
        /// Machines.
        Hosts = "Hosts",
        /// Gigabytes.
        Gigabytes = "GB",
        /// Megabytes.
        Megabytes = "MB",
        /// Terabytes.
        Terabytes = "TB",
        /// Gigabits per second.
        GigabitsPerSecond = "Gbps",
        /// Megabits per second.
        MegabitsPerSecond = "Mbps",
        /// Requests.
        Requests = "Requests",
        /// Anything else that is counted.
        Units = "Units",
        /// Hours of a person.
        UserHours = "UserHrs",
        /// Hours of a unit.
        UnitHours = "UnitHrs",
        /// Hours of a machine.
        HostHours = "HostHrs",
        /// Hours of a tier.
        TierHours = "TierHrs",
        /// Hours of a task.
        TaskHours = "TaskHrs",
    }
);

text_enum!(
    /// What is done with a dimension.
    DimensionType {
        /// A quantity of it is bought in advance.
        Entitled = "entitled",
        /// What is used of it is metered by us.
        Metered = "metered",
        /// What is used of it is metered by the provider's own software.
        ExternallyMetered = "externally_metered",
    }
);

impl DimensionType {
    /// Whether what is used is paid for.
    pub fn is_usage(self) -> bool {
        matches!(self, Self::Metered | Self::ExternallyMetered)
    }
}

text_enum!(
    /// Who counts what is used of a metered dimension here.
    DimensionSource {
        /// We do: how long connections are bound to the agreement and live, to the second.
        EndpointHours = "endpoint_hours",
    }
);

text_enum!(
    /// For how long a quantity is bought, in ISO 8601.
    ContractTerm {
        /// A month.
        Month = "P1M",
        /// A year.
        Year = "P12M",
        /// Two years.
        TwoYears = "P24M",
        /// Three years.
        ThreeYears = "P36M",
    }
);

/// What a plan counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Dimension {
    /// What programs call it: letters, digits, `_`, `.` and `-`. Never changes once the plan was live.
    #[schema(
        min_length = 1,
        max_length = 100,
        example = "endpoint_seat",
        pattern = "^[A-Za-z0-9_.-]+$"
    )]
    pub key: String,
    /// What people call it.
    #[schema(min_length = 1, max_length = 80, example = "Endpoints")]
    pub name: String,
    /// What it means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(
        min_length = 1,
        max_length = 1000,
        example = "Endpoints that may be connected at once"
    )]
    pub description: Option<String>,
    /// What it counts.
    pub unit: DimensionUnit,
    /// What is done with it. Never changes once the plan was live.
    #[schema(min_items = 1, max_items = 2)]
    pub types: BTreeSet<DimensionType>,
    /// What a `metered` dimension is counted from: `endpoint_hours`, in hours of a unit or a machine. What is used of one without a source is reported by the
    /// provider (`POST /v1/usage`). Never changes once the plan was live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<DimensionSource>,
}

impl Dimension {
    /// Whether the provider reports what is used of it.
    pub fn is_reported(&self) -> bool {
        self.source.is_none() && self.types.iter().any(|it| it.is_usage())
    }
}

/// What one of a dimension costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// The dimension, by its key.
    #[schema(min_length = 1, max_length = 100, example = "endpoint_seat")]
    pub dimension: String,
    /// What one costs, in the plan's currency.
    pub price: Amount,
}

/// The prices for a term, or for what is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RateCard {
    /// For how long the quantity is bought; absent for what is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub term: Option<ContractTerm>,
    /// A price for each dimension.
    #[schema(min_items = 1)]
    pub rates: Vec<Rate>,
}

impl RateCard {
    /// What one of a dimension costs.
    pub fn price(&self, dimension: &str) -> Option<Amount> {
        let mut rates = self.rates.iter();
        let rate = rates.find(|rate| rate.dimension == dimension)?;
        Some(rate.price)
    }
}

/// How much an agreement grants. What is absent is not limited here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Quotas {
    /// The most endpoints.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub max_endpoints: Option<u32>,
    /// The most Regions that endpoints may be in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub max_regions: Option<u32>,
    /// The most connections, over all services of the listing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub max_connections: Option<u32>,
    /// The most megabytes in a month.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub max_mb_month: Option<u64>,
}

impl Quotas {
    /// Fills what is not limited here with another's figures.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            max_endpoints: self.max_endpoints.or(other.max_endpoints),
            max_regions: self.max_regions.or(other.max_regions),
            max_connections: self.max_connections.or(other.max_connections),
            max_mb_month: self.max_mb_month.or(other.max_mb_month),
        }
    }
}

/// Whether a person has to approve a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "mode", rename_all = "snake_case", deny_unknown_fields)]
#[schema(as = PlanApproval)]
pub enum Approval {
    /// Nobody has to.
    Auto {},
    /// Somebody has to.
    Manual {},
    /// Somebody can say no until so many seconds have passed.
    AutoAfter {
        /// How many, since the connection became known.
        #[schema(minimum = 1, maximum = 7_776_000, example = 86_400)]
        seconds: u64,
    },
    /// Somebody has to say yes before so many seconds have passed.
    RejectAfter {
        /// How many, since the connection became known.
        #[schema(minimum = 1, maximum = 7_776_000, example = 86_400)]
        seconds: u64,
    },
}

impl Default for Approval {
    fn default() -> Self {
        Self::Auto {}
    }
}

text_enum!(
    /// Which licence pays where several could and the consumer claimed none.
    BindRule {
        /// The oldest.
        Oldest = "oldest",
        /// The one with the most left.
        MostFree = "most_free",
        /// The consumer is asked.
        Ask = "ask",
    }
);

/// What is bought, for how much, and what it grants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ListingPlan)]
pub struct Plan {
    /// The same in every revision; given at first sight. May be left out: a plan of the same name keeps its id, and any other gets a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<PlanId>,
    /// What people call it; once in a revision.
    #[schema(min_length = 1, max_length = 80, example = "Standard")]
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 1000, example = "For one team")]
    pub description: Option<String>,
    /// How it is paid for. Never changes once the plan was live.
    pub pricing_model: PricingModel,
    /// The currency of all its prices. Never changes once the plan was live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
    /// What it counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 50)]
    pub dimensions: Vec<Dimension>,
    /// What it costs: for a contract a card for each term, for usage one without a term.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 5)]
    pub rate_cards: Vec<RateCard>,
    /// How many days may be tried for nothing, once for each account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 7, maximum = 90, example = 30)]
    pub trial_days: Option<u32>,
    /// How much an agreement grants.
    #[serde(default)]
    pub quotas: Quotas,
    /// Regions that endpoints may be in; absent: all that the services have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    pub regions: Option<BTreeSet<Region>>,
    /// Availability Zones that endpoints may be in, by id; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>, example = json!(["euw1-az1"]))]
    pub zones: Option<BTreeSet<AvailabilityZoneId>>,
    /// How long what is connected may stay after an end.
    #[serde(default)]
    pub grace: Grace,
    /// Whether a person has to approve a request.
    #[serde(default)]
    pub approval: Approval,
    /// Whether it takes an agreement to connect. Only a free plan can do without.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub agreement_required: bool,
    /// Which agreement pays where several could; without a rule, an account may have one agreement at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bind_rule: Option<BindRule>,
    /// How long a request without an agreement is held, in seconds: the buyer may be in the middle of the purchase.
    #[serde(default = "a_day")]
    #[schema(default = 86_400, maximum = 7_776_000, example = 86_400)]
    pub orphan_wait_seconds: u64,
    /// Whether registration has to be complete before anything is accepted.
    #[serde(default)]
    pub registration_required: bool,
}

impl Plan {
    /// A dimension by its key.
    pub fn dimension(&self, key: &str) -> Option<&Dimension> {
        self.dimensions.iter().find(|it| it.key == key)
    }

    /// The prices for a term, or with `None` for what is used.
    pub fn card(&self, term: Option<ContractTerm>) -> Option<&RateCard> {
        self.rate_cards.iter().find(|card| card.term == term)
    }

    /// The terms that it can be bought for.
    pub fn terms(&self) -> impl Iterator<Item = ContractTerm> {
        self.rate_cards.iter().filter_map(|card| card.term)
    }
}

fn yes() -> bool {
    true
}

fn a_day() -> u64 {
    86_400
}
