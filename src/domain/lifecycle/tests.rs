use chrono::TimeDelta;

use super::*;

/// Rows are states, columns the verbs in the order of `LifecycleVerb::ALL`: drain, delete, cancel, release, call delete, delete refused, found
/// gone. The letter is the state after it; `d` draining refuses, `D` deleting refuses, `E` ended, `-` not draining.
const GRID: &[(LifecycleState, &str)] = &[
    (LifecycleState::Active, "gg-r---"),
    (LifecycleState::Draining, "dgarxdk"),
    (LifecycleState::Deleting, "DDDDDgk"),
    (LifecycleState::Deleted, "EEEEEEE"),
    (LifecycleState::Released, "EEEEEEE"),
];

#[test]
fn every_state_and_verb_is_as_the_grid_says() {
    use LifecycleState as S;
    assert_eq!(GRID.len(), S::ALL.len());
    for (state, row) in GRID {
        assert_eq!(row.len(), LifecycleVerb::ALL.len());
        for (verb, cell) in LifecycleVerb::ALL.iter().zip(row.chars()) {
            let want = match cell {
                'g' => Ok(S::Draining),
                'a' => Ok(S::Active),
                'r' => Ok(S::Released),
                'x' => Ok(S::Deleting),
                'k' => Ok(S::Deleted),
                'd' => Err(Retired::Draining),
                'D' => Err(Retired::Deleting),
                'E' => Err(Retired::Ended(*state)),
                _ => Err(Retired::NotDraining(*state)),
            };
            assert_eq!(state.after(*verb), want, "{state} {verb}");
        }
    }
}

#[test]
fn nobody_is_let_in_unless_it_is_active_and_access_is_taken_until_it_has_ended() {
    for state in LifecycleState::ALL {
        let active = *state == LifecycleState::Active;
        assert_eq!(state.admits(Verb::Accept).is_ok(), active, "{state}");
        assert_eq!(state.may_change().is_ok(), active, "{state}");
        let looked_after = state.is_looked_after().is_ok();
        for verb in [Verb::Reject, Verb::Revoke] {
            assert_eq!(state.admits(verb).is_ok(), looked_after, "{state} {verb}");
        }
        assert_eq!(looked_after, active || state.is_retiring(), "{state}");
    }
}

/// Nothing that was let go of or is gone comes back, and only the cancel leads back to use.
#[test]
fn there_is_one_way_back() {
    for state in LifecycleState::ALL {
        for verb in LifecycleVerb::ALL {
            if state.after(*verb) == Ok(LifecycleState::Active) {
                assert_eq!(*verb, LifecycleVerb::CancelDrain);
                assert_eq!(*state, LifecycleState::Draining);
            }
        }
    }
}

fn drain(now: DateTime<Utc>) -> Drain {
    Drain {
        reject_at: now + TimeDelta::minutes(5),
        then_delete: false,
        frozen_at: None,
        called_at: None,
        refusals: 0,
        answer: None,
    }
}

#[test]
fn the_phases_follow_each_other() {
    let start = DateTime::UNIX_EPOCH;
    let late = start + TimeDelta::minutes(6);
    let mut drain = drain(start);
    let mut progress = Progress {
        live: 2,
        to_reject: 2,
        attached: 2,
        ..Progress::default()
    };
    let phase = |drain: &Drain, progress: &Progress, now| {
        drain.phase(LifecycleState::Draining, progress, now)
    };
    assert_eq!(phase(&drain, &progress, start), Phase::Freezing);
    drain.frozen_at = Some(start);
    assert_eq!(phase(&drain, &progress, start), Phase::Notice);
    assert_eq!(phase(&drain, &progress, late), Phase::Rejecting);
    (progress.to_reject, progress.untold) = (0, 2);
    assert_eq!(phase(&drain, &progress, late), Phase::Rejecting);
    progress.untold = 0;
    assert_eq!(phase(&drain, &progress, late), Phase::Waiting);
    // Rejected ones are in the way only where AWS says so.
    progress.live = 0;
    assert_eq!(phase(&drain, &progress, late), Phase::Drained);
    drain.then_delete = true;
    assert_eq!(phase(&drain, &progress, late), Phase::Deleting);
    drain.answer = Some(("ExistingVpcEndpointConnections".into(), "no".into()));
    assert_eq!(phase(&drain, &progress, late), Phase::Waiting);
    let deleting = drain.phase(LifecycleState::Deleting, &progress, late);
    assert_eq!(deleting, Phase::Deleting);
}

#[test]
fn nobody_has_to_be_given_notice_where_nobody_is() {
    let start = DateTime::UNIX_EPOCH;
    let drain = Drain {
        frozen_at: Some(start),
        ..drain(start)
    };
    let phase = drain.phase(LifecycleState::Draining, &Progress::default(), start);
    assert_eq!(phase, Phase::Drained);
}

#[test]
fn looks_become_rarer() {
    let start = DateTime::UNIX_EPOCH;
    for (waited, pause) in [(0, 2), (8, 2), (40, 10), (240, 60), (100_000, 60)] {
        let now = start + TimeDelta::seconds(waited);
        assert_eq!(next_look(start, now), now + TimeDelta::seconds(pause));
    }
}
