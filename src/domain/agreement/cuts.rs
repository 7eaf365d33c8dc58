//! What an agreement cuts, and when: everything once it has ended and its grace is over, and what goes beyond it once it grants less than is connected. Pure.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use privatelink::Region;

use super::kept::{Agreement, OverQuota};
use crate::domain::decision::AgreementState;
use crate::domain::ids::{ConnectionId, EndpointServiceId};
use crate::domain::listing::Quotas;

/// What is connected by an agreement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// The connection.
    pub connection: ConnectionId,
    /// The service it connects to.
    pub service: EndpointServiceId,
    /// The Region that its endpoint is in.
    pub region: String,
    /// The account that owns the endpoint.
    pub account: String,
    /// Whether it was accepted and lives in AWS.
    pub live: bool,
    /// Whether it has no right any more, or nothing can be revoked in AWS. What was rejected there by hand is neither gone nor live: AWS does not say that it can never be accepted
    /// again, and a word of AWS that nobody knows says nothing.
    pub gone: bool,
    /// Whether the account is let in by the agreement. Nobody whom the agreement that took its place does not let in is.
    pub let_in: bool,
}

/// How much of an agreement is in use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InUse {
    /// Connections on each service.
    pub services: BTreeMap<EndpointServiceId, u32>,
    /// The Regions that endpoints are in.
    pub regions: BTreeSet<String>,
}

impl InUse {
    /// Connections on all services together.
    pub fn connections(&self) -> u32 {
        self.services.values().sum()
    }

    /// Endpoints on one service.
    pub fn on(&self, service: EndpointServiceId) -> u32 {
        self.services.get(&service).copied().unwrap_or_default()
    }

    /// Counts one more.
    pub fn add(&mut self, service: EndpointServiceId, region: &str) {
        *self.services.entry(service).or_default() += 1;
        self.regions.insert(region.to_owned());
    }

    /// How many more endpoints of a Region on a service fit; `None` where nothing limits them.
    pub fn free(&self, quotas: Quotas, service: EndpointServiceId, region: &str) -> Option<u32> {
        let regions = u32::try_from(self.regions.len()).unwrap_or(u32::MAX);
        if let Some(most) = quotas.max_regions
            && !self.regions.contains(region)
            && regions >= most
        {
            return Some(0);
        }
        let left = |most: Option<u32>, used: u32| most.map(|most| most.saturating_sub(used));
        let connections = left(quotas.max_connections, self.connections());
        let endpoints = left(quotas.max_endpoints, self.on(service));
        connections.into_iter().chain(endpoints).min()
    }
}

/// What of these seats goes beyond what is granted: whatever is in a Region that the plan has not, and the newest, since the oldest came first and fit. Whoever is not let
/// in takes nobody's place.
pub fn surplus(seats: &[Seat], granted: Granted<'_>) -> Vec<ConnectionId> {
    let mut used = InUse::default();
    let mut over = Vec::new();
    for seat in seats.iter().filter(|seat| seat.live && seat.let_in) {
        let elsewhere = granted
            .regions
            .is_some_and(|regions| regions.iter().all(|one| one.as_str() != seat.region));
        if elsewhere || used.free(granted.quotas, seat.service, &seat.region) == Some(0) {
            over.push(seat.connection);
        } else {
            used.add(seat.service, &seat.region);
        }
    }
    over
}

/// What an agreement cuts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cuts {
    /// More is connected than it grants.
    pub over_quota: Option<OverQuota>,
    /// When each connection is cut.
    pub plans: BTreeMap<ConnectionId, DateTime<Utc>>,
    /// Those of them that are cut because their account is not let in any more.
    pub shut_out: BTreeSet<ConnectionId>,
}

/// How much an agreement grants, and how long more than that may be connected.
#[derive(Debug, Clone, Copy)]
pub struct Granted<'a> {
    /// How much.
    pub quotas: Quotas,
    /// The Regions that endpoints may be in; all where it is `None`.
    pub regions: Option<&'a BTreeSet<Region>>,
    /// How long each connection may stay that goes beyond it, or whose account is not let in any more.
    pub grace: TimeDelta,
}

/// What an agreement cuts of its seats, the oldest of which comes first. `planned` is what it plans to cut so far: whatever goes beyond the quota already, or was shut out,
/// keeps its time, and what does so since now has a grace of its own.
pub fn cuts(
    agreement: &Agreement,
    seats: &[Seat],
    granted: Granted<'_>,
    planned: &BTreeMap<ConnectionId, DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Cuts {
    let all = |at: DateTime<Utc>| -> BTreeMap<ConnectionId, DateTime<Utc>> {
        let held = seats.iter().filter(|seat| !seat.gone);
        held.map(|seat| (seat.connection, at)).collect()
    };
    let soon = |id: &ConnectionId| planned.get(id).copied().unwrap_or(now + granted.grace);
    match agreement.state {
        // Nothing is connected by one that has not begun.
        AgreementState::Pending => Cuts::default(),
        // Whatever was planned for the end of the grace stays planned for then.
        AgreementState::Ended => Cuts {
            plans: all(agreement.stood_at.min(now)),
            ..Cuts::default()
        },
        // In grace all are cut at its end, and whoever was shut out before at his own time if that is earlier. Where another one pays or is waited for, nobody is told of an end
        // until it is overdue, but those whom it does not let in.
        AgreementState::Grace | AgreementState::Superseded => {
            let mut cuts = shut_out(seats, soon);
            if let Some(until) = agreement.grace_until {
                for (id, at) in all(until) {
                    let first = cuts.plans.entry(id).or_insert(at);
                    *first = at.min(*first);
                }
            }
            cuts
        }
        AgreementState::Active | AgreementState::Review => {
            let mut cuts = shut_out(seats, soon);
            let over = surplus(seats, granted);
            let since = agreement.over_quota.map_or(now, |over| over.since);
            let first = over.iter().map(soon).min();
            cuts.over_quota = first.map(|until| OverQuota {
                since,
                until: until.max(since),
            });
            cuts.plans.extend(over.iter().map(|id| (*id, soon(id))));
            cuts
        }
    }
}

/// What is cut of those whose account is not let in any more.
fn shut_out(seats: &[Seat], soon: impl Fn(&ConnectionId) -> DateTime<Utc>) -> Cuts {
    let out = seats.iter().filter(|seat| !seat.gone && !seat.let_in);
    let shut_out: BTreeSet<ConnectionId> = out.map(|seat| seat.connection).collect();
    Cuts {
        over_quota: None,
        plans: shut_out.iter().map(|id| (*id, soon(id))).collect(),
        shut_out,
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::agreement::tests::{agreement, at};

    fn seat(number: u128, service: u128, region: &str, live: bool) -> Seat {
        Seat {
            connection: uuid::Uuid::from_u128(number).into(),
            service: uuid::Uuid::from_u128(service).into(),
            region: region.to_owned(),
            account: "210987654321".to_owned(),
            live,
            gone: !live,
            let_in: true,
        }
    }

    fn at_most(connections: u32) -> Quotas {
        Quotas {
            max_connections: Some(connections),
            ..Quotas::default()
        }
    }

    const DAY: TimeDelta = TimeDelta::hours(24);

    fn day(quotas: Quotas) -> Granted<'static> {
        Granted {
            quotas,
            regions: None,
            grace: DAY,
        }
    }

    fn planned(so_far: &Cuts) -> BTreeMap<ConnectionId, DateTime<Utc>> {
        so_far.plans.clone()
    }

    #[test]
    fn the_newest_go_and_only_after_the_grace() {
        let seats: Vec<Seat> = (1..=4).map(|n| seat(n, 1, "eu-west-1", true)).collect();
        let mut active = agreement(AgreementState::Active);
        let first = cuts(&active, &seats, day(at_most(2)), &BTreeMap::new(), at(20));
        let until = at(44);
        let newest = [seats[2].connection, seats[3].connection];
        assert_eq!(first.plans, newest.map(|id| (id, until)).into());
        // What began stays when it is looked at again, and what is granted again is not cut.
        active.over_quota = first.over_quota;
        let there = planned(&first);
        let again = cuts(&active, &seats, day(at_most(3)), &there, at(30));
        assert_eq!(again.plans, [(seats[3].connection, until)].into());
        // What goes beyond a still lower one has its whole grace.
        let lower = cuts(&active, &seats, day(at_most(1)), &there, at(40));
        assert_eq!(lower.plans.get(&seats[1].connection), Some(&at(64)));
        assert_eq!(lower.plans.get(&seats[2].connection), Some(&until));
        assert_eq!(lower.over_quota.map(|over| over.until), Some(until));
        assert_eq!(
            cuts(&active, &seats, day(at_most(4)), &there, at(31)),
            Cuts::default()
        );
    }

    #[test]
    fn what_is_gone_takes_no_place() {
        let seats = [
            seat(1, 1, "eu-west-1", false),
            seat(2, 1, "eu-west-1", true),
        ];
        assert!(surplus(&seats, day(at_most(1))).is_empty());
    }

    #[test]
    fn each_figure_counts_its_own() {
        let seats = [
            seat(1, 1, "eu-west-1", true),
            seat(2, 1, "us-east-1", true),
            seat(3, 2, "eu-west-1", true),
        ];
        let regions = Quotas {
            max_regions: Some(1),
            ..Quotas::default()
        };
        assert_eq!(surplus(&seats, day(regions)), [seats[1].connection]);
        let endpoints = Quotas {
            max_endpoints: Some(1),
            ..Quotas::default()
        };
        assert_eq!(surplus(&seats, day(endpoints)), [seats[1].connection]);
    }

    #[test]
    fn an_end_cuts_all_when_its_grace_is_over() {
        let seats = [
            seat(1, 1, "eu-west-1", true),
            seat(2, 1, "eu-west-1", false),
        ];
        let none = BTreeMap::new();
        let planned =
            |state, now| cuts(&agreement(state), &seats, day(at_most(0)), &none, now).plans;
        let first = seats[0].connection;
        assert_eq!(
            planned(AgreementState::Grace, at(12)),
            [(first, at(30))].into()
        );
        assert_eq!(
            planned(AgreementState::Ended, at(40)),
            [(first, at(10))].into()
        );
        assert!(planned(AgreementState::Superseded, at(40)).is_empty());
        let mut overdue = agreement(AgreementState::Superseded);
        overdue.grace_until = Some(at(50));
        let told = cuts(&overdue, &seats, day(at_most(0)), &none, at(40));
        assert_eq!(told.plans, [(first, at(50))].into());
    }

    #[test]
    fn what_may_come_back_is_cut_but_takes_no_place() {
        let mut seats = [
            seat(1, 1, "eu-west-1", false),
            seat(2, 1, "eu-west-1", true),
        ];
        seats[0].gone = false;
        assert!(surplus(&seats, day(at_most(1))).is_empty());
        let none = BTreeMap::new();
        for state in [AgreementState::Grace, AgreementState::Ended] {
            let planned = cuts(&agreement(state), &seats, day(at_most(9)), &none, at(12)).plans;
            assert!(planned.contains_key(&seats[0].connection), "{state}");
        }
    }

    #[test]
    fn whoever_is_let_in_no_more_is_cut_after_a_grace_and_takes_no_place() {
        let mut seats: Vec<Seat> = (1..=3).map(|n| seat(n, 1, "eu-west-1", true)).collect();
        seats[0].let_in = false;
        let out = seats[0].connection;
        for state in [AgreementState::Active, AgreementState::Superseded] {
            let of = agreement(state);
            let first = cuts(&of, &seats, day(at_most(2)), &BTreeMap::new(), at(20));
            assert_eq!(first.plans, [(out, at(44))].into());
            assert_eq!(first.shut_out, [out].into());
            assert_eq!(first.over_quota, None, "the others fit");
            let again = cuts(&of, &seats, day(at_most(2)), &planned(&first), at(30));
            assert_eq!(again, first);
        }
        seats[0].let_in = true;
        let active = agreement(AgreementState::Active);
        let back = cuts(&active, &seats, day(at_most(3)), &BTreeMap::new(), at(31));
        assert_eq!(back, Cuts::default());
    }

    #[test]
    fn what_is_in_a_region_that_the_plan_has_not_goes_beyond_it() {
        let seats = [seat(1, 1, "us-east-1", true), seat(2, 1, "eu-west-1", true)];
        let regions = ["eu-west-1".parse().unwrap()].into();
        let granted = Granted {
            regions: Some(&regions),
            ..day(at_most(1))
        };
        assert_eq!(surplus(&seats, granted), [seats[0].connection]);
    }

    proptest! {
        #[test]
        fn what_stays_fits_and_nothing_goes_that_would(
            places in proptest::collection::vec((1..3_u128, 0..3_usize, any::<bool>()), 0..20),
            connections in proptest::option::of(0..6_u32), endpoints in proptest::option::of(0..6_u32), regions in proptest::option::of(0..3_u32),
        ) {
            let names = ["eu-west-1", "us-east-1", "eu-central-1"];
            let seats: Vec<Seat> = (1_u128..).zip(&places).map(|(n, (service, region, live))| seat(n, *service, names[*region], *live)).collect();
            let quotas = Quotas { max_connections: connections, max_endpoints: endpoints, max_regions: regions, max_mb_month: None };
            let over = surplus(&seats, day(quotas));
            let mut stays: Vec<&Seat> = Vec::new();
            for seat in seats.iter().filter(|seat| seat.live) {
                let with: Vec<&Seat> = stays.iter().copied().chain([seat]).collect();
                let on_service = with.iter().filter(|one| one.service == seat.service).count();
                let in_regions: BTreeSet<&str> = with.iter().map(|one| one.region.as_str()).collect();
                let within = |most: Option<u32>, count: usize| most.is_none_or(|most| count <= most as usize);
                let fits = within(connections, with.len()) && within(endpoints, on_service) && within(regions, in_regions.len());
                prop_assert_eq!(fits, !over.contains(&seat.connection));
                if fits {
                    stays = with;
                }
            }
            let mut used = InUse::default();
            for seat in stays {
                used.add(seat.service, &seat.region);
            }
            prop_assert!(connections.is_none_or(|most| used.connections() <= most));
            prop_assert!(regions.is_none_or(|most| used.regions.len() <= most as usize));
            prop_assert!(endpoints.is_none_or(|most| used.services.values().all(|count| *count <= most)));
        }
    }
}
