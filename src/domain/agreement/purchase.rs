//! What somebody wants to buy, and the terms that it comes to by a plan.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};

use super::record::Terms;
use crate::domain::listing::{ContractTerm, DimensionType, Plan, Quotas, Wrong};
use crate::domain::money::Amount;

/// How long ago an agreement may have begun when it is made known.
pub const LONGEST_PAST: TimeDelta = TimeDelta::days(366);
/// How far ahead one may begin.
pub const LONGEST_AHEAD: TimeDelta = TimeDelta::days(3 * 366);
/// How long one may last that has no term.
pub const LONGEST: TimeDelta = TimeDelta::days(10 * 366);

/// What somebody wants to buy of a plan.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// For how long, where a quantity is bought in advance.
    pub term: Option<ContractTerm>,
    /// Whether it is a trial.
    pub trial: bool,
    /// When it begins; at once when absent.
    pub starts_at: Option<DateTime<Utc>>,
    /// When it ends by itself; follows from the term or the trial where there is one.
    pub ends_at: Option<DateTime<Utc>>,
    /// How much of each dimension is bought in advance.
    pub quantities: BTreeMap<String, Amount>,
    /// Other figures than the plan's.
    pub quotas: Quotas,
}

impl Wanted {
    /// The terms of it by a plan, or all that is wrong with it. What is bought for a term is counted from an anchor, where it goes on another one.
    pub fn terms(
        self,
        plan: &Plan,
        anchor: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Result<Terms, Vec<Wrong>> {
        let mut wrong = Vec::new();
        let starts_at = self.starts_at.unwrap_or(now);
        if starts_at < now - LONGEST_PAST || starts_at > now + LONGEST_AHEAD {
            let detail = format!(
                "it begins at most {} days ago and at most {} days from now",
                LONGEST_PAST.num_days(),
                LONGEST_AHEAD.num_days()
            );
            wrong.push(said("starts_at", detail));
            return Err(wrong);
        }
        self.length(plan, &mut wrong);
        let by_itself = self.by_itself(plan, starts_at, anchor);
        let ends_at = by_itself.or(self.ends_at);
        match (by_itself, self.ends_at) {
            (Some(by_itself), Some(given)) if by_itself != given => {
                let detail = format!(
                    "what lasts so long ends at {}; leave the end out",
                    by_itself.to_rfc3339()
                );
                wrong.push(said("ends_at", detail));
            }
            (Some(by_itself), _) if by_itself <= now => {
                wrong.push(said("starts_at", "it would be over already"));
            }
            _ => wrong.extend(lasting(starts_at, ends_at, now)),
        }
        wrong.extend(quantities(&self.quantities, plan, self.term));
        wrong.extend(quotas(&self.quotas));
        if wrong.is_empty() {
            Ok(Terms {
                starts_at,
                ends_at,
                trial: self.trial,
                quantities: self.quantities,
                quotas: self.quotas,
            })
        } else {
            Err(wrong)
        }
    }

    /// What is wrong with how long it is bought for.
    fn length(&self, plan: &Plan, wrong: &mut Vec<Wrong>) {
        if self.trial && plan.trial_days.is_none() {
            wrong.push(said("trial", "the plan cannot be tried"));
        }
        let terms: BTreeSet<&str> = plan.terms().map(ContractTerm::as_str).collect();
        let terms: Vec<&str> = terms.into_iter().collect();
        match self.term {
            Some(_) if self.trial => {
                wrong.push(said("term", "a trial lasts as long as the plan says"));
            }
            Some(_) if terms.is_empty() => {
                wrong.push(said("term", "nothing is bought in advance by this plan"));
            }
            Some(term) if !terms.contains(&term.as_str()) => {
                let detail = format!("the plan is sold for {}", terms.join(", "));
                wrong.push(said("term", detail));
            }
            None if plan.pricing_model.has_contract() && !self.trial => {
                let detail = format!(
                    "say for how long it is bought: {} (or that it is a trial)",
                    terms.join(", ")
                );
                wrong.push(said("term", detail));
            }
            Some(_) | None => {}
        }
    }

    /// When it ends because of how long it was bought for.
    fn by_itself(
        &self,
        plan: &Plan,
        starts_at: DateTime<Utc>,
        anchor: Option<DateTime<Utc>>,
    ) -> Option<DateTime<Utc>> {
        if self.trial {
            let days = TimeDelta::days(i64::from(plan.trial_days?));
            return Some(starts_at + days);
        }
        self.term?.ends_at(starts_at, anchor)
    }
}

/// What is wrong with a time that an agreement shall last.
pub fn lasting(
    starts_at: DateTime<Utc>,
    ends_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Option<Wrong> {
    let ends_at = ends_at?;
    if ends_at <= starts_at || ends_at <= now {
        let detail = "it ends after it begins, at a time that is yet to come";
        return Some(said("ends_at", detail));
    }
    (ends_at > starts_at + LONGEST).then(|| {
        let detail = format!("it lasts at most {} days", LONGEST.num_days());
        said("ends_at", detail)
    })
}

/// What is wrong with quantities: each dimension that the plan sells for the term has one, and no other has.
pub fn quantities(
    given: &BTreeMap<String, Amount>,
    plan: &Plan,
    term: Option<ContractTerm>,
) -> Vec<Wrong> {
    let sold: BTreeSet<&str> = term
        .and_then(|term| plan.card(Some(term)))
        .map(|card| card.rates.iter().map(|rate| rate.dimension.as_str()))
        .into_iter()
        .flatten()
        .filter(|key| {
            let dimension = plan.dimension(key);
            dimension.is_some_and(|it| it.types.contains(&DimensionType::Entitled))
        })
        .collect();
    let mut wrong = Vec::new();
    for key in given.keys().filter(|key| !sold.contains(key.as_str())) {
        let key: String = key.chars().take(100).collect();
        let detail = match term {
            Some(term) => format!("the plan sells no dimension {key:?} for {term}"),
            None => "without a term nothing is bought in advance".to_owned(),
        };
        wrong.push(said(&format!("quantities.{key}"), detail));
    }
    for key in sold.iter().filter(|key| !given.contains_key(**key)) {
        let detail = format!("say how much of {key:?} is bought");
        wrong.push(said(&format!("quantities.{key}"), detail));
    }
    if wrong.is_empty() && !given.is_empty() && given.values().all(|much| much.is_zero()) {
        wrong.push(said("quantities", "nothing is bought"));
    }
    wrong
}

/// What is wrong with figures of its own.
pub fn quotas(own: &Quotas) -> Vec<Wrong> {
    let figures = [
        ("max_endpoints", own.max_endpoints.map(u64::from)),
        ("max_regions", own.max_regions.map(u64::from)),
        ("max_connections", own.max_connections.map(u64::from)),
        ("max_mb_month", own.max_mb_month),
    ];
    let bad = |(name, figure): (&str, Option<u64>)| {
        let detail = match figure {
            Some(0) => "a quota of 0 grants nothing; leave it out for what the plan says",
            Some(figure) if i64::try_from(figure).is_err() => "the quota is too large",
            Some(_) | None => return None,
        };
        Some(said(&format!("quotas.{name}"), detail))
    };
    figures.into_iter().filter_map(bad).collect()
}

fn said(field: &str, detail: impl Into<String>) -> Wrong {
    Wrong {
        field: field.to_owned(),
        detail: detail.into(),
    }
}
