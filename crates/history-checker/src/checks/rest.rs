//! I1, I5 and I17 at rest: AWS, the observations and the decisions agree, or a row says why not.

use std::collections::{HashMap, HashSet};

use crate::index::{Index, Story};
use crate::owed::{Owed, owed, review_of};
use crate::report::{Invariant, Report};

pub(crate) fn check(index: &Index<'_>, report: &mut Report) {
    let history = index.history;
    let registered: HashSet<&str> = history
        .database
        .services
        .iter()
        .filter_map(|s| s.aws_service_id.as_deref())
        .collect();
    let rows: HashMap<(&str, &str), &Story<'_>> = index
        .stories
        .iter()
        .filter_map(|s| {
            Some((
                (s.row.aws_service_id.as_deref()?, s.row.endpoint_id.as_str()),
                s,
            ))
        })
        .collect();
    let mut listed: HashSet<(&str, &str)> = HashSet::new();
    for truth in &history.aws.connections {
        let key = (truth.service_id.as_str(), truth.endpoint_id.as_str());
        if !registered.contains(key.0) {
            continue;
        }
        listed.insert(key);
        let shown = rows.get(&key).map(|s| s.row.observed_state.as_str());
        // What was gone before anybody could see it need not be known.
        let agrees =
            shown == Some(truth.state.as_str()) || (truth.state == "deleted" && shown.is_none());
        report.hold(Invariant::I5, agrees, || {
            format!(
                "{} on {} is {} in AWS and {shown:?} here",
                key.1, key.0, truth.state
            )
        });
    }
    for story in &index.stories {
        let row = story.row;
        let key = (
            row.aws_service_id.as_deref().unwrap_or_default(),
            row.endpoint_id.as_str(),
        );
        if !listed.contains(&key) {
            report.hold(Invariant::I5, row.observed_state == "deleted", || {
                format!("{row}: AWS does not list it any more")
            });
        }
        came_to_a_right_end(story, report);
        is_explained(story, report);
    }
    services(index, report);
}

fn came_to_a_right_end(story: &Story<'_>, report: &mut Report) {
    let row = story.row;
    let owed = owed(&row.review_state, &row.observed_state);
    let stalled = row.sync_state == "stalled";
    report.hold(
        Invariant::I1,
        row.sync_state != "idle" || owed == Owed::Nothing,
        || format!("{row}: it rests although something is owed"),
    );
    report.hold(
        Invariant::I5,
        matches!(row.sync_state.as_str(), "idle" | "stalled"),
        || format!("{row}: it did not come to rest"),
    );
    report.hold(Invariant::I5, !stalled || row.sync_code.is_some(), || {
        format!("{row}: it is stalled and does not say why")
    });
    report.hold(Invariant::I5, !stalled || owed != Owed::Nothing, || {
        format!("{row}: it is stalled although nothing is owed")
    });
}

/// I17: one decision explains what AWS has, or a drift says that none does.
fn is_explained(story: &Story<'_>, report: &mut Report) {
    let row = story.row;
    let wanted = match row.observed_state.as_str() {
        "pending" | "available" => &["accepted"][..],
        "rejected" => &["rejected", "revoked"][..],
        _ => return,
    };
    let newest = story.decisions.last().map(|d| review_of(&d.verb));
    let decided = newest.is_some_and(|review| wanted.contains(&review));
    // A decision that AWS was not told yet stands beside what it will change; the row says so.
    let under_way = row.sync_state == "stalled" && !story.decisions.is_empty();
    report.hold(
        Invariant::I17,
        decided || story.drifted || under_way,
        || format!("{row}: no decision and no drift explains it"),
    );
}

/// I5 for services.
fn services(index: &Index<'_>, report: &mut Report) {
    let history = index.history;
    for service in &history.database.services {
        let id = &service.id;
        let state = service.sync_state.as_str();
        report.hold(Invariant::I5, state != "due", || {
            format!(
                "service {id} did not come to rest ({:?})",
                service.sync_code
            )
        });
        report.hold(
            Invariant::I5,
            state != "stalled" || service.sync_code.is_some(),
            || format!("service {id} is stalled and does not say why"),
        );
        if state != "idle" {
            continue;
        }
        let aws_id = service.aws_service_id.as_deref().unwrap_or_default();
        let truth = history.aws.services.iter().find(|s| s.service_id == aws_id);
        match service.lifecycle.as_str() {
            "active" => {}
            "deleted" => {
                let gone = truth.is_none_or(|t| t.state.as_deref() == Some("Deleted"));
                report.hold(Invariant::I5, gone, || {
                    format!("service {id} is deleted here and AWS has {truth:?}")
                });
                continue;
            }
            "draining" => {
                let shut = truth.is_none_or(|t| t.acceptance_required);
                report.hold(Invariant::I5, shut, || {
                    format!("service {id} is drained and AWS accepts by itself")
                });
                continue;
            }
            "released" => continue,
            other => {
                report.hold(Invariant::I5, false, || {
                    format!("service {id} rests although it is {other}")
                });
                continue;
            }
        }
        report.hold(Invariant::I5, truth.is_some(), || {
            format!("service {id} rests although AWS has no {aws_id:?}")
        });
        report.hold(
            Invariant::I1,
            service.applied_version == service.version,
            || {
                format!(
                    "service {id} rests at version {} of {}",
                    service.applied_version, service.version
                )
            },
        );
        let changed_outside = history.circumstances.outside.iter().any(|o| o.id == aws_id);
        let Some(truth) = truth.filter(|_| !changed_outside) else {
            continue;
        };
        let agrees = truth.acceptance_required == service.acceptance_required
            && service
                .allowed_principals
                .iter()
                .all(|wanted| truth.principals.contains(wanted));
        report.hold(Invariant::I5, agrees, || {
            format!(
                "service {id} wants acceptance {} and {:?}, AWS has {} and {:?}",
                service.acceptance_required,
                service.allowed_principals,
                truth.acceptance_required,
                truth.principals
            )
        });
    }
    // One service each: a create whose answer was lost is not made twice.
    let known: HashSet<&str> = history
        .database
        .services
        .iter()
        .filter_map(|s| s.aws_service_id.as_deref())
        .collect();
    let made = history.circumstances.services_not_ours;
    let live = history.aws.services.iter().filter(|s| {
        s.state.as_deref() != Some("Deleted") && !known.contains(s.service_id.as_str())
    });
    let strangers: Vec<_> = live.map(|s| s.service_id.as_str()).collect();
    let stalled = history
        .database
        .services
        .iter()
        .filter(|s| s.aws_service_id.is_none())
        .count();
    report.hold(Invariant::I4, strangers.len() <= made + stalled, || {
        format!(
            "AWS has services that nobody registered: {strangers:?}; {made} are known to be others'"
        )
    });
}
