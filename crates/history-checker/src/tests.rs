//! A history in which all is well, and one change to it for each thing that can be wrong. A check that cannot fail is a defect.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::*;
use crate::database::{Attempt, Audit, Connection, Decision, Drift, Observation, Service};

const SERVICE: &str = "vpce-svc-0aaaaaaaaaaaaaaaa";
const ONE: &str = "vpce-01111111111111111";
const TWO: &str = "vpce-02222222222222222";
const ACCEPT: &str = "AcceptVpcEndpointConnections";
const REJECT: &str = "RejectVpcEndpointConnections";
const LOOK: &str = "DescribeVpcEndpointConnections";

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

fn call(seq: u64, seconds: i64, action: &str, ids: &[&str]) -> Call {
    Call {
        seq,
        at: at(seconds),
        action: action.to_owned(),
        account: "111111111111".to_owned(),
        outcome: "ok".to_owned(),
        done: true,
        ids: ids.iter().map(ToString::to_string).collect(),
    }
}

fn seen(connection: &str, seconds: i64, from: Option<&str>, to: &str) -> Observation {
    Observation {
        connection: connection.to_owned(),
        at: at(seconds),
        from_state: from.map(str::to_owned),
        to_state: to.to_owned(),
    }
}

fn attempt(connection: &str, decision: &str, seconds: i64, act: &str) -> Attempt {
    Attempt {
        connection: connection.to_owned(),
        decision: decision.to_owned(),
        at: at(seconds),
        act: act.to_owned(),
        outcome: "recorded".to_owned(),
        code: None,
    }
}

fn audit(id: &str, action: &str, subject: &str, decision: Option<&str>) -> Audit {
    Audit {
        id: id.to_owned(),
        action: action.to_owned(),
        subject: subject.to_owned(),
        decision: decision.map(str::to_owned),
    }
}

fn decision(id: &str, connection: &str, verb: &str, seconds: i64) -> Decision {
    Decision {
        id: id.to_owned(),
        connection: connection.to_owned(),
        verb: verb.to_owned(),
        at: at(seconds),
    }
}

fn connection(id: &str, endpoint: &str, observed: (&str, i64), review: (&str, &str)) -> Connection {
    Connection {
        id: id.to_owned(),
        service: "s".to_owned(),
        aws_service_id: Some(SERVICE.to_owned()),
        endpoint_id: endpoint.to_owned(),
        observed_state: observed.0.to_owned(),
        observed_at: at(observed.1),
        review_state: review.0.to_owned(),
        decision_id: Some(review.1.to_owned()),
        sync_state: "idle".to_owned(),
        sync_code: None,
    }
}

/// One connection was accepted and later revoked, another accepted; all of it was heard, done, seen and written down.
fn good() -> History {
    let aws = Aws {
        calls: vec![
            call(1, 10, LOOK, &[]),
            call(2, 21, LOOK, &[SERVICE, ONE, TWO]),
            call(3, 21, ACCEPT, &[SERVICE, ONE, TWO]),
            call(4, 22, LOOK, &[SERVICE, ONE, TWO]),
            call(5, 31, LOOK, &[SERVICE, ONE]),
            call(6, 31, REJECT, &[SERVICE, ONE]),
            call(7, 32, LOOK, &[SERVICE, ONE]),
        ],
        connections: [(ONE, "rejected"), (TWO, "available")]
            .map(|(endpoint, state)| AwsConnection {
                service_id: SERVICE.to_owned(),
                endpoint_id: endpoint.to_owned(),
                state: state.to_owned(),
            })
            .to_vec(),
        services: vec![AwsService {
            service_id: SERVICE.to_owned(),
            state: Some("Available".to_owned()),
            acceptance_required: true,
            principals: vec!["arn:aws:iam::222222222222:root".to_owned()],
        }],
    };
    let database = Database {
        services: vec![Service {
            id: "s".to_owned(),
            account: "111111111111".to_owned(),
            aws_service_id: Some(SERVICE.to_owned()),
            acceptance_required: true,
            allowed_principals: vec!["arn:aws:iam::222222222222:root".to_owned()],
            version: 2,
            applied_version: 2,
            sync_state: "idle".to_owned(),
            sync_code: None,
            lifecycle: "active".to_owned(),
        }],
        connections: vec![
            connection("one", ONE, ("rejected", 32), ("revoked", "d3")),
            connection("two", TWO, ("available", 22), ("accepted", "d2")),
        ],
        decisions: vec![
            decision("d1", "one", "accept", 20),
            decision("d2", "two", "accept", 20),
            decision("d3", "one", "revoke", 30),
        ],
        observations: vec![
            seen("one", 10, None, "pendingAcceptance"),
            seen("two", 10, None, "pendingAcceptance"),
            seen("one", 22, Some("pendingAcceptance"), "available"),
            seen("two", 22, Some("pendingAcceptance"), "available"),
            seen("one", 32, Some("available"), "rejected"),
        ],
        attempts: vec![
            attempt("one", "d1", 21, "accept"),
            attempt("two", "d2", 21, "accept"),
            attempt("one", "d3", 31, "reject"),
        ],
        drifts: Vec::new(),
        audit: vec![
            audit("a0", "endpoint_service.register", "s", None),
            audit("a1", "connection.accept", "one", Some("d1")),
            audit("a2", "connection.accept", "two", Some("d2")),
            audit("a3", "connection.revoke", "one", Some("d3")),
        ],
        hints_waiting: 0,
    };
    History {
        aws,
        database,
        circumstances: Circumstances {
            acknowledged: ["d1", "d2", "d3"].map(str::to_owned).to_vec(),
            ended_at: at(60),
            ..Circumstances::default()
        },
    }
}

/// What the check says when one thing is otherwise.
fn broken(change: impl FnOnce(&mut History)) -> BTreeSet<Invariant> {
    let mut history = good();
    change(&mut history);
    let report = check(&history);
    for violation in &report.violations {
        assert!(violation.evidence.len() > 10, "no evidence: {violation}");
    }
    report.violations.iter().map(|v| v.invariant).collect()
}

#[track_caller]
fn breaks(invariant: Invariant, change: impl FnOnce(&mut History)) {
    assert_eq!(broken(change), BTreeSet::from([invariant]));
}

fn fine(change: impl FnOnce(&mut History)) {
    assert_eq!(broken(change), BTreeSet::new());
}

fn drift(history: &mut History, of: &str) {
    history.database.drifts.push(Drift {
        connection: of.to_owned(),
        kind: "accepted_outside".to_owned(),
        open: true,
    });
    let entry = audit("a9", "connection.drifted", of, None);
    history.database.audit.push(entry);
}

#[test]
fn a_good_history_is_found_good_and_everything_was_looked_at() {
    let mut history = good();
    history.circumstances.pace_of_owners = Some(1);
    let report = check(&history);
    assert_eq!(report.said(), "");
    for invariant in Invariant::ALL {
        // Nothing is stalled in it, so nothing is to be explained.
        if *invariant != Invariant::I8 {
            assert!(report.looked_at.contains_key(invariant), "{invariant}");
        }
    }
}

#[test]
fn an_acknowledged_decision_that_is_gone_is_found() {
    breaks(Invariant::I1, |h| {
        h.circumstances.acknowledged.push("d4".to_owned());
    });
}

#[test]
fn a_second_outcome_is_found() {
    breaks(Invariant::I1, |h| {
        h.database.decisions[2].verb = "accept".to_owned();
        h.database.audit[3].action = "connection.accept".to_owned();
        h.database.connections[0].review_state = "accepted".to_owned();
        // So that nothing else is wrong: AWS never heard of the second decision, and has the first.
        h.database.connections[0].observed_state = "available".to_owned();
        h.database.observations.pop();
        h.database.attempts.pop();
        h.aws.calls.truncate(4);
        h.aws.connections[0].state = "available".to_owned();
    });
}

#[test]
fn what_is_owed_and_forgotten_is_found() {
    // The decision to revoke never reached AWS, and the row rests.
    let wrong = broken(|h| {
        h.aws.calls.truncate(4);
        h.aws.connections[0].state = "available".to_owned();
        h.database.connections[0].observed_state = "available".to_owned();
        h.database.observations.pop();
        h.database.attempts.pop();
    });
    assert_eq!(wrong, BTreeSet::from([Invariant::I1, Invariant::I17]));
    breaks(Invariant::I1, |h| {
        h.database.services[0].applied_version = 1;
    });
}

#[test]
fn a_decision_without_its_audit_entry_is_found_and_the_other_way_round() {
    breaks(Invariant::I2, |h| drop(h.database.audit.remove(1)));
    breaks(Invariant::I2, |h| {
        let twice = audit("a4", "connection.accept", "one", Some("d1"));
        h.database.audit.push(twice);
    });
    breaks(Invariant::I2, |h| {
        let entry = audit("a4", "connection.accept", "one", Some("d9"));
        h.database.audit.push(entry);
    });
}

#[test]
fn a_review_that_its_decisions_do_not_make_is_found() {
    breaks(Invariant::I2, |h| {
        h.database.connections[1].decision_id = Some("d1".to_owned());
    });
}

#[test]
fn a_call_that_nobody_decided_is_found() {
    // Decided a minute after it was done.
    breaks(Invariant::I3, |h| {
        h.database.decisions[1].at = at(80);
    });
}

#[test]
fn a_call_for_a_decision_that_was_replaced_is_found() {
    breaks(Invariant::I3, |h| {
        h.aws.calls[2].ids.retain(|id| id != ONE);
        h.aws.calls.insert(5, call(50, 33, LOOK, &[ONE]));
        h.aws.calls.insert(6, call(51, 33, ACCEPT, &[ONE]));
        h.aws.calls.push(call(52, 34, LOOK, &[ONE]));
        h.aws.calls.sort_by_key(|c| c.seq);
    });
    // Unless it may have been under way when the decision came.
    fine(|h| {
        h.aws.calls[2].ids.retain(|id| id != ONE);
        h.aws.calls.push(call(50, 33, LOOK, &[ONE]));
        h.aws.calls.push(call(51, 33, ACCEPT, &[ONE]));
        h.circumstances.longest_call = TimeDelta::seconds(6);
    });
}

#[test]
fn a_repeat_for_no_reason_is_found() {
    let repeat = |h: &mut History| {
        h.aws.calls.push(call(50, 25, LOOK, &[TWO]));
        h.aws.calls.push(call(51, 25, ACCEPT, &[TWO]));
        h.aws.calls.sort_by_key(|c| (c.at, c.seq));
        for (seq, call) in (1..).zip(&mut h.aws.calls) {
            call.seq = seq;
        }
        h.database.attempts.push(attempt("two", "d2", 25, "accept"));
    };
    breaks(Invariant::I4, repeat);
    fine(|h| {
        repeat(h);
        h.circumstances.stale_reads = true;
        h.circumstances.losses.push(at(23));
    });
    // Another time's loss explains nothing.
    breaks(Invariant::I4, |h| {
        repeat(h);
        h.circumstances.stale_reads = true;
        h.circumstances.losses.push(at(40));
    });
    fine(|h| {
        repeat(h);
        h.aws.calls[2].outcome = "dropped".to_owned();
        for attempt in &mut h.database.attempts[..2] {
            attempt.outcome = "unknown".to_owned();
        }
    });
}

#[test]
fn a_service_that_was_made_twice_is_found() {
    let second = |h: &mut History| {
        let mut twin = h.aws.services[0].clone();
        twin.service_id = "vpce-svc-0bbbbbbbbbbbbbbbb".to_owned();
        h.aws.services.push(twin);
    };
    breaks(Invariant::I4, second);
    fine(|h| {
        second(h);
        h.circumstances.services_not_ours = 1;
    });
}

#[test]
fn what_did_not_converge_is_found() {
    breaks(Invariant::I5, |h| {
        h.aws.connections[1].state = "deleted".to_owned();
    });
    breaks(Invariant::I5, |h| drop(h.aws.connections.remove(1)));
    breaks(Invariant::I5, |h| {
        let mut third = h.aws.connections[0].clone();
        third.endpoint_id = "vpce-03333333333333333".to_owned();
        h.aws.connections.push(third);
    });
    breaks(Invariant::I5, |h| {
        h.database.connections[1].sync_state = "confirming".to_owned();
    });
    breaks(Invariant::I5, |h| {
        h.database.services[0].sync_state = "due".to_owned();
    });
    breaks(Invariant::I5, |h| {
        h.database.services[0].sync_state = "stalled".to_owned();
    });
    breaks(Invariant::I5, |h| h.aws.services[0].principals.clear());
}

#[test]
fn what_is_stalled_must_say_why_and_must_owe_something() {
    breaks(Invariant::I5, |h| {
        h.database.connections[1].sync_state = "stalled".to_owned();
        h.database.connections[1].sync_code = Some("not_confirmed".to_owned());
    });
}

/// The second connection's accept was refused, and it is stalled for it.
fn refused(h: &mut History, code: &str, outcome: &str) {
    h.aws.connections[1].state = "pendingAcceptance".to_owned();
    h.aws.calls[2].ids.retain(|id| id != TWO);
    let mut refusal = call(4, 21, ACCEPT, &[TWO]);
    refusal.outcome = code.to_owned();
    refusal.done = false;
    h.aws.calls[3] = refusal;
    h.database.observations.remove(3);
    let row = &mut h.database.connections[1];
    row.observed_state = "pendingAcceptance".to_owned();
    row.sync_state = "stalled".to_owned();
    row.sync_code = Some(code.to_owned());
    h.database.attempts[1].outcome = outcome.to_owned();
    h.database.attempts[1].code = Some(code.to_owned());
}

#[test]
fn a_stall_that_its_own_call_explains_is_fine() {
    fine(|h| refused(h, "UnauthorizedOperation", "denied"));
}

#[test]
fn a_stall_that_only_a_neighbours_call_explains_is_found() {
    breaks(Invariant::I8, |h| {
        refused(h, "UnauthorizedOperation", "denied");
        h.database.attempts[1].connection = "one".to_owned();
    });
}

#[test]
fn a_lost_answer_that_counts_as_a_refusal_is_found() {
    breaks(Invariant::I7, |h| refused(h, "InternalError", "unknown"));
    fine(|h| {
        refused(h, "InternalError", "unknown");
        h.circumstances.max_attempts = 1;
    });
}

#[test]
fn a_lost_answer_that_counts_as_success_is_found() {
    breaks(Invariant::I7, |h| {
        h.aws.calls[5].outcome = "dropped".to_owned();
    });
}

#[test]
fn a_call_without_a_look_is_found() {
    breaks(Invariant::I7, |h| {
        h.aws.calls[3].ids.retain(|id| id != ONE);
        h.aws.calls[4].ids.retain(|id| id != ONE);
    });
    // A look that failed is none.
    breaks(Invariant::I7, |h| {
        h.aws.calls[1].outcome = "RequestLimitExceeded".to_owned();
    });
}

#[test]
fn a_call_without_a_record_is_found_unless_a_process_was_lost() {
    breaks(Invariant::I6, |h| drop(h.database.attempts.remove(2)));
    fine(|h| {
        h.database.attempts.remove(2);
        h.circumstances.losses.push(at(31));
    });
}

#[test]
fn a_drift_without_an_audit_entry_is_found() {
    breaks(Invariant::I6, |h| {
        drift(h, "one");
        h.database.audit.pop();
    });
    breaks(Invariant::I6, |h| drop(h.database.audit.remove(0)));
}

#[test]
fn calls_beyond_the_bucket_are_found() {
    let flood = |h: &mut History| {
        for n in 0..15 {
            let endpoint = format!("vpce-{n:017x}");
            let mut busy = call(100 + n, 40, ACCEPT, &[]);
            busy.ids = vec![endpoint];
            busy.account = "111111111111".to_owned();
            busy.ids.clear();
            h.aws.calls.push(busy);
        }
    };
    breaks(Invariant::I9, |h| {
        flood(h);
        h.circumstances.pace_of_owners = Some(1);
    });
    fine(|h| {
        flood(h);
        h.circumstances.pace_of_owners = Some(2);
    });
}

#[test]
fn going_back_is_found() {
    let back = |h: &mut History| {
        h.database
            .observations
            .insert(4, seen("two", 23, Some("available"), "pendingAcceptance"));
        h.database
            .observations
            .insert(5, seen("two", 24, Some("pendingAcceptance"), "available"));
        h.database.connections[1].observed_at = at(24);
    };
    breaks(Invariant::I11, back);
    fine(|h| {
        back(h);
        h.circumstances.stale_reads = true;
    });
    breaks(Invariant::I11, |h| {
        h.database.observations[2].from_state = None;
    });
    breaks(Invariant::I11, |h| {
        h.database.connections[0].observed_at = at(31);
    });
}

#[test]
fn observations_of_one_moment_are_put_in_order() {
    fine(|h| {
        for seen in &mut h.database.observations[2..] {
            seen.at = at(10);
        }
        h.database.observations.reverse();
    });
}

#[test]
fn ids_are_compared_as_the_api_and_the_database_write_them() {
    fine(|h| {
        let id = "01a217ab-0000-7000-8000-0000000000aa";
        let written = "dec_01a217ab0000700080000000000000aa";
        h.database.decisions[1].id = id.to_owned();
        h.database.attempts[1].decision = id.to_owned();
        h.database.connections[1].decision_id = Some(id.to_owned());
        h.database.audit[2].decision = Some(id.to_owned());
        h.circumstances.acknowledged[1] = written.to_owned();
    });
}

#[test]
fn too_many_calls_for_a_decision_are_found() {
    breaks(Invariant::I14, |h| {
        for n in 0..6 {
            h.aws.calls.push(call(100 + 2 * n, 40, LOOK, &[TWO]));
            let mut lost = call(101 + 2 * n, 40, ACCEPT, &[TWO]);
            lost.outcome = "reset".to_owned();
            lost.done = false;
            h.aws.calls.push(lost);
        }
    });
}

#[test]
fn drifts_and_hints_without_end_are_found() {
    breaks(Invariant::I14, |h| {
        for _ in 0..5 {
            drift(h, "one");
        }
    });
    breaks(Invariant::I14, |h| h.database.hints_waiting = 1);
}

#[test]
fn a_call_about_a_stranger_is_found() {
    breaks(Invariant::I15, |h| {
        let stranger = "vpce-09999999999999999";
        h.aws.calls.push(call(50, 40, LOOK, &[stranger]));
        h.aws.calls.push(call(51, 40, ACCEPT, &[stranger]));
    });
    // Somebody else may.
    fine(|h| {
        let stranger = "vpce-09999999999999999";
        h.aws.calls.push(call(51, 40, ACCEPT, &[stranger]));
        h.circumstances.outside.push(Outside {
            action: ACCEPT.to_owned(),
            id: stranger.to_owned(),
        });
    });
    fine(|h| {
        let (stranger, mark) = ("vpce-09999999999999999", "vpce-0000000000000dead");
        h.aws.calls.push(call(51, 40, ACCEPT, &[stranger, mark]));
        h.circumstances.mark_of_others = Some(mark.to_owned());
    });
}

#[test]
fn what_nobody_decided_and_nobody_saw_is_found() {
    let undecided = |h: &mut History| {
        h.aws.calls[2].ids.retain(|id| id != TWO);
        h.database.attempts.remove(1);
        h.database.decisions.remove(1);
        h.database.audit.remove(2);
        h.circumstances.acknowledged.remove(1);
        let row = &mut h.database.connections[1];
        row.review_state = "undecided".to_owned();
        row.decision_id = None;
    };
    breaks(Invariant::I17, undecided);
    fine(|h| {
        undecided(h);
        drift(h, "two");
    });
}

#[test]
fn a_jump_of_the_clock_is_taken_out() {
    fine(|h| {
        // AWS's clock jumped an hour ahead after the accepts.
        for call in &mut h.aws.calls[3..] {
            call.at += TimeDelta::hours(1);
        }
        h.circumstances.jumps.push(Jump {
            to: at(21) + TimeDelta::hours(1),
            by: TimeDelta::hours(1),
        });
    });
}

#[test]
fn the_control_apis_answers_are_read() {
    let events = json!([{ "seq": 1, "at": "2026-01-01T00:00:00Z", "service": "ec2", "action": LOOK, "account": "111111111111",
        "region": "eu-west-1", "outcome": "ok", "done": true, "ids": [SERVICE] }]);
    let connections = json!([{ "account": "111111111111", "region": "eu-west-1", "service_id": SERVICE,
        "endpoint_id": ONE, "state": "available" }]);
    let state = json!({ "places": [{ "services": [{ "service_id": SERVICE, "state": "Available",
        "acceptance_required": true, "principals": ["*"], "connections": {} }] }] });
    let read = Aws::read(events, connections, &state).unwrap();
    assert_eq!(
        (
            read.calls.len(),
            read.connections.len(),
            read.services.len()
        ),
        (1, 1, 1)
    );
    assert!(Aws::read(json!([{}]), json!([]), &json!({})).is_err());
    assert!(Database::read("{}").is_err());
}
