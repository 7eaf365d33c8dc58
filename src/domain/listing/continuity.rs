//! What may not change from one live revision of a plan to the next, because agreements, meters and invoices name it: dimension keys, types, units and sources, the currency and the
//! pricing model. Prices may change: an agreement pins its plan together with the revision.

use super::content::ListingContent;
use super::plan::Plan;
use super::wrong::{Wrong, Wrongs};

/// What a content breaks of what was live before. `was` finds a plan as it was when it was last live.
pub fn broken<'a>(
    content: &ListingContent,
    was: impl Fn(crate::domain::ids::PlanId) -> Option<&'a Plan>,
    at: &str,
) -> Vec<Wrong> {
    let mut wrong = Wrongs::default();
    for (index, plan) in content.plans.iter().enumerate() {
        if let Some(before) = plan.id.and_then(&was) {
            compare(&mut wrong, before, plan, &format!("{at}.plans[{index}]"));
        }
    }
    wrong.into_all()
}

fn compare(w: &mut Wrongs, before: &Plan, plan: &Plan, at: &str) {
    const NEW: &str = "the plan was live with it; make a new plan instead";
    if before.pricing_model != plan.pricing_model {
        let detail = format!(
            "the pricing model was {} and cannot change: {NEW}",
            before.pricing_model
        );
        w.add(format!("{at}.pricing_model"), detail);
    }
    if before.currency != plan.currency {
        let was = before
            .currency
            .map_or_else(|| "none".to_owned(), |it| it.to_string());
        w.add(
            format!("{at}.currency"),
            format!("the currency was {was} and cannot change: {NEW}"),
        );
    }
    for (index, dimension) in plan.dimensions.iter().enumerate() {
        let Some(old) = before.dimension(&dimension.key) else {
            continue;
        };
        if old.types != dimension.types {
            let was: Vec<&str> = old.types.iter().map(|it| it.as_str()).collect();
            let detail = format!(
                "the types of {} were {} and cannot change: {NEW}",
                old.key,
                was.join(" and ")
            );
            w.add(format!("{at}.dimensions[{index}].types"), detail);
        }
        if old.unit != dimension.unit {
            let detail = format!(
                "the unit of {} was {} and cannot change: {NEW}",
                old.key, old.unit
            );
            w.add(format!("{at}.dimensions[{index}].unit"), detail);
        }
        if old.source != dimension.source {
            let was = old
                .source
                .map_or("the provider's reports", |it| it.as_str());
            let detail = format!(
                "the source of {} was {was} and cannot change: {NEW}",
                old.key
            );
            w.add(format!("{at}.dimensions[{index}].source"), detail);
        }
    }
    for old in &before.dimensions {
        if plan.dimension(&old.key).is_none() {
            let detail = format!(
                "the dimension {} is missing, and its key cannot change: {NEW}",
                old.key
            );
            w.add(format!("{at}.dimensions"), detail);
        }
    }
}
