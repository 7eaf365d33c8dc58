use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;

use super::*;
use crate::domain::decision::{AgreementSource, AgreementState};
use crate::domain::ids::{AgreementId, ListingId, PlanId};
use crate::domain::listing::EndCause;
use crate::domain::policy::Stamp;

pub(super) fn at(hour: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::hours(hour)
}

pub(super) fn patience<'a>() -> Patience<'a> {
    Patience {
        grace: &|cause| match cause {
            EndCause::Expired => TimeDelta::hours(72),
            EndCause::Cancelled | EndCause::Payment | EndCause::TrialEnd => TimeDelta::hours(24),
            EndCause::Terminated => TimeDelta::hours(1),
        },
        by_licence: true,
        successor_since: None,
    }
}

pub(super) fn record(notices: &[(i64, Told)]) -> Record {
    let mut record = Record::default();
    for (number, (hour, told)) in notices.iter().enumerate() {
        record.hear(&Notice {
            id: format!("{number:04}"),
            at: at(*hour),
            told: told.clone(),
        });
    }
    record
}

pub(super) fn made(starts: i64, ends: Option<i64>) -> Told {
    Told::Made(Terms::lasting(at(starts), ends.map(at)))
}

/// One that stands so.
pub(super) fn agreement(state: AgreementState) -> Agreement {
    Agreement {
        id: AgreementId::new(at(0)),
        source: AgreementSource::Private,
        reference: "one".to_owned(),
        listing: ListingId::new(at(0)),
        plan: PlanId::new(at(0)),
        revision: 1,
        offer: None,
        buyer: "210987654321".parse().unwrap(),
        term: None,
        anchored_at: None,
        replaces: None,
        state,
        cause: None,
        grace_until: (state == AgreementState::Grace).then(|| at(30)),
        succeeded_at: None,
        starts_at: Some(at(0)),
        ends_at: None,
        over_quota: None,
        due_at: None,
        version: 1,
        made: Stamp {
            at: at(0),
            by: "ann".to_owned(),
        },
        stood_at: at(10),
    }
}

fn told() -> impl Strategy<Value = Told> {
    let hours = || -50..400_i64;
    let cause = proptest::sample::select(EndCause::ALL);
    prop_oneof![
        3 => (hours(), proptest::option::of(hours()), any::<bool>()).prop_map(|(starts, ends, trial)| Told::Made(Terms {
            trial,
            ..Terms::lasting(at(starts), ends.map(at))
        })),
        3 => Just(Told::Licensed),
        1 => Just(Told::Unlicensed),
        1 => Just(Told::Questioned),
        1 => Just(Told::Cleared),
        1 => Just(Told::Replaced),
        2 => cause.prop_map(Told::Ended),
        1 => Just(Told::RolledBack),
    ]
}

/// What a source tells, and how it is heard: in another order, some of it twice.
fn heard() -> impl Strategy<Value = (Vec<Notice>, Vec<Notice>)> {
    let notices = proptest::collection::vec((0..300_i64, told()), 0..12).prop_map(|told| {
        let notice = |(number, (hour, told))| Notice {
            id: format!("{number:04}"),
            at: at(hour),
            told,
        };
        told.into_iter().enumerate().map(notice).collect::<Vec<_>>()
    });
    notices.prop_flat_map(|notices| {
        let twice = proptest::sample::subsequence(notices.clone(), 0..=notices.len());
        let all = twice.prop_map({
            let notices = notices.clone();
            move |mut again| {
                again.extend(notices.clone());
                again
            }
        });
        (Just(notices), all.prop_shuffle())
    })
}

fn hear(notices: &[Notice]) -> Record {
    let mut record = Record::default();
    for notice in notices {
        record.hear(notice);
    }
    record
}

proptest! {
    #[test]
    fn order_and_repeats_make_no_difference((told, heard) in heard()) {
        prop_assert_eq!(hear(&told), hear(&heard));
    }

    #[test]
    fn nothing_changes_before_it_is_said_to(
        (told, _) in heard(), now in -60..500_i64, successor in proptest::option::of(0..400_i64), by_licence in any::<bool>(),
    ) {
        let record = hear(&told);
        let patience = Patience { successor_since: successor.map(at), by_licence, ..patience() };
        let standing = record.standing(patience, at(now));
        for hour in now..600 {
            if standing.until.is_some_and(|until| at(hour) >= until) {
                break;
            }
            let later = record.standing(patience, at(hour));
            prop_assert_eq!(later.state, standing.state, "{} {:?}", hour, standing);
        }
    }

    #[test]
    fn what_ended_is_not_lifted_by_a_late_word_of_its_making((told, _) in heard(), late in told_of_life()) {
        let mut record = hear(&told);
        let end = at(2_000);
        prop_assume!(record.standing(patience(), end).state == AgreementState::Ended);
        // Heard of now, it happened before everything else.
        record.hear(&Notice { id: "late".to_owned(), at: at(-500), told: late });
        prop_assert_eq!(record.standing(patience(), end).state, AgreementState::Ended);
    }

    #[test]
    fn nothing_is_cut_before_its_grace((told, _) in heard(), hour in -60..500_i64) {
        let record = hear(&told);
        let Standing { state, grace_until, cause, .. } = record.standing(patience(), at(hour));
        prop_assert!(grace_until.is_some() || state != AgreementState::Grace);
        if let Some(until) = grace_until {
            prop_assert!(matches!(state, AgreementState::Grace | AgreementState::Superseded));
            prop_assert!(until > at(hour) && cause.is_some());
            // What was said is kept: not a moment earlier, and not later.
            let states = [until - TimeDelta::seconds(1), until].map(|at| record.standing(patience(), at).state);
            prop_assert!(states[0] != AgreementState::Ended && states[1] == AgreementState::Ended, "{:?}", states);
        }
    }
}

fn told_of_life() -> impl Strategy<Value = Told> {
    prop_oneof![
        Just(made(-500, None)),
        Just(Told::Licensed),
        Just(Told::Cleared),
    ]
}

#[test]
fn a_licence_may_come_before_the_agreement() {
    let first = record(&[(1, Told::Licensed)]);
    assert_eq!(
        first.standing(patience(), at(2)).state,
        AgreementState::Pending
    );
    let both = record(&[(1, Told::Licensed), (0, made(0, None))]);
    assert_eq!(
        both.standing(patience(), at(2)).state,
        AgreementState::Active
    );
}

#[test]
fn what_ends_before_it_begins_takes_nobody_s_place() {
    let since = |told: &[(i64, Told)]| record(told).in_force_since(true);
    let bought = [(0, made(50, None)), (1, Told::Licensed)];
    assert_eq!(since(&bought), Some(at(50)));
    assert_eq!(since(&bought[..1]), None, "it has no licence");
    for (hour, is) in [(20, None), (50, None), (60, Some(at(50)))] {
        let mut told = bought.to_vec();
        told.push((hour, Told::Ended(EndCause::Cancelled)));
        assert_eq!(since(&told), is, "cancelled at {hour}");
    }
    let mut told = bought.to_vec();
    told.push((70, Told::RolledBack));
    assert_eq!(since(&told), None);
}

#[test]
fn a_renewal_is_not_cut() {
    let told = [
        (0, made(0, Some(100))),
        (0, Told::Licensed),
        (100, Told::Replaced),
    ];
    let old = record(&told);
    for (hour, told) in [(100, None), (101, Some(at(172))), (123, Some(at(172)))] {
        let waits = old.standing(patience(), at(hour));
        assert_eq!(waits.state, AgreementState::Superseded);
        assert_eq!(waits.grace_until, told, "nobody is told in the first hour");
    }
    let succeeded = Patience {
        successor_since: Some(at(105)),
        ..patience()
    };
    for hour in [105, 123, 124, 1_000] {
        let settled = old.standing(succeeded, at(hour));
        assert_eq!(settled.state, AgreementState::Superseded, "{hour}");
        assert_eq!(settled.until, None, "nothing changes any more at {hour}");
    }
    let awaits = old.standing(succeeded, at(104));
    assert_eq!(awaits.until, Some(at(105)), "it is waited for");
    // Nobody came: what is left of its grace.
    assert_eq!(
        old.standing(patience(), at(124)).state,
        AgreementState::Grace
    );
    assert_eq!(
        old.standing(patience(), at(172)).state,
        AgreementState::Ended
    );
}

#[test]
fn whoever_is_cut_because_nobody_came_is_told_a_day_before() {
    // One hour of grace is over long before the wait is.
    let told = [
        (0, made(0, None)),
        (0, Told::Licensed),
        (100, Told::Replaced),
        (101, Told::Ended(EndCause::Terminated)),
    ];
    let old = record(&told);
    let waits = old.standing(patience(), at(101));
    assert_eq!(waits.state, AgreementState::Superseded);
    assert_eq!(waits.grace_until, Some(at(124)));
    assert_eq!(
        old.standing(patience(), at(124)).state,
        AgreementState::Ended
    );
}

#[test]
fn of_two_ends_the_one_whose_grace_is_over_first_counts() {
    let told = [
        (0, made(0, Some(100))),
        (0, Told::Licensed),
        (110, Told::Ended(EndCause::Terminated)),
    ];
    let standing = record(&told).standing(patience(), at(105));
    assert_eq!(standing.state, AgreementState::Grace);
    assert_eq!(standing.grace_until, Some(at(111)));
    assert_eq!(standing.cause, Some(EndCause::Terminated));
}
