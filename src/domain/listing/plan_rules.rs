//! What is asked of a plan. Dimensions, cards and the pricing model have to agree: every price that a consumer could owe is there, once, and none beside.

use std::collections::BTreeSet;

use super::grace::{EndCause, LONGEST_GRACE};
use super::plan::{
    Approval, Dimension, DimensionSource, DimensionType, DimensionUnit, Plan, PricingModel,
    RateCard,
};
use super::wrong::Wrongs;

/// The most dimensions.
const MOST_DIMENSIONS: usize = 50;
/// How many days a trial may have.
const TRIAL: std::ops::RangeInclusive<u32> = 7..=90;

/// What is wrong with a plan that is written.
pub(super) fn limits(w: &mut Wrongs, plan: &Plan, at: &str) {
    w.line(format!("{at}.name"), &plan.name, 80);
    if let Some(text) = &plan.description {
        w.text(format!("{at}.description"), text, 1000);
    }
    w.count(
        format!("{at}.dimensions"),
        plan.dimensions.len(),
        MOST_DIMENSIONS,
    );
    let keys = plan.dimensions.iter().map(|it| it.key.as_str());
    w.once(format!("{at}.dimensions"), "key", keys);
    for (index, dimension) in plan.dimensions.iter().enumerate() {
        dimension_limits(
            w,
            dimension,
            plan.pricing_model,
            &format!("{at}.dimensions[{index}]"),
        );
    }
    let mut terms = BTreeSet::new();
    for (index, card) in plan.rate_cards.iter().enumerate() {
        if !terms.insert(card.term) {
            let said = card
                .term
                .map_or_else(|| "without a term".to_owned(), |term| format!("for {term}"));
            w.add(
                format!("{at}.rate_cards[{index}].term"),
                format!("there is a card {said} already"),
            );
        }
        card_limits(w, plan, card, &format!("{at}.rate_cards[{index}]"));
    }
    if plan.trial_days.is_some_and(|days| !TRIAL.contains(&days)) {
        let detail = format!("a trial has {} to {} days", TRIAL.start(), TRIAL.end());
        w.add(format!("{at}.trial_days"), detail);
    }
    quota_limits(w, plan, at);
    for cause in EndCause::ALL {
        if plan
            .grace
            .said(*cause)
            .is_some_and(|seconds| seconds > LONGEST_GRACE)
        {
            w.add(
                format!("{at}.grace.{cause}"),
                format!("a grace may have {LONGEST_GRACE} seconds"),
            );
        }
    }
    if let Approval::AutoAfter { seconds } | Approval::RejectAfter { seconds } = plan.approval
        && !(1..=LONGEST_GRACE).contains(&seconds)
    {
        w.add(
            format!("{at}.approval.seconds"),
            format!("give 1 to {LONGEST_GRACE} seconds"),
        );
    }
    if plan.orphan_wait_seconds > LONGEST_GRACE {
        w.add(
            format!("{at}.orphan_wait_seconds"),
            format!("give at most {LONGEST_GRACE} seconds"),
        );
    }
    for (name, empty) in [
        (
            "regions",
            plan.regions.as_ref().is_some_and(BTreeSet::is_empty),
        ),
        ("zones", plan.zones.as_ref().is_some_and(BTreeSet::is_empty)),
    ] {
        if empty {
            w.add(
                format!("{at}.{name}"),
                format!("no {name} would let nobody in; leave it out for all"),
            );
        }
    }
    if !plan.agreement_required && plan.pricing_model != PricingModel::Free {
        w.add(
            format!("{at}.agreement_required"),
            "only a free plan can do without an agreement",
        );
    }
}

fn quota_limits(w: &mut Wrongs, plan: &Plan, at: &str) {
    let quotas = [
        ("max_endpoints", plan.quotas.max_endpoints.map(u64::from)),
        ("max_regions", plan.quotas.max_regions.map(u64::from)),
        (
            "max_connections",
            plan.quotas.max_connections.map(u64::from),
        ),
        ("max_mb_month", plan.quotas.max_mb_month),
    ];
    for (name, quota) in quotas {
        if quota == Some(0) {
            w.add(
                format!("{at}.quotas.{name}"),
                "a quota of 0 grants nothing; leave it out for no limit",
            );
        } else if quota.is_some_and(|quota| i64::try_from(quota).is_err()) {
            w.add(format!("{at}.quotas.{name}"), "the quota is too large");
        }
    }
}

fn dimension_limits(w: &mut Wrongs, dimension: &Dimension, model: PricingModel, at: &str) {
    let shape = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    if !(1..=100).contains(&dimension.key.len()) || !dimension.key.bytes().all(shape) {
        w.add(
            format!("{at}.key"),
            "a key has 1 to 100 letters, digits, _, . and -",
        );
    }
    w.line(format!("{at}.name"), &dimension.name, 80);
    if let Some(text) = &dimension.description {
        w.text(format!("{at}.description"), text, 1000);
    }
    let types = &dimension.types;
    let usage = types.iter().filter(|it| it.is_usage()).count();
    let entitled = types.contains(&DimensionType::Entitled);
    if types.is_empty() {
        w.add(format!("{at}.types"), "give at least one type");
    } else if usage > 1 {
        w.add(
            format!("{at}.types"),
            "a dimension is metered by one side only",
        );
    } else if entitled && usage > 0 && model != PricingModel::ContractWithUsage {
        w.add(
            format!("{at}.types"),
            "a dimension can be both entitled and metered only with contract_with_usage",
        );
    }
    if let Some(source @ DimensionSource::EndpointHours) = dimension.source {
        if !types.contains(&DimensionType::Metered) {
            w.add(
                format!("{at}.source"),
                format!("only a metered dimension is counted from {source}"),
            );
        }
        let hours = [DimensionUnit::UnitHours, DimensionUnit::HostHours];
        if !hours.contains(&dimension.unit) {
            w.add(
                format!("{at}.unit"),
                format!("{source} are counted in UnitHrs or HostHrs"),
            );
        }
    }
}

fn card_limits(w: &mut Wrongs, plan: &Plan, card: &RateCard, at: &str) {
    let used: Vec<&str> = card
        .rates
        .iter()
        .map(|rate| rate.dimension.as_str())
        .collect();
    w.once(format!("{at}.rates"), "dimension", used.iter().copied());
    for (index, rate) in card.rates.iter().enumerate() {
        let place = format!("{at}.rates[{index}]");
        let Some(dimension) = plan.dimension(&rate.dimension) else {
            let key: String = rate.dimension.chars().take(100).collect();
            w.add(
                format!("{place}.dimension"),
                format!("the plan has no dimension {key:?}"),
            );
            continue;
        };
        if !priced_by(dimension, card) {
            let detail = if card.term.is_some() {
                "a card for a term has prices of entitled dimensions"
            } else {
                "a card without a term has prices of metered dimensions"
            };
            w.add(format!("{place}.dimension"), detail);
        }
        // What is charged at once has to be payable. A price for a unit of use is multiplied first.
        if let (Some(currency), Some(_)) = (plan.currency, card.term)
            && rate.price.decimals() > currency.decimals()
        {
            let detail = format!(
                "{currency} has {} decimals, and {} has more",
                currency.decimals(),
                rate.price
            );
            w.add(format!("{place}.price"), detail);
        }
    }
}

/// Whether a card has a price of a dimension.
fn priced_by(dimension: &Dimension, card: &RateCard) -> bool {
    dimension
        .types
        .iter()
        .any(|it| it.is_usage() == card.term.is_none())
}

/// What is missing in a plan, or too much in it, before it can be reviewed.
pub(super) fn complete(w: &mut Wrongs, plan: &Plan, at: &str) {
    let model = plan.pricing_model;
    let has_price = model.has_contract() || model.has_usage();
    match (plan.currency, has_price) {
        (None, true) => w.add(
            format!("{at}.currency"),
            format!("a plan that is {model} needs a currency"),
        ),
        (Some(_), false) => w.add(
            format!("{at}.currency"),
            format!("a plan that is {model} has no prices, so no currency"),
        ),
        (Some(_), true) | (None, false) => {}
    }
    for (index, card) in plan.rate_cards.iter().enumerate() {
        let place = format!("{at}.rate_cards[{index}]");
        let belongs = if card.term.is_some() {
            model.has_contract()
        } else {
            model.has_usage()
        };
        if !belongs {
            let kind = if card.term.is_some() {
                "for a term"
            } else {
                "without a term"
            };
            w.add(&place, format!("a plan that is {model} has no card {kind}"));
        }
        for dimension in plan.dimensions.iter().filter(|it| priced_by(it, card)) {
            if card.price(&dimension.key).is_none() {
                w.add(
                    format!("{place}.rates"),
                    format!("there is no price of {}", dimension.key),
                );
            }
        }
    }
    let has = |usage: bool| {
        let mut all = plan.dimensions.iter().flat_map(|it| &it.types);
        all.any(|it| it.is_usage() == usage)
    };
    if model.has_contract() {
        if !has(false) {
            w.add(
                format!("{at}.dimensions"),
                format!("a plan that is {model} needs an entitled dimension"),
            );
        }
        if plan.terms().next().is_none() {
            w.add(
                format!("{at}.rate_cards"),
                format!("a plan that is {model} needs a card for a term"),
            );
        }
    }
    if model.has_usage() {
        if !has(true) {
            w.add(
                format!("{at}.dimensions"),
                format!("a plan that is {model} needs a metered dimension"),
            );
        }
        if plan.card(None).is_none() {
            w.add(
                format!("{at}.rate_cards"),
                format!("a plan that is {model} needs a card without a term"),
            );
        }
    }
}
