//! The day from which the terms of agreements that follow one another are counted.
//!
//! Each month from a 31st ends on the last day of the next one where that is shorter. Counted from there, the one behind it would stay on that earlier day for ever; counted
//! from where the first began, it comes back to the 31st. So the time that is counted from, the anchor, goes along from agreement to agreement.

use chrono::{DateTime, Datelike as _, Months, Utc};

use super::kept::Agreement;
use crate::domain::ids::PlanId;
use crate::domain::listing::ContractTerm;

impl ContractTerm {
    /// How many calendar months it lasts.
    pub fn months(self) -> Months {
        Months::new(match self {
            Self::Month => 1,
            Self::Year => 12,
            Self::TwoYears => 24,
            Self::ThreeYears => 36,
        })
    }

    /// When it is over if it begins at a time and is counted from an anchor: on the anchor's day of the month, or on the last one of a month that is shorter. Where no
    /// whole months lead from the anchor to that time, it is counted from the time itself.
    pub fn ends_at(
        self,
        starts_at: DateTime<Utc>,
        anchor: Option<DateTime<Utc>>,
    ) -> Option<DateTime<Utc>> {
        let counted = anchor.and_then(|anchor| Some((anchor, months(anchor, starts_at)?)));
        let (anchor, before) = counted.unwrap_or((starts_at, Months::new(0)));
        let all = before.as_u32().checked_add(self.months().as_u32())?;
        anchor.checked_add_months(Months::new(all))
    }
}

impl Agreement {
    /// The anchor of one that takes its place by a plan from a time on. `None` where that is another plan or a time at which no term of this one ends: it is counted from its own beginning.
    pub fn anchor_for(&self, plan: PlanId, starts_at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let own = self
            .starts_at
            .filter(|_| self.term.is_some() && self.plan == plan)?;
        let handed = self.anchored_at.filter(|it| months(*it, own).is_some());
        let anchor = handed.unwrap_or(own);
        months(anchor, starts_at).map(|_| anchor)
    }
}

/// How many whole months lead from an anchor to a time.
fn months(anchor: DateTime<Utc>, to: DateTime<Utc>) -> Option<Months> {
    let of = |at: DateTime<Utc>| i64::from(at.year()) * 12 + i64::from(at.month());
    let months = Months::new(u32::try_from(of(to) - of(anchor)).ok()?);
    (anchor.checked_add_months(months) == Some(to)).then_some(months)
}

#[cfg(test)]
mod tests {
    use chrono::{NaiveDate, TimeDelta};
    use proptest::prelude::*;

    use super::*;
    use crate::domain::agreement::tests::agreement;
    use crate::domain::decision::AgreementState;

    fn day(text: &str) -> DateTime<Utc> {
        format!("{text}T10:00:00Z").parse().expect("a time")
    }

    fn bought(starts_at: DateTime<Utc>, anchored_at: Option<DateTime<Utc>>) -> Agreement {
        Agreement {
            term: Some(ContractTerm::Month),
            starts_at: Some(starts_at),
            anchored_at,
            ..agreement(AgreementState::Active)
        }
    }

    /// Agreements that follow one another: when each begins and ends.
    fn chain(first: DateTime<Utc>, terms: &[ContractTerm]) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
        let (mut starts_at, mut anchor, mut chain) = (first, None, Vec::new());
        for term in terms {
            let ends_at = term.ends_at(starts_at, anchor).expect("a time");
            chain.push((starts_at, ends_at));
            let old = bought(starts_at, anchor);
            anchor = old.anchor_for(old.plan, ends_at);
            starts_at = ends_at;
        }
        chain
    }

    #[test]
    fn a_term_ends_on_the_same_day_of_the_month() {
        for (starts, term, ends) in [
            ("2026-01-31", ContractTerm::Month, "2026-02-28"),
            ("2024-02-29", ContractTerm::Year, "2025-02-28"),
            ("2024-02-29", ContractTerm::TwoYears, "2026-02-28"),
            ("2026-11-27", ContractTerm::ThreeYears, "2029-11-27"),
        ] {
            assert_eq!(
                term.ends_at(day(starts), None),
                Some(day(ends)),
                "{starts} {term}"
            );
        }
    }

    #[test]
    fn months_that_follow_one_another_keep_their_day() {
        let ends = |first: &str, terms: &[ContractTerm]| {
            let chain = chain(day(first), terms).into_iter();
            chain.map(|(_, ends)| ends).collect::<Vec<_>>()
        };
        assert_eq!(
            ends("2026-01-31", &[ContractTerm::Month; 4]),
            ["2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31"].map(day)
        );
        let mixed = [
            ContractTerm::Month,
            ContractTerm::Year,
            ContractTerm::Month,
            ContractTerm::Month,
        ];
        assert_eq!(
            ends("2027-01-30", &mixed),
            ["2027-02-28", "2028-02-29", "2028-03-30", "2028-04-30"].map(day)
        );
    }

    #[test]
    fn an_anchor_is_handed_on_by_the_same_plan_at_the_end_of_a_term() {
        let (first, short) = (day("2026-01-31"), day("2026-02-28"));
        let old = bought(first, None);
        assert_eq!(old.anchor_for(old.plan, short), Some(first));
        assert_eq!(old.anchor_for(old.plan, short + TimeDelta::hours(1)), None);
        assert_eq!(old.anchor_for(old.plan, day("2026-02-27")), None);
        assert_eq!(old.anchor_for(PlanId::new(first), short), None);
        let trial = Agreement { term: None, ..old };
        assert_eq!(trial.anchor_for(trial.plan, short), None);
        let next = bought(short, Some(first));
        let long = day("2026-03-31");
        assert_eq!(next.anchor_for(next.plan, long), Some(first));
        // Its source moved it, so that no month from the anchor leads to it any more.
        let moved = bought(day("2026-03-05"), Some(first));
        let april = day("2026-04-05");
        assert_eq!(moved.anchor_for(moved.plan, april), Some(day("2026-03-05")));
        assert_eq!(
            ContractTerm::Month.ends_at(april, Some(first)),
            Some(day("2026-05-05"))
        );
    }

    proptest! {
        #[test]
        fn whatever_follows_ends_on_the_first_day_or_the_last_of_a_shorter_month(
            days in 0..4_000_u64, second in 0..86_400_i64,
            terms in proptest::collection::vec(proptest::sample::select(ContractTerm::ALL), 1..30),
        ) {
            let first = NaiveDate::from_ymd_opt(2024, 1, 1).unwrap() + chrono::Days::new(days);
            let first = first.and_time(chrono::NaiveTime::MIN).and_utc() + TimeDelta::seconds(second);
            let mut all = 0;
            for ((_, ends), term) in chain(first, &terms).into_iter().zip(&terms) {
                all += term.months().as_u32();
                // As if all had been bought at once.
                prop_assert_eq!(Some(ends), first.checked_add_months(Months::new(all)));
                prop_assert_eq!(ends.time(), first.time());
                let is_last = (ends + TimeDelta::days(1)).day() == 1;
                prop_assert!(ends.day() == first.day() || (is_last && ends.day() < first.day()), "{}", ends);
            }
        }
    }
}
