//! Following hints: where to look because of each, and when one has been looked at enough. Pure.
//!
//! A hint cannot make us believe anything, and it cannot make us look anywhere but at services that are registered here.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use privatelink::{ConnectionFilter, ConnectionState, ServiceId, VpcEndpointId};
use uuid::Uuid;

use super::backoff;
use super::hint::Named;
use super::text::text_enum;

text_enum!(
    /// What following a hint came to.
    FollowOutcome {
        /// AWS showed what it names.
        Seen = "seen",
        /// A complete listing began after it had arrived.
        Listed = "listed",
        /// AWS did not show what it names; the next complete listing decides.
        Unseen = "unseen",
        /// It names services that are not registered here. Nobody looked.
        Elsewhere = "elsewhere",
    }
);

/// How many times AWS is looked at because of one hint. With the pauses between them that covers 15 s of a lagging read.
pub const MOST_LOOKS: i32 = 5;
/// The pause before the second look; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// How long a hint waits for a listing before it is asked about again.
const LISTING_PAUSE: TimeDelta = TimeDelta::seconds(1);

/// A hint that was not followed to its end yet.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// The row.
    pub id: Uuid,
    /// What it names.
    pub named: Named,
    /// When it arrived.
    pub received_at: DateTime<Utc>,
    /// How many times AWS was looked at because of it.
    pub looks: i32,
    /// Whether AWS has shown all that it names.
    pub seen: bool,
}

/// What is known here of the ids that hints name.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Services that are registered in this AccountRegion.
    pub registered: BTreeSet<ServiceId>,
    /// Endpoints that were seen before, with their services.
    pub endpoints: HashMap<VpcEndpointId, Vec<ServiceId>>,
}

/// Where to look because of a hint. Nowhere at all is [`FollowOutcome::Elsewhere`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    /// Endpoints, each with the services that it may be on.
    pub endpoints: Vec<(VpcEndpointId, Vec<ServiceId>)>,
    /// Services with all their connections.
    pub services: Vec<ServiceId>,
    /// Everything: the hint does not say where.
    pub everything: bool,
}

/// Finds where to look.
pub fn target(named: &Named, known: &Known) -> Target {
    let ours: Vec<ServiceId> = named
        .services
        .intersection(&known.registered)
        .cloned()
        .collect();
    let mut target = Target::default();
    for endpoint in &named.endpoints {
        if let Some(services) = known.endpoints.get(endpoint) {
            target.endpoints.push((endpoint.clone(), services.clone()));
        } else if !ours.is_empty() {
            target.endpoints.push((endpoint.clone(), ours.clone()));
        } else if named.services.is_empty() {
            // AWS filters connections by service and endpoint together; of what service, nobody says.
            target.everything = true;
        }
    }
    if named.endpoints.is_empty() {
        target.everything = named.services.is_empty();
        target.services = ours;
    }
    target
}

/// The reads that some hints ask for, by service.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reads(BTreeMap<ServiceId, Read>);

/// What to read of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    /// These endpoints.
    Endpoints(BTreeSet<VpcEndpointId>),
    /// All of them.
    All,
}

impl Reads {
    /// Adds what a hint asks for. What several ask for is read once.
    pub fn add(&mut self, target: &Target) {
        for (endpoint, services) in &target.endpoints {
            for service in services {
                let read = self.0.entry(service.clone());
                let read = read.or_insert_with(|| Read::Endpoints(BTreeSet::new()));
                if let Read::Endpoints(endpoints) = read {
                    endpoints.insert(endpoint.clone());
                }
            }
        }
        for service in &target.services {
            self.0.insert(service.clone(), Read::All);
        }
    }

    /// One filter for each call that is needed (more where AWS pages), with the service that it is about.
    pub fn filters(self) -> Vec<(ServiceId, ConnectionFilter)> {
        let mut filters = Vec::new();
        for (service, read) in self.0 {
            match read {
                Read::All => {
                    filters.push((service.clone(), ConnectionFilter::Service(service)));
                }
                Read::Endpoints(endpoints) => {
                    let endpoints: Vec<VpcEndpointId> = endpoints.into_iter().collect();
                    for chunk in endpoints.chunks(ConnectionFilter::MAX_ENDPOINTS) {
                        let filter = ConnectionFilter::Endpoints(service.clone(), chunk.to_vec());
                        filters.push((service.clone(), filter));
                    }
                }
            }
        }
        filters
    }
}

/// What was looked at, and what AWS showed.
#[derive(Debug, Default)]
pub struct Looked {
    /// Services of which everything that was asked for was read.
    pub services: BTreeSet<ServiceId>,
    /// Endpoints that AWS showed, with their states.
    pub shown: HashMap<VpcEndpointId, ConnectionState>,
    /// When the last complete listing began.
    pub listed_at: Option<DateTime<Utc>>,
}

/// What becomes of a hint after a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is followed.
    Done(FollowOutcome),
    /// Look again then.
    Again(DateTime<Utc>),
    /// It waits for a complete listing, and is asked about again then.
    List(DateTime<Utc>),
}

/// Judges a hint after a look. The second answer says whether AWS has shown all that it names.
pub fn judge(
    hint: &Waiting,
    target: &Target,
    looked: &Looked,
    now: DateTime<Utc>,
) -> (Verdict, bool) {
    if *target == Target::default() {
        return (Verdict::Done(FollowOutcome::Elsewhere), false);
    }
    let listed = looked.listed_at.is_some_and(|at| at > hint.received_at);
    let wanted = target.endpoints.iter().flat_map(|(_, services)| services);
    let was_read = wanted
        .chain(&target.services)
        .all(|service| looked.services.contains(service));
    if target.everything || !was_read {
        return if listed {
            (Verdict::Done(FollowOutcome::Listed), false)
        } else {
            (Verdict::List(now + LISTING_PAUSE), false)
        };
    }
    let states = target
        .endpoints
        .iter()
        .map(|(endpoint, _)| looked.shown.get(endpoint));
    let (mut all_shown, mut at_rest) = (true, true);
    for state in states {
        all_shown &= state.is_some();
        // AWS tells of a deletion when it begins, and says nothing when it ends.
        at_rest &= state.is_some_and(|state| *state != ConnectionState::Deleting);
    }
    let seen = hint.seen || all_shown;
    let looks = hint.looks.saturating_add(1);
    let verdict = if at_rest {
        Verdict::Done(FollowOutcome::Seen)
    } else if looks >= MOST_LOOKS {
        let outcome = if seen {
            FollowOutcome::Seen
        } else {
            FollowOutcome::Unseen
        };
        Verdict::Done(outcome)
    } else {
        let pause = backoff::delay(FIRST_PAUSE, u32::try_from(looks).unwrap_or(1), 1.0);
        Verdict::Again(now + TimeDelta::from_std(pause).unwrap_or(LISTING_PAUSE))
    };
    (verdict, all_shown)
}

#[cfg(test)]
mod tests;
