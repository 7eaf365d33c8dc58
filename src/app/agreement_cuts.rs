//! Plans of agreements to cut connections, and their end: each is noted with the connection, and its consumer is told.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::json;

use super::agreement_standing::Steps;
use super::desk::Note;
use super::give_access_for::shown;
use super::tell_consumer::tell_consumers;
use super::{AppError, PgConnection};
use crate::domain::actor::Actor;
use crate::domain::agreement::{Agreement, Cuts};
use crate::domain::decision::AgreementState;
use crate::domain::ids::{AgreementId, ConnectionId};
use crate::domain::lifecycle::{Notice, NoticeKind};
use crate::domain::review_desk::ReviewStep;
use crate::store::agreement_bindings::Binding;
use crate::store::planned_revocations::Cut;
use crate::store::{agreement_bindings, audit, connections, planned_revocations, reviews};

/// The most plans that change in one transaction.
const MOST_PLANS: usize = 500;

/// What changes of the plans of some agreements.
#[derive(Debug, Default)]
pub(super) struct CutChanges {
    new: Vec<Cut>,
    old: Vec<(AgreementId, ConnectionId)>,
    /// Who pays for what is planned to be cut.
    pays: HashMap<ConnectionId, Binding>,
    /// Connections that are gone: nobody is told anything of them.
    gone: HashSet<ConnectionId>,
}

impl CutChanges {
    /// None so far. `planned` is what is planned by the agreements.
    pub(super) async fn of(
        conn: &mut PgConnection,
        planned: &HashMap<AgreementId, BTreeMap<ConnectionId, DateTime<Utc>>>,
        gone: HashSet<ConnectionId>,
    ) -> Result<Self, AppError> {
        let ids: Vec<ConnectionId> = planned
            .values()
            .flat_map(|all| all.keys().copied())
            .collect();
        let pays = if ids.is_empty() {
            HashMap::new()
        } else {
            agreement_bindings::of_connections(conn, &ids).await?
        };
        Ok(Self {
            pays,
            gone,
            ..Self::default()
        })
    }

    /// Adds what makes the plans of an agreement what they should be. Answers whether some are left for the next transaction.
    pub(super) fn add(
        &mut self,
        agreement: &Agreement,
        wanted: &Cuts,
        there: &BTreeMap<ConnectionId, DateTime<Utc>>,
    ) -> bool {
        let ended = agreement.state == AgreementState::Ended;
        // What was planned for the end of the grace stays, once that has come.
        let stands = |id: &ConnectionId, when: &DateTime<Utc>| match there.get(id) {
            Some(known) => known == when || (ended && known <= when),
            None => false,
        };
        let others_pay = |id: &ConnectionId| {
            let pays = self.pays.get(id);
            pays.is_some_and(|row| row.agreement != agreement.id)
        };
        let old = there
            .keys()
            .filter(|id| !wanted.plans.contains_key(id) && (!ended || others_pay(id)));
        let old: Vec<_> = old.map(|id| (agreement.id, *id)).collect();
        let new = wanted.plans.iter().filter(|(id, when)| !stands(id, when));
        let new: Vec<Cut> = new
            .map(|(id, when)| Cut {
                agreement: agreement.id,
                connection: *id,
                at: *when,
                reason: why(agreement, wanted.shut_out.contains(id)),
                by: Actor::worker().name,
            })
            .collect();
        let room = MOST_PLANS.saturating_sub(self.old.len() + self.new.len());
        let more = old.len() + new.len() > room;
        let withdrawn = old.len().min(room);
        self.old.extend(old.into_iter().take(room));
        self.new.extend(new.into_iter().take(room - withdrawn));
        more
    }

    /// Plans and withdraws them. The caller has locked the agreements.
    pub(super) async fn carry_out(
        self,
        conn: &mut PgConnection,
        actor: &Actor,
        steps: &mut Steps<'_>,
        at: DateTime<Utc>,
    ) -> Result<(), AppError> {
        let new = self.new.iter().map(|cut| cut.connection);
        let old = self.old.iter().map(|(_, id)| *id);
        let touched: Vec<ConnectionId> = new.chain(old).collect();
        if touched.is_empty() {
            return Ok(());
        }
        connections::lock_many(conn, &touched).await?;
        let withdrawn = planned_revocations::take_cuts_back(conn, &self.old).await?;
        let desks = reviews::of_many(conn, &touched).await?;
        let left = |id: &ConnectionId| desks.get(id)?.revocation.as_ref().map(|plan| plan.at);
        // Of what is planned anew, that is told below.
        let planned_anew: HashSet<ConnectionId> =
            self.new.iter().map(|cut| cut.connection).collect();
        let told: Vec<_> = withdrawn
            .iter()
            .filter(|cut| {
                !self.gone.contains(&cut.connection) && !planned_anew.contains(&cut.connection)
            })
            .map(|cut| (cut.connection, withdrawal(cut, left(&cut.connection), at)))
            .collect();
        tell_consumers(conn, actor, &told, at).await?;
        note_withdrawn(conn, actor, steps, &withdrawn, at).await?;
        // Somebody may have decided before the lock.
        let planned = planned_revocations::add_cuts(conn, &self.new).await?;
        let is_planned = |cut: &Cut| planned.contains(&(cut.agreement, cut.connection));
        let new: Vec<Cut> = self.new.into_iter().filter(is_planned).collect();
        let before = |id: &ConnectionId| desks.get(id)?.revocation.as_ref().map(shown);
        let mut notices = Vec::new();
        let mut entries = Vec::new();
        let mut by_agreement: BTreeMap<AgreementId, Vec<&Cut>> = BTreeMap::new();
        for cut in &new {
            let note = Note {
                actor,
                id: cut.connection,
                step: ReviewStep::RevocationScheduled,
                reason: Some(&cut.reason),
                before: before(&cut.connection),
                details: Some(shown(&cut.planned())),
                at,
            };
            entries.push(note.entry());
            notices.push((cut.connection, notice(NoticeKind::AccessEnding, cut, at)));
            by_agreement.entry(cut.agreement).or_default().push(cut);
        }
        audit::record_many(conn, entries).await?;
        tell_consumers(conn, actor, &notices, at).await?;
        for (agreement, cuts) in by_agreement {
            let first = cuts.iter().min_by_key(|cut| cut.at);
            let after = json!({
                "connections": cuts.len(), "at": first.map(|cut| cut.at), "because": first.map(|cut| &cut.reason),
            });
            steps.add(agreement, "agreement.plan_cuts", (None, Some(after)));
        }
        Ok(())
    }
}

async fn note_withdrawn(
    conn: &mut PgConnection,
    actor: &Actor,
    steps: &mut Steps<'_>,
    withdrawn: &[Cut],
    at: DateTime<Utc>,
) -> Result<(), AppError> {
    if withdrawn.is_empty() {
        return Ok(());
    }
    let reasons: Vec<String> = withdrawn
        .iter()
        .map(|cut| format!("agreement {} does not cut it any more", cut.agreement))
        .collect();
    let mut entries = Vec::new();
    let mut counts: BTreeMap<AgreementId, usize> = BTreeMap::new();
    for (cut, reason) in withdrawn.iter().zip(&reasons) {
        let note = Note {
            actor,
            id: cut.connection,
            step: ReviewStep::RevocationCancelled,
            reason: Some(reason),
            before: Some(shown(&cut.planned())),
            details: None,
            at,
        };
        entries.push(note.entry());
        *counts.entry(cut.agreement).or_default() += 1;
    }
    audit::record_many(conn, entries).await?;
    for (agreement, count) in counts {
        let after = json!({ "connections": count });
        steps.add(agreement, "agreement.withdraw_cuts", (None, Some(after)));
    }
    Ok(())
}

/// What a consumer is told of a plan that was withdrawn: when access ends now by what others planned, or that it does not.
fn withdrawal(cut: &Cut, left: Option<DateTime<Utc>>, at: DateTime<Utc>) -> Notice {
    match left {
        Some(ends_at) => Notice {
            kind: NoticeKind::AccessEnding,
            since: at,
            content: json!({ "ends_at": ends_at }),
        },
        None => notice(NoticeKind::AccessEndingCancelled, cut, at),
    }
}

fn notice(kind: NoticeKind, cut: &Cut, at: DateTime<Utc>) -> Notice {
    Notice {
        kind,
        since: at,
        content: json!({ "agreement_id": cut.agreement, "ends_at": cut.at }),
    }
}

/// Why it cuts, in words.
fn why(agreement: &Agreement, shut_out: bool) -> String {
    let id = agreement.id;
    if shut_out {
        return match agreement.succeeded_at {
            Some(_) => {
                format!("the agreement that took the place of {id} does not let the account in")
            }
            None => format!("the account was detached from agreement {id}"),
        };
    }
    match agreement.over_quota {
        Some(over) => format!(
            "agreement {id} grants less than is connected since {}",
            over.since.to_rfc3339_opts(SecondsFormat::Secs, true)
        ),
        None if agreement.state == AgreementState::Superseded => {
            format!("nothing has taken the place of agreement {id} yet")
        }
        None => match agreement.cause {
            Some(cause) => format!("agreement {id} ended: {cause}"),
            None => format!("agreement {id} never came to be"),
        },
    }
}
