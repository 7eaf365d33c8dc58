//! One test a rule, on an accepted connection that AWS still shows as waiting.

use privatelink::{ConnectionState, GatewayError};

use super::*;
use crate::domain::connection::{ConnectionSync, Observed};
use crate::domain::ids::{AccountRegionId, ConnectionId, DecisionId, EndpointServiceId};
use crate::domain::review::ReviewState;

const RULES: Rules = Rules {
    stale_read_grace: TimeDelta::seconds(10),
    max_attempts: 3,
    patience: TimeDelta::minutes(15),
    retry_base: std::time::Duration::from_millis(500),
};

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn accepted() -> Connection {
    Connection {
        id: ConnectionId::new(now()),
        service_id: EndpointServiceId::new(now()),
        aws_service_id: None,
        account_region_id: AccountRegionId::new(now()),
        endpoint_id: "vpce-0123456789abcdef0".parse().unwrap(),
        owner: "111111111111".parse().unwrap(),
        consumer: None,
        observed: Observed {
            state: ConnectionState::PendingAcceptance,
            at: now(),
            created_at: None,
            connection_id: None,
            endpoint_region: None,
            ip_address_type: None,
            dns_entries: vec![],
        },
        first_seen_at: now(),
        review: ReviewState::Accepted,
        decision_id: Some(DecisionId::new(now())),
        sync: ConnectionSync {
            state: SyncState::Due,
            due_at: Some(now()),
            deadline_at: Some(now() + TimeDelta::minutes(15)),
            attempts: 0,
            act: None,
            code: None,
            message: None,
        },
        version: 2,
        stall: None,
        given_up: None,
    }
}

fn step(change: impl FnOnce(&mut Connection)) -> Step {
    let mut connection = accepted();
    change(&mut connection);
    next_step(&connection, true, now(), RULES)
}

#[test]
fn a_decision_that_aws_does_not_show_is_called() {
    assert_eq!(step(|_| {}), Step::Call(Act::Accept));
}

#[test]
fn a_stale_read_right_after_the_call_does_not_repeat_it() {
    let at = now() - TimeDelta::seconds(4);
    assert_eq!(
        step(|c| c.sync.act = Some((Act::Accept, at))),
        Step::LookAt(now() + TimeDelta::seconds(1))
    );
    let long_ago = now() - TimeDelta::seconds(11);
    assert_eq!(
        step(|c| c.sync.act = Some((Act::Accept, long_ago))),
        Step::Call(Act::Accept)
    );
}

#[test]
fn the_opposite_call_is_not_held_back_by_the_grace() {
    let at = now() - TimeDelta::seconds(1);
    let revoked = step(|c| {
        c.review = ReviewState::Revoked;
        c.sync.act = Some((Act::Accept, at));
    });
    assert_eq!(revoked, Step::Call(Act::Reject));
}

#[test]
fn an_endpoint_that_the_read_did_not_show_is_not_called() {
    let step = next_step(&accepted(), false, now(), RULES);
    assert_eq!(step, Step::LookAt(now() + TimeDelta::seconds(1)));
}

#[test]
fn after_the_last_attempt_it_stalls_with_the_last_code() {
    let stalled = step(|c| {
        c.sync.attempts = 3;
        c.sync.code = Some("InvalidState".into());
        c.sync.message = Some("not now".into());
    });
    assert_eq!(
        stalled,
        Step::Stall {
            code: "InvalidState".into(),
            message: "not now".into()
        }
    );
}

#[test]
fn past_its_deadline_it_stalls_even_while_waiting() {
    let stalled = step(|c| {
        c.observed.state = ConnectionState::Pending;
        c.sync.deadline_at = Some(now());
        c.sync.attempts = 1;
    });
    let message = "AWS shows pending after 1 calls".to_owned();
    assert_eq!(
        stalled,
        Step::Stall {
            code: NOT_CONFIRMED.into(),
            message
        }
    );
}

#[test]
fn reaching_the_goal_settles_even_past_the_deadline() {
    let settled = step(|c| {
        c.observed.state = ConnectionState::Available;
        c.sync.deadline_at = Some(now());
    });
    assert_eq!(settled, Step::Settle);
}

#[test]
fn what_is_at_rest_is_left_alone() {
    assert_eq!(step(|c| c.sync.state = SyncState::Idle), Step::Skip);
    assert_eq!(step(|c| c.sync.state = SyncState::Stalled), Step::Skip);
}

#[test]
fn throttling_does_not_count_and_an_unknown_outcome_does() {
    let busy = GatewayError::Busy {
        code: "RequestLimitExceeded".into(),
        retry_after: None,
    };
    assert_eq!(
        after_failure(&busy),
        AfterFailure::Again {
            counts: false,
            at_least: TimeDelta::zero()
        }
    );
    let unknown = GatewayError::Unknown {
        code: "Timeout".into(),
        message: String::new(),
    };
    assert_eq!(
        after_failure(&unknown),
        AfterFailure::Again {
            counts: true,
            at_least: TimeDelta::zero()
        }
    );
    let denied = GatewayError::Denied {
        code: "UnauthorizedOperation".into(),
        message: String::new(),
    };
    assert_eq!(after_failure(&denied), AfterFailure::Stall);
}
