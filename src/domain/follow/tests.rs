use super::*;

fn service(n: u8) -> ServiceId {
    format!("vpce-svc-{n:017x}").parse().unwrap()
}

fn endpoint(n: u32) -> VpcEndpointId {
    format!("vpce-{n:017x}").parse().unwrap()
}

fn named(services: &[u8], endpoints: &[u32]) -> Named {
    Named {
        services: services.iter().map(|n| service(*n)).collect(),
        endpoints: endpoints.iter().map(|n| endpoint(*n)).collect(),
    }
}

/// Services 1 and 2 are registered; endpoint 1 is known on service 1.
fn known() -> Known {
    Known {
        registered: BTreeSet::from([service(1), service(2)]),
        endpoints: HashMap::from([(endpoint(1), vec![service(1)])]),
    }
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_764_000_000 + seconds, 0).unwrap()
}

fn hint(named: Named, looks: i32) -> Waiting {
    Waiting {
        id: Uuid::nil(),
        named,
        received_at: at(0),
        looks,
        seen: false,
    }
}

fn looked(services: &[u8], shown: &[(u32, ConnectionState)]) -> Looked {
    Looked {
        services: services.iter().map(|n| service(*n)).collect(),
        shown: shown
            .iter()
            .map(|(n, state)| (endpoint(*n), state.clone()))
            .collect(),
        listed_at: None,
    }
}

#[test]
fn a_hint_is_looked_for_where_it_can_be() {
    let on = |e: u32, services: &[u8]| {
        (
            endpoint(e),
            services.iter().map(|n| service(*n)).collect::<Vec<_>>(),
        )
    };
    let everything = Target {
        everything: true,
        ..Target::default()
    };
    for (names, wanted) in [
        // Service and endpoint, known or not.
        (
            named(&[2], &[9]),
            Target {
                endpoints: vec![on(9, &[2])],
                ..Target::default()
            },
        ),
        // What we know is more than what the message says.
        (
            named(&[2], &[1]),
            Target {
                endpoints: vec![on(1, &[1])],
                ..Target::default()
            },
        ),
        (
            named(&[], &[1]),
            Target {
                endpoints: vec![on(1, &[1])],
                ..Target::default()
            },
        ),
        // Which endpoint belongs to which service is not said.
        (
            named(&[1, 2], &[9]),
            Target {
                endpoints: vec![on(9, &[1, 2])],
                ..Target::default()
            },
        ),
        (
            named(&[1, 7], &[]),
            Target {
                services: vec![service(1)],
                ..Target::default()
            },
        ),
        (named(&[], &[9]), everything.clone()),
        (named(&[], &[]), everything),
        // Somebody else's services.
        (named(&[7], &[9]), Target::default()),
        (named(&[7], &[]), Target::default()),
    ] {
        assert_eq!(target(&names, &known()), wanted, "{names:?}");
    }
}

#[test]
fn what_several_hints_ask_for_is_read_once_and_as_many_at_a_time_as_a_filter_takes() {
    const MOST: usize = ConnectionFilter::MAX_ENDPOINTS;
    let mut reads = Reads::default();
    for n in 0..=2 * u32::try_from(MOST).unwrap() {
        let hint = target(&named(&[2], &[n + 1_000]), &known());
        reads.add(&hint);
        reads.add(&hint);
    }
    reads.add(&target(&named(&[], &[1]), &known()));
    let filters = reads.filters();
    let sizes: Vec<(ServiceId, usize)> = filters
        .into_iter()
        .map(|(service, filter)| match filter {
            ConnectionFilter::Endpoints(of, endpoints) if of == service => {
                (service, endpoints.len())
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        sizes,
        [
            (service(1), 1),
            (service(2), MOST),
            (service(2), MOST),
            (service(2), 1)
        ]
    );
}

#[test]
fn who_asks_for_a_whole_service_gets_the_others_endpoints_with_it() {
    let mut reads = Reads::default();
    for names in [named(&[1], &[9]), named(&[1], &[]), named(&[1], &[8])] {
        reads.add(&target(&names, &known()));
    }
    let wanted = (service(1), ConnectionFilter::Service(service(1)));
    assert_eq!(reads.filters(), [wanted]);
}

fn verdict(hint: &Waiting, looked: &Looked) -> Verdict {
    judge(hint, &target(&hint.named, &known()), looked, at(100)).0
}

#[test]
fn what_aws_shows_is_seen() {
    for state in [ConnectionState::PendingAcceptance, ConnectionState::Deleted] {
        let shown = looked(&[1], &[(9, state)]);
        let hint = hint(named(&[1], &[9]), 0);
        assert_eq!(verdict(&hint, &shown), Verdict::Done(FollowOutcome::Seen));
    }
}

/// On whichever of the services it turns up.
#[test]
fn one_of_several_services_is_enough_but_all_have_to_be_read() {
    let hint = hint(named(&[1, 2], &[9]), 0);
    let state = ConnectionState::PendingAcceptance;
    let both = looked(&[1, 2], &[(9, state.clone())]);
    assert_eq!(verdict(&hint, &both), Verdict::Done(FollowOutcome::Seen));
    let half = looked(&[1], &[(9, state)]);
    assert_eq!(verdict(&hint, &half), Verdict::List(at(101)));
}

#[test]
fn what_aws_does_not_show_yet_is_looked_for_again_and_then_left_to_the_sweep() {
    let nothing = looked(&[1], &[]);
    let mut pauses = Vec::new();
    for looks in 0..MOST_LOOKS {
        match verdict(&hint(named(&[1], &[9]), looks), &nothing) {
            Verdict::Again(then) => pauses.push((then - at(100)).num_seconds()),
            other => assert_eq!(
                (looks, other),
                (MOST_LOOKS - 1, Verdict::Done(FollowOutcome::Unseen))
            ),
        }
    }
    assert_eq!(pauses, [1, 2, 4, 8]);
}

#[test]
fn a_deletion_is_watched_to_its_end_for_a_while() {
    let deleting = looked(&[1], &[(9, ConnectionState::Deleting)]);
    let (names, target) = (named(&[1], &[9]), target(&named(&[1], &[9]), &known()));
    let first = judge(&hint(names.clone(), 0), &target, &deleting, at(100));
    assert_eq!(
        first,
        (Verdict::Again(at(101)), true),
        "and it counts as seen"
    );
    let last = judge(&hint(names, MOST_LOOKS - 1), &target, &deleting, at(100));
    assert_eq!(last.0, Verdict::Done(FollowOutcome::Seen));
}

#[test]
fn a_hint_that_says_nothing_waits_for_a_listing_that_began_after_it() {
    let hint = hint(named(&[], &[]), 0);
    let mut looked = looked(&[], &[]);
    assert_eq!(verdict(&hint, &looked), Verdict::List(at(101)));
    looked.listed_at = Some(at(0));
    assert_eq!(verdict(&hint, &looked), Verdict::List(at(101)));
    looked.listed_at = Some(at(1));
    assert_eq!(
        verdict(&hint, &looked),
        Verdict::Done(FollowOutcome::Listed)
    );
}

#[test]
fn a_hint_about_others_is_done_without_a_look() {
    let hint = hint(named(&[7], &[9]), 0);
    assert_eq!(
        verdict(&hint, &looked(&[], &[])),
        Verdict::Done(FollowOutcome::Elsewhere)
    );
}
