//! Until when an agreement pays for what is used.

use chrono::{DateTime, Utc};

use super::record::Record;
use super::standing::SUCCESSOR_WAIT;

impl Record {
    /// Until when what is used can be billed by it; `None` where nothing ends it. A grace lets what is connected stay, but nobody can be asked to pay for that. One that
    /// was said to be replaced pays until the one that takes its place is in force, as long as that is waited for and it has not ended before: from then on the other one
    /// pays, and nobody pays twice.
    pub fn pays_until(&self, successor_since: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
        if self.is_rolled_back() {
            return Some(DateTime::UNIX_EPOCH);
        }
        let first = self.ends().map(|(_, at)| at).min();
        let replaced = self.replaced().map(|at| {
            let last = at + SUCCESSOR_WAIT;
            successor_since.map_or(last, |since| since.max(at).min(last))
        });
        first.into_iter().chain(replaced).min()
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::domain::agreement::{Notice, Terms, Told};
    use crate::domain::listing::EndCause;

    fn at(hour: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::hours(10_000 + hour)
    }

    fn record(told: Vec<(i64, Told)>) -> Record {
        let mut record = Record::default();
        for (hour, told) in told {
            let id = hour.to_string();
            record.hear(&Notice {
                id,
                at: at(hour),
                told,
            });
        }
        record
    }

    #[test]
    fn it_pays_until_the_first_of_its_ends() {
        let made = |ends: Option<i64>| Told::Made(Terms::lasting(at(0), ends.map(at)));
        assert_eq!(record(vec![(0, made(None))]).pays_until(None), None);
        let ends = vec![(0, made(Some(100))), (50, Told::Ended(EndCause::Cancelled))];
        assert_eq!(record(ends).pays_until(None), Some(at(50)));
        let renewed = record(vec![(0, made(Some(100))), (90, Told::Replaced)]);
        // Its own end is far, and the other one pays from 95 on.
        assert_eq!(renewed.pays_until(Some(at(95))), Some(at(95)));
        // Nobody came yet, and its own end is soon: nothing is paid for behind that.
        assert_eq!(renewed.pays_until(None), Some(at(100)));
        assert_eq!(renewed.pays_until(Some(at(105))), Some(at(100)));
        let at_its_end = record(vec![(0, made(Some(100))), (100, Told::Replaced)]);
        assert_eq!(at_its_end.pays_until(Some(at(100))), Some(at(100)));
        let in_grace = record(vec![(0, made(Some(100))), (110, Told::Replaced)]);
        assert_eq!(in_grace.pays_until(Some(at(110))), Some(at(100)));
        let replaced = record(vec![(0, made(None)), (90, Told::Replaced)]);
        for (since, until) in [
            (None, 114),
            (Some(95), 95),
            (Some(80), 90),
            (Some(200), 114),
        ] {
            assert_eq!(replaced.pays_until(since.map(at)), Some(at(until)));
        }
        let never = record(vec![(0, made(None)), (1, Told::RolledBack)]);
        assert!(never.pays_until(None).is_some_and(|until| until < at(0)));
    }
}
