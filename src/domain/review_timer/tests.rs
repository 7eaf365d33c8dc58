//! What time does, row by row, and what it never does.

use proptest::prelude::*;

use super::*;

fn at(minutes: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + minutes * 60, 0).unwrap()
}

/// First seen at minute 0, reminded of after 75, due after 100; access goes on for 50 minutes after its time.
fn facts(review: ReviewState, observed: ConnectionState) -> Facts {
    Facts {
        review,
        observed,
        first_seen_at: at(0),
        rules: Effective {
            sla: TimeDelta::minutes(100),
            remind_after: TimeDelta::minutes(75),
            on_overdue: OnOverdue::Keep,
            expiry_grace: TimeDelta::minutes(50),
        },
        held_by_person: false,
        reminded_at: None,
        escalated_at: None,
        expires_at: None,
        expiring_at: None,
        revoke_at: None,
        approved: false,
    }
}

fn waiting() -> Facts {
    facts(ReviewState::Undecided, ConnectionState::PendingAcceptance)
}

fn given(expires_at: i64) -> Facts {
    Facts {
        expires_at: Some(at(expires_at)),
        ..facts(ReviewState::Accepted, ConnectionState::Available)
    }
}

#[test]
fn every_row_is_as_the_table_says() {
    use TimerStep as S;
    let rejecting = |mut facts: Facts| {
        facts.rules.on_overdue = OnOverdue::Reject;
        facts
    };
    let reminded = Facts {
        reminded_at: Some(at(76)),
        ..waiting()
    };
    let escalated = Facts {
        escalated_at: Some(at(101)),
        ..waiting()
    };
    let early = Facts {
        escalated_at: Some(at(50)),
        ..waiting()
    };
    let held = Facts {
        held_by_person: true,
        ..rejecting(waiting())
    };
    let marked = Facts {
        expiring_at: Some(at(201)),
        ..given(200)
    };
    let renewed = Facts {
        expiring_at: Some(at(150)),
        ..given(200)
    };
    let planned = Facts {
        revoke_at: Some(at(10)),
        ..given(200)
    };
    let gone = Facts {
        observed: ConnectionState::Deleted,
        ..given(200)
    };
    let cut_off = Facts {
        observed: ConnectionState::Rejected,
        ..given(200)
    };
    let odd = Facts {
        observed: ConnectionState::Unknown("odd".to_owned()),
        ..given(200)
    };
    let half = Facts {
        approved: true,
        ..facts(ReviewState::Undecided, ConnectionState::Deleted)
    };
    let rows: &[(&str, &Facts, i64, &[S])] = &[
        ("young", &waiting(), 74, &[]),
        ("old", &waiting(), 75, &[S::Remind]),
        ("old and reminded of", &reminded, 99, &[]),
        ("overdue", &waiting(), 100, &[S::Escalate]),
        ("overdue and told", &escalated, 100_000, &[]),
        (
            "told before the deadline was moved",
            &early,
            100,
            &[S::Escalate],
        ),
        (
            "overdue, to be rejected",
            &rejecting(waiting()),
            100,
            &[S::Escalate, S::RejectOverdue],
        ),
        (
            "told, to be rejected",
            &rejecting(escalated.clone()),
            102,
            &[S::RejectOverdue],
        ),
        ("overdue, but held", &held, 100, &[S::Escalate]),
        ("given for a time", &given(200), 199, &[]),
        ("its time is over", &given(200), 200, &[S::MarkExpiring]),
        ("told", &marked, 249, &[]),
        ("told of another time", &renewed, 200, &[S::MarkExpiring]),
        ("the grace is over", &marked, 250, &[S::Expire]),
        ("nobody looked for long", &given(200), 1_000, &[S::Expire]),
        ("planned", &planned, 9, &[]),
        ("planned and due", &planned, 10, &[S::RevokeScheduled]),
        (
            "planned comes before expired",
            &planned,
            1_000,
            &[S::RevokeScheduled],
        ),
        ("the endpoint is gone", &gone, 250, &[S::Lapse]),
        ("cut off behind our back", &cut_off, 250, &[S::Expire]),
        ("an unknown state", &odd, 250, &[]),
        ("half approved and gone", &half, 0, &[S::Lapse]),
    ];
    for (what, facts, minutes, due) in rows {
        assert_eq!(steps(facts, at(*minutes)), *due, "{what} at {minutes}");
    }
}

#[test]
fn a_decision_has_a_reason_code_and_nothing_else_has() {
    for step in TimerStep::ALL {
        assert_eq!(
            step.verb().is_some(),
            step.reason_code().is_some(),
            "{step}"
        );
    }
}

fn any_state() -> impl Strategy<Value = ConnectionState> {
    let mut all = ConnectionState::DOCUMENTED.to_vec();
    all.push(ConnectionState::Unknown("odd".to_owned()));
    prop::sample::select(all)
}

fn any_facts() -> impl Strategy<Value = Facts> {
    let time = || prop::option::of((0_i64..400).prop_map(at));
    (
        prop::sample::select(ReviewState::ALL.to_vec()),
        any_state(),
        prop::sample::select(OnOverdue::ALL.to_vec()),
        (any::<bool>(), any::<bool>()),
        (time(), time(), time(), time(), time()),
    )
        .prop_map(|(review, observed, on_overdue, (held, approved), times)| {
            let mut facts = facts(review, observed);
            facts.rules.on_overdue = on_overdue;
            facts.held_by_person = held;
            facts.approved = approved;
            (
                facts.reminded_at,
                facts.escalated_at,
                facts.expires_at,
                facts.expiring_at,
                facts.revoke_at,
            ) = times;
            facts
        })
}

/// What the store writes for a step.
fn took(mut facts: Facts, step: TimerStep, now: DateTime<Utc>) -> Facts {
    match step {
        TimerStep::Remind => facts.reminded_at = Some(now),
        TimerStep::Escalate => facts.escalated_at = Some(now),
        TimerStep::MarkExpiring => facts.expiring_at = Some(now),
        TimerStep::RejectOverdue => facts.review = ReviewState::Rejected,
        TimerStep::Expire | TimerStep::RevokeScheduled => facts.review = ReviewState::Revoked,
        TimerStep::Lapse => {
            facts.expires_at = None;
            facts.revoke_at = None;
            facts.approved = false;
        }
    }
    facts
}

proptest! {
    /// What was done is not done again.
    #[test]
    fn a_second_look_at_the_same_time_finds_nothing(facts in any_facts(), minutes in 0_i64..600) {
        let now = at(minutes);
        let mut after = facts.clone();
        for step in steps(&facts, now) {
            after = took(after, step, now);
        }
        prop_assert_eq!(steps(&after, now), vec![]);
    }

    /// A timer decides only what the review allows: the same rule as for people.
    #[test]
    fn a_timer_decides_only_what_may_be_decided(facts in any_facts(), minutes in 0_i64..600) {
        for verb in steps(&facts, at(minutes)).into_iter().filter_map(TimerStep::verb) {
            prop_assert!(facts.review.after(verb, &facts.observed).is_ok());
        }
    }

    /// Nothing is taken away before a time that somebody named, and nothing is rejected that a person holds, or where the service keeps.
    #[test]
    fn nothing_is_decided_early(facts in any_facts(), minutes in 0_i64..600) {
        let now = at(minutes);
        for step in steps(&facts, now) {
            match step {
                TimerStep::RejectOverdue => {
                    prop_assert!(now >= facts.rules.due_at(facts.first_seen_at));
                    prop_assert!(!facts.held_by_person);
                    prop_assert_eq!(facts.rules.on_overdue, OnOverdue::Reject);
                }
                TimerStep::Expire => {
                    prop_assert!(facts.expires_at.is_some_and(|end| end + facts.rules.expiry_grace <= now));
                }
                TimerStep::RevokeScheduled => {
                    prop_assert!(facts.revoke_at.is_some_and(|end| end <= now));
                }
                TimerStep::Remind | TimerStep::Escalate | TimerStep::MarkExpiring | TimerStep::Lapse => {}
            }
        }
    }

    /// Access whose time and grace are over is taken away, however late anybody looks.
    #[test]
    fn what_is_over_is_taken_away(facts in any_facts(), late in 0_i64..100_000) {
        if let (ReviewState::Accepted, Some(end)) = (facts.review, facts.expires_at)
            && facts.review.after(Verb::Revoke, &facts.observed).is_ok()
        {
            let due = steps(&facts, end + facts.rules.expiry_grace + TimeDelta::minutes(late));
            prop_assert!(due.iter().any(|step| step.verb() == Some(Verb::Revoke)));
        }
    }
}
