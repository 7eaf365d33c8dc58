//! The history, arranged for looking things up.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};

use crate::History;
use crate::aws::Call;
use crate::circumstances::Circumstances;
use crate::database::{Attempt, Connection, Decision, Observation};

pub(crate) const ACCEPT: &str = "AcceptVpcEndpointConnections";
pub(crate) const REJECT: &str = "RejectVpcEndpointConnections";
const LOOK: &str = "DescribeVpcEndpointConnections";

/// AWS being told to accept or reject one endpoint.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told<'a> {
    pub(crate) call: &'a Call,
    /// When, by Portcullis' clock.
    pub(crate) at: DateTime<Utc>,
    pub(crate) act: &'static str,
}

/// Everything about one connection.
#[derive(Debug)]
pub(crate) struct Story<'a> {
    pub(crate) row: &'a Connection,
    pub(crate) decisions: Vec<&'a Decision>,
    pub(crate) observations: Vec<&'a Observation>,
    pub(crate) attempts: Vec<&'a Attempt>,
    pub(crate) drifted: bool,
    /// What we told AWS about it, in AWS's order.
    pub(crate) told: Vec<Told<'a>>,
    /// The numbers of our calls that looked at this very endpoint and were answered.
    pub(crate) looks: Vec<u64>,
}

pub(crate) struct Index<'a> {
    pub(crate) history: &'a History,
    pub(crate) stories: Vec<Story<'a>>,
    /// Calls of ours that tell AWS about endpoints.
    pub(crate) telling: Vec<Told<'a>>,
    /// Endpoints that we told AWS about and do not know.
    pub(crate) strangers: Vec<(&'a Call, &'a str)>,
}

impl<'a> Index<'a> {
    pub(crate) fn of(history: &'a History) -> Self {
        let database = &history.database;
        let mut places: HashMap<&str, usize> = HashMap::new();
        // An endpoint belongs to one service, whoever adopted that twice.
        let mut endpoints: HashMap<&str, Vec<usize>> = HashMap::new();
        let mut stories: Vec<Story<'a>> = Vec::new();
        for row in &database.connections {
            places.insert(&row.id, stories.len());
            endpoints
                .entry(&row.endpoint_id)
                .or_default()
                .push(stories.len());
            stories.push(Story {
                row,
                decisions: Vec::new(),
                observations: Vec::new(),
                attempts: Vec::new(),
                drifted: false,
                told: Vec::new(),
                looks: Vec::new(),
            });
        }
        let mut with = |connection: &str, act: &mut dyn FnMut(&mut Story<'a>)| {
            if let Some(story) = places.get(connection).and_then(|at| stories.get_mut(*at)) {
                act(story);
            }
        };
        for decision in &database.decisions {
            with(&decision.connection, &mut |s| s.decisions.push(decision));
        }
        for seen in &database.observations {
            with(&seen.connection, &mut |s| s.observations.push(seen));
        }
        for attempt in &database.attempts {
            with(&attempt.connection, &mut |s| s.attempts.push(attempt));
        }
        for drift in &database.drifts {
            with(&drift.connection, &mut |s| s.drifted = true);
        }
        let mut telling = Vec::new();
        let mut strangers = Vec::new();
        for call in ours(history) {
            let told = |act| Told {
                call,
                // The log is kept in milliseconds: it was at some time within that one.
                at: history.circumstances.ours(call.at) + TimeDelta::microseconds(999),
                act,
            };
            let told = match call.action.as_str() {
                ACCEPT => Some(told("accept")),
                REJECT => Some(told("reject")),
                _ => None,
            };
            telling.extend(told);
            let looked = call.action == LOOK && call.outcome == "ok";
            if told.is_none() && !looked {
                continue;
            }
            for endpoint in call.endpoints() {
                let known = endpoints.get(endpoint);
                if known.is_none() && told.is_some() {
                    strangers.push((call, endpoint));
                }
                for at in known.into_iter().flatten() {
                    if let Some(story) = stories.get_mut(*at) {
                        story.told.extend(told);
                        if looked {
                            story.looks.push(call.seq);
                        }
                    }
                }
            }
        }
        Self {
            history,
            stories,
            telling,
            strangers,
        }
    }

    pub(crate) fn circumstances(&self) -> &Circumstances {
        &self.history.circumstances
    }
}

/// The calls of the providers' accounts that nobody else made: each of [`Circumstances::outside`] takes the first call away that fits.
fn ours(history: &History) -> Vec<&Call> {
    let services = &history.database.services;
    let mut outside: Vec<_> = history.circumstances.outside.iter().collect();
    let mut ours = Vec::new();
    for call in &history.aws.calls {
        let mark = history.circumstances.mark_of_others.as_deref();
        let marked = mark.is_some_and(|mark| call.ids.iter().any(|id| id == mark));
        if marked || !services.iter().any(|s| s.account == call.account) {
            continue;
        }
        let fits = outside
            .iter()
            .position(|o| o.action == call.action && call.endpoints().eq([o.id.as_str()]));
        match fits {
            Some(at) => drop(outside.remove(at)),
            None => ours.push(call),
        }
    }
    ours
}
