//! Which calls a fault befalls, and how often.

use super::*;

fn call(action: &str, account: &str) -> Call {
    Call {
        api: Api::Ec2,
        action: action.to_owned(),
        account: account.parse().unwrap(),
        region: "eu-west-1".parse().unwrap(),
        ids: Vec::new(),
        unfiltered: false,
    }
}

#[test]
fn a_fault_planned_once_happens_once() {
    let faults = Faults::default();
    faults.plan(Fault::once("Describe*", Effect::Throttle));
    assert!(
        faults
            .befall(&call("CreateVpc", "111111111111"))
            .before
            .is_none()
    );
    let error = faults.befall(&call("DescribeVpcs", "111111111111")).before;
    assert_eq!(
        error.map(|e| (e.code, e.status)),
        Some(("RequestLimitExceeded".to_owned(), 503))
    );
    assert!(
        faults
            .befall(&call("DescribeVpcs", "111111111111"))
            .before
            .is_none()
    );
    assert!(faults.list().is_empty());
}

#[test]
fn a_fault_of_one_account_spares_the_others() {
    let faults = Faults::default();
    let fault = Fault::always("*", Effect::DenyAction).for_account("222222222222".parse().unwrap());
    faults.plan(fault);
    assert!(
        faults
            .befall(&call("CreateVpc", "111111111111"))
            .before
            .is_none()
    );
    assert!(
        faults
            .befall(&call("CreateVpc", "222222222222"))
            .before
            .is_some()
    );
}

#[test]
fn a_planned_refusal_is_a_client_error() {
    let faults = Faults::default();
    let fault: Fault = serde_json::from_str(r#"{"effect":"refuse"}"#).unwrap();
    assert_eq!(fault.check(), Ok(()));
    faults.plan(fault);
    let plan = faults.befall(&call("CreateVpc", "111111111111"));
    let error = plan.before.map(|e| (e.code, e.status));
    assert_eq!(error, Some(("InvalidParameter".to_owned(), 400)));
    assert!(plan.after.is_none() && plan.broken.is_none());
}

#[test]
fn skipped_calls_pass() {
    let faults = Faults::default();
    faults.plan(Fault {
        skip: 2,
        ..Fault::once("CreateVpc", Effect::DropAnswer)
    });
    let hit: Vec<bool> = (0..4)
        .map(|_| {
            faults
                .befall(&call("CreateVpc", "111111111111"))
                .broken
                .is_some()
        })
        .collect();
    assert_eq!(hit, [false, false, true, false]);
}

#[test]
fn two_faults_on_one_action_befall_two_calls() {
    let faults = Faults::default();
    faults.plan(Fault::once("CreateVpc", Effect::Throttle));
    faults.plan(Fault::once("CreateVpc", Effect::DropAnswer));
    let first = faults.befall(&call("CreateVpc", "111111111111"));
    assert!(first.before.is_some() && first.broken.is_none());
    assert!(
        faults
            .befall(&call("CreateVpc", "111111111111"))
            .broken
            .is_some()
    );
}

#[test]
fn faults_are_read_from_json_as_documented() {
    let fault: Fault = serde_json::from_str(
        r#"{"action":"AcceptVpcEndpointConnections","times":2,"effect":"error_after","status":503,"code":"Unavailable"}"#,
    )
    .unwrap();
    assert_eq!(fault.times, Some(2));
    assert_eq!(
        fault.effect,
        Effect::ErrorAfter {
            status: 503,
            code: "Unavailable".into()
        }
    );
}

#[test]
fn a_fault_on_notifications_spares_calls_and_counts_events() {
    let faults = Faults::default();
    faults.plan(Fault::once("Accept", Effect::LoseNotification));
    faults.plan(Fault::once("*", Effect::DelayNotification { delay_ms: 7 }));
    assert!(befall_nothing(&faults));
    let event = |event: &str| ConnectionEvent {
        topic_arn: "arn:aws:sns:eu-west-1:111111111111:t".into(),
        event: event.into(),
        service_id: "vpce-svc-0aaaaaaaaaaaaaaaa".parse().unwrap(),
        endpoint_id: "vpce-0aaaaaaaaaaaaaaaa".parse().unwrap(),
        time: chrono::DateTime::UNIX_EPOCH,
        account: "111111111111".parse().unwrap(),
        region: "eu-west-1".parse().unwrap(),
    };
    assert_eq!(faults.befall_notification(&event("Accept")), Fate::Lost);
    assert_eq!(faults.befall_notification(&event("Accept")), Fate::Late(7));
    assert_eq!(
        faults.befall_notification(&event("Accept")),
        Fate::Delivered
    );
    assert!(faults.list().is_empty());
}

fn befall_nothing(faults: &Faults) -> bool {
    let plan = faults.befall(&call("Accept", "111111111111"));
    plan.before.is_none() && plan.after.is_none()
}

fn read(text: &str) -> Result<Fault, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

#[test]
fn a_misspelt_member_is_refused_by_name() {
    for (text, name) in [
        (r#"{"effect":"throttle","tymes":1}"#, "`tymes`"),
        (r#"{"effect":"throttle","status":503}"#, "`status`"),
        (r#"{"effect":"slow","delay_ms":1,"wen":"after"}"#, "`wen`"),
        (r#"{"effect":"slow","when":"after"}"#, "`delay_ms`"),
        (
            r#"{"effect":"slow","delay_ms":1,"when":"never"}"#,
            "`never`",
        ),
        (r#"{"effect":"slwo"}"#, "`slwo`"),
        (r#"{"action":"CreateVpc"}"#, "`effect`"),
        (r#"{"effect":"throttle","times":-1}"#, "-1"),
        (r#"{"effect":"throttle","account":"12"}"#, "account"),
    ] {
        let why = read(text).unwrap_err();
        assert!(why.contains(name), "{text}: {why}");
    }
}

#[test]
fn a_fault_reads_back_as_it_is_written() {
    for effect in [
        Effect::Throttle,
        Effect::Truncate,
        Effect::Garbled,
        Effect::Reset { when: When::Before },
        Effect::Slow {
            delay_ms: 5,
            when: When::After,
        },
        Effect::DelayNotification { delay_ms: 1 },
    ] {
        let fault = Fault {
            probability: Some(0.25),
            about: Some("vpce-*".to_owned()),
            ..Fault::once("*", effect)
        };
        let text = serde_json::to_string(&fault).unwrap();
        assert_eq!(read(&text).unwrap(), fault);
    }
}

#[test]
fn a_fault_that_can_never_happen_is_found() {
    let fine = Fault::once("Describe*", Effect::Throttle);
    assert_eq!(fine.check(), Ok(()));
    let slow = |delay_ms| Effect::Slow {
        delay_ms,
        when: When::Before,
    };
    let forced = Effect::PartialUnsuccessful {
        resource_id: "vpce-0aaaaaaaaaaaaaaaa".to_owned(),
        code: "Sorry".to_owned(),
        message: String::new(),
    };
    for (pattern, effect) in [
        ("*", forced.clone()),
        ("Delete*", forced.clone()),
        ("Describe*", Effect::StaleReads { lag_ms: 5 }),
    ] {
        assert_eq!(Fault::once(pattern, effect).check(), Ok(()), "{pattern}");
    }
    for about in ["*", "vp?e-svc-0*", "vpce-0aaaaaaaaaaaaaaaa"] {
        let fault = Fault {
            about: Some(about.to_owned()),
            ..fine.clone()
        };
        assert_eq!(fault.check(), Ok(()), "{about}");
    }
    let error = |status: u16, code: &str| Effect::ErrorBefore {
        status,
        code: code.to_owned(),
    };
    for (fault, why) in [
        (
            Fault {
                probability: Some(2.0),
                ..fine.clone()
            },
            "probability 2",
        ),
        (
            Fault {
                probability: Some(f64::NAN),
                ..fine.clone()
            },
            "probability NaN",
        ),
        (
            Fault {
                times: Some(0),
                ..fine.clone()
            },
            "times 0",
        ),
        (
            Fault::once("AcceptVpcEndpointConections", Effect::Throttle),
            "AcceptVpcEndpointConections",
        ),
        (
            Fault::once("CreateVpc", Effect::LoseNotification),
            "Connect",
        ),
        (
            Fault::once("DescribeVpcEndpointConnections", forced.clone()),
            "AcceptVpcEndpointConnections",
        ),
        (
            Fault::once("Accept*", Effect::StaleReads { lag_ms: 5 }),
            "does not read",
        ),
        (
            Fault {
                about: Some("edge of the world".to_owned()),
                ..fine.clone()
            },
            "about edge",
        ),
        (
            Fault {
                about: Some("vpc-*".to_owned()),
                ..fine.clone()
            },
            "about vpc-",
        ),
        (Fault::once("*", error(200, "OK")), "status 200"),
        (Fault::once("*", error(500, "")), "code"),
        (Fault::once("*", slow(600_001)), "600001"),
    ] {
        assert!(fault.check().unwrap_err().contains(why), "{why}");
    }
}

fn struck(seed: u64, probability: f64) -> Vec<bool> {
    let faults = Faults::seeded(seed);
    faults.plan(Fault {
        probability: Some(probability),
        ..Fault::always("*", Effect::Throttle)
    });
    let call = call("CreateVpc", "111111111111");
    (0..1_000)
        .map(|_| faults.befall(&call).before.is_some())
        .collect()
}

#[test]
fn chance_is_about_as_likely_as_asked_and_the_same_for_the_same_seed() {
    let struck_often = struck(7, 0.3);
    let hits = struck_often.iter().filter(|hit| **hit).count();
    assert!((250..350).contains(&hits), "{hits}");
    assert_eq!(struck(7, 0.3), struck_often);
    assert_ne!(struck(8, 0.3), struck_often);
    assert!(struck(7, 1.0).iter().all(|hit| *hit));
    assert!(!struck(7, 0.0).iter().any(|hit| *hit));
}

#[test]
fn a_fault_about_an_id_spares_calls_that_do_not_name_it() {
    let faults = Faults::default();
    faults.plan(Fault {
        about: Some("vpce-0a*".to_owned()),
        ..Fault::once("*", Effect::Throttle)
    });
    let mut other = call("CreateTags", "111111111111");
    other.ids = vec!["vpce-0bbbbbbbbbbbbbbbb".to_owned()];
    assert!(faults.befall(&other).before.is_none());
    other.ids.push("vpce-0aaaaaaaaaaaaaaaa".to_owned());
    assert!(faults.befall(&other).before.is_some());
}

#[test]
fn slowness_adds_to_other_trouble() {
    let faults = Faults::default();
    for when in [When::Before, When::Before, When::After] {
        let slow = Effect::Slow { delay_ms: 20, when };
        faults.plan(Fault::once("*", slow));
    }
    faults.plan(Fault::once("*", Effect::Throttle));
    faults.plan(Fault::once("*", Effect::Truncate));
    let plan = faults.befall(&call("CreateVpc", "111111111111"));
    assert_eq!(plan.slow_before, Duration::from_millis(40));
    assert_eq!(plan.slow_after, Duration::from_millis(20));
    assert!(plan.before.is_some() && plan.broken.is_none());
    assert_eq!(
        faults.list().len(),
        1,
        "the other answer waits for the next call"
    );
}

#[test]
fn a_fault_on_every_other_call_lets_the_second_try_through() {
    let faults = Faults::default();
    faults.plan(Fault {
        every: Some(2),
        skip: 1,
        ..Fault::always("CreateVpc", Effect::Throttle)
    });
    let hit: Vec<bool> = (0..6)
        .map(|_| {
            faults
                .befall(&call("CreateVpc", "111111111111"))
                .before
                .is_some()
        })
        .collect();
    assert_eq!(hit, [false, true, false, true, false, true]);
    let never = Fault {
        every: Some(0),
        ..Fault::always("CreateVpc", Effect::Throttle)
    };
    assert!(never.check().is_err());
}
