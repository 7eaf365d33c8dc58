//! The ids of plans: given at first sight, and the same in every revision.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use super::content::ListingContent;
use super::wrong::{Wrong, Wrongs};
use crate::domain::ids::PlanId;

/// Gives each plan of a content its id. `known` are those that the listing ever had; `before` is what the content takes the place of, whose plans are found by their
/// names. Answers the plans whose id is not the listing's.
pub fn give_ids(
    content: &mut ListingContent,
    known: &[PlanId],
    before: Option<&ListingContent>,
    now: DateTime<Utc>,
    at: &str,
) -> Vec<Wrong> {
    let mut wrong = Wrongs::default();
    let mut taken: BTreeSet<PlanId> = content.plans.iter().filter_map(|plan| plan.id).collect();
    for (index, plan) in content.plans.iter_mut().enumerate() {
        match plan.id {
            Some(id) if !known.contains(&id) => {
                let detail =
                    format!("the listing never had a plan {id}; leave the id out for a new one");
                wrong.add(format!("{at}.plans[{index}].id"), detail);
            }
            Some(_) => {}
            None => {
                let mut old = before.into_iter().flat_map(|it| &it.plans);
                let same = old.find(|it| it.name == plan.name).and_then(|it| it.id);
                let id = same.filter(|id| !taken.contains(id));
                let id = id.unwrap_or_else(|| PlanId::new(now));
                taken.insert(id);
                plan.id = Some(id);
            }
        }
    }
    wrong.into_all()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{complete, content};
    use super::*;

    #[test]
    fn a_plan_keeps_its_id_by_its_name_and_a_new_one_gets_its_own() {
        let before = content(complete());
        let known = [before.plans[0].id.unwrap()];
        let mut next = before.clone();
        next.plans[0].id = None;
        let mut other = next.plans[0].clone();
        other.name = "Large".to_owned();
        next.plans.push(other);
        let now = DateTime::UNIX_EPOCH;
        assert_eq!(
            give_ids(&mut next, &known, Some(&before), now, "content"),
            []
        );
        assert_eq!(next.plans[0].id, Some(known[0]));
        assert!(next.plans[1].id.is_some_and(|id| id != known[0]));
        // An id that is given wins over a name.
        next.plans[0].id = None;
        next.plans[1].id = Some(known[0]);
        assert_eq!(
            give_ids(&mut next, &known, Some(&before), now, "content"),
            []
        );
        assert_ne!(next.plans[0].id, Some(known[0]));
        next.plans[0].id = Some(PlanId::new(now));
        let wrong = give_ids(&mut next, &known, None, now, "content");
        assert_eq!(wrong[0].field, "content.plans[0].id");
    }
}
