//! Which agreement counts for a connection, of all by which its account might connect. Pure.

use std::cmp::Reverse;

use super::cuts::InUse;
use super::kept::Agreement;
use crate::domain::decision::{AgreementState, BindRule, Binding, Licence, Licences, Quota};
use crate::domain::ids::{AgreementId, EndpointServiceId};
use crate::domain::listing::{Plan, Quotas};
use crate::domain::quota::QuotaFigure;

/// An agreement by which somebody might connect, as it stands now.
#[derive(Debug)]
pub struct Candidate {
    /// The agreement.
    pub agreement: Agreement,
    /// The plan that it pins.
    pub plan: Plan,
    /// How much it grants.
    pub quotas: Quotas,
    /// How much of that is in use.
    pub in_use: InUse,
}

/// A connection that somebody has to pay for.
#[derive(Debug, Clone, Copy)]
pub struct Asks<'a> {
    /// The service that it connects to.
    pub service: EndpointServiceId,
    /// The Region that its endpoint is in.
    pub region: &'a str,
    /// Whether it was accepted already.
    pub live: bool,
    /// The agreement that somebody said shall pay.
    pub said: Option<AgreementId>,
    /// The agreement that pays.
    pub pays: Option<AgreementId>,
}

/// What was chosen for a connection.
#[derive(Debug)]
pub struct Choice<'a> {
    /// The agreement to speak of.
    pub agreement: Option<&'a Candidate>,
    /// Licences, where several could pay.
    pub licences: Option<Licences>,
    /// The agreement that would pay.
    pub payer: Option<AgreementId>,
}

/// Chooses the agreement that counts for a connection: of those in force the one that pays, or else the one that stands best.
pub fn choose<'a>(candidates: &[&'a Candidate], asks: Asks<'_>) -> Choice<'a> {
    let state = |one: &&&Candidate| one.agreement.state;
    let mut active: Vec<&Candidate> = candidates
        .iter()
        .filter(|one| state(one) == AgreementState::Active)
        .copied()
        .collect();
    active.sort_by_key(|one| (one.agreement.starts_at, one.agreement.id));
    let Some(oldest) = active.first().copied() else {
        let best = candidates
            .iter()
            .copied()
            .min_by_key(|one| (rank(&one.agreement), Reverse(one.agreement.id)));
        // What is connected stays while somebody looks at its agreement.
        let payer = best.filter(|one| one.agreement.state == AgreementState::Review && asks.live);
        return Choice {
            agreement: best,
            licences: None,
            payer: payer.map(|one| one.agreement.id),
        };
    };
    if active.len() == 1 {
        return Choice {
            agreement: Some(oldest),
            licences: None,
            payer: Some(oldest.agreement.id),
        };
    }
    let in_force = |id: &AgreementId| active.iter().any(|one| one.agreement.id == *id);
    let claimed = asks.said.filter(in_force).or(asks.pays.filter(in_force));
    let licences: Vec<Licence> = active
        .iter()
        .map(|one| Licence {
            id: one.agreement.id.to_string(),
            since: one.agreement.starts_at.unwrap_or(one.agreement.made.at),
            free: one
                .in_use
                .free(one.quotas, asks.service, asks.region)
                .unwrap_or(u32::MAX),
            claimed: claimed == Some(one.agreement.id),
        })
        .collect();
    let rule = oldest.plan.bind_rule;
    let licences = Licences {
        active: licences,
        // Whoever has several and no rule has to be asked.
        rule: rule.unwrap_or(BindRule::Ask),
    };
    let payer = match licences.bind(asks.live) {
        Binding::To(id) => active
            .iter()
            .copied()
            .find(|one| one.agreement.id.to_string() == id),
        Binding::Ambiguous | Binding::Full => None,
    };
    Choice {
        agreement: payer.or(Some(oldest)),
        payer: payer.map(|one| one.agreement.id),
        licences: Some(licences),
    }
}

/// Chooses who pays for a connection that one agreement lets go of: another in force, whose plan has the Region and which grants one more. The one that somebody named, or else
/// the oldest, whatever rule there is for new ones: the alternative is to cut it. None where somebody named the one that lets go, while that is in force.
pub fn choose_other(
    candidates: &[&Candidate],
    asks: Asks<'_>,
    than: AgreementId,
) -> Option<AgreementId> {
    let active = candidates
        .iter()
        .filter(|one| one.agreement.state == AgreementState::Active);
    let (own, others): (Vec<&Candidate>, Vec<&Candidate>) =
        active.copied().partition(|one| one.agreement.id == than);
    if asks.said == Some(than) && !own.is_empty() {
        return None;
    }
    let has_room = |one: &&Candidate| {
        let regions = one.plan.regions.as_ref();
        let sold =
            regions.is_none_or(|all| all.iter().any(|region| region.as_str() == asks.region));
        let limits = one.limits(asks.service, asks.region);
        sold && limits.iter().all(|it| it.would_be <= it.limit)
    };
    let with_room = others.into_iter().filter(has_room);
    let oldest = with_room.min_by_key(|one| {
        let named = asks.said == Some(one.agreement.id);
        (!named, one.agreement.starts_at, one.agreement.id)
    });
    oldest.map(|one| one.agreement.id)
}

/// The one to speak of where none is in force: that which is or comes next to it.
fn rank(agreement: &Agreement) -> u8 {
    match agreement.state {
        AgreementState::Active => 0,
        AgreementState::Review => 1,
        AgreementState::Superseded if agreement.succeeded_at.is_none() => 2,
        AgreementState::Pending => 3,
        AgreementState::Grace => 4,
        AgreementState::Superseded => 5,
        AgreementState::Ended => 6,
    }
}

impl Candidate {
    /// The limits of the agreement, with what would be used by one more.
    pub fn limits(&self, service: EndpointServiceId, region: &str) -> Vec<Quota> {
        let mut after = self.in_use.clone();
        after.add(service, region);
        let regions = u32::try_from(after.regions.len()).unwrap_or(u32::MAX);
        let figures = [
            (
                QuotaFigure::Connections,
                self.quotas.max_connections,
                after.connections(),
            ),
            (
                QuotaFigure::EndpointsPerService,
                self.quotas.max_endpoints,
                after.on(service),
            ),
            (QuotaFigure::Regions, self.quotas.max_regions, regions),
        ];
        let limited = figures.into_iter().filter_map(|(figure, limit, would_be)| {
            Some(Quota {
                figure,
                would_be: i64::from(would_be),
                limit: i64::from(limit?),
            })
        });
        limited.collect()
    }
}
