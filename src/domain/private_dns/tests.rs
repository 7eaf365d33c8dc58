use chrono::{DateTime, TimeDelta, Utc};

use super::*;

const NAME: &str = "api.example.com";
const VALUE: &str = "vpce:AbCdEf0123456789";

fn shown(state: Option<&str>) -> PrivateDnsName {
    PrivateDnsName {
        name: NAME.to_owned(),
        state: state.map(str::to_owned),
        txt_name: Some("_label".to_owned()),
        txt_value: Some(VALUE.to_owned()),
    }
}

fn hidden() -> PrivateDnsName {
    PrivateDnsName {
        txt_name: None,
        txt_value: None,
        ..shown(None)
    }
}

fn at(minutes: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes)
}

const PACE: Pace = Pace {
    hidden: TimeDelta::seconds(3),
    poll: TimeDelta::minutes(1),
    settle: TimeDelta::minutes(1),
    retry: TimeDelta::minutes(30),
    recheck: TimeDelta::hours(24),
};

/// The whole table of docs/workflow.md.
#[test]
fn every_state_is_as_the_table_says() {
    use DnsState as S;
    for (aws, fresh, fresh_visible, once_verified) in [
        (Some("verified"), S::Verified, S::Verified, S::Verified),
        (
            Some("pendingVerification"),
            S::WaitingForRecord,
            S::Verifying,
            S::Regressed,
        ),
        (Some("failed"), S::Failed, S::Failed, S::Regressed),
        (None, S::WaitingForRecord, S::Verifying, S::Regressed),
        (
            Some("someNewWord"),
            S::WaitingForRecord,
            S::Verifying,
            S::Regressed,
        ),
    ] {
        let name = shown(aws);
        assert_eq!(state(Some(&name), false, false), fresh, "{aws:?}");
        assert_eq!(state(Some(&name), false, true), fresh_visible, "{aws:?}");
        for visible in [false, true] {
            assert_eq!(state(Some(&name), true, visible), once_verified, "{aws:?}");
        }
    }
    for (was_verified, visible) in [(false, false), (false, true), (true, false), (true, true)] {
        assert_eq!(state(None, was_verified, visible), S::None);
    }
}

#[test]
fn names_that_aws_takes_pass_and_others_are_refused_with_the_reason() {
    let long = format!("{}.example.com", "a".repeat(63));
    for name in ["api.example.com", "*.example.com", "a-1.b.co", &long] {
        assert_eq!(refusal(name), None, "{name}");
    }
    let label = format!("{}.example.com", "a".repeat(64));
    let whole = format!("{}com", "abcdefgh.".repeat(29));
    for (name, word) in [
        ("API.example.com", "lower case"),
        ("api.*.example.com", "wildcard"),
        ("**.example.com", "wildcard"),
        ("api.example.com.", "dot"),
        ("example", "two parts"),
        ("*.com", "two parts"),
        ("api..com", "63"),
        ("", "63"),
        (label.as_str(), "63"),
        (whole.as_str(), "255"),
        ("-api.example.com", "hyphens"),
        ("api_1.example.com", "hyphens"),
        ("bücher.example.com", "hyphens"),
    ] {
        let why = refusal(name).unwrap_or("taken");
        assert!(why.contains(word), "{name}: {why}");
    }
}

#[test]
fn the_record_is_below_the_domain_without_its_wildcard() {
    let told = record(&shown(None)).unwrap();
    assert_eq!(told.name, "_label.api.example.com");
    assert_eq!(
        (told.label.as_str(), told.value.as_str()),
        ("_label", VALUE)
    );
    let wildcard = PrivateDnsName {
        name: "*.example.com".to_owned(),
        ..shown(None)
    };
    assert_eq!(record(&wildcard).unwrap().name, "_label.example.com");
    // Should AWS give the whole name, the domain is not put behind it twice.
    let whole = PrivateDnsName {
        txt_name: Some("_label.api.example.com.".to_owned()),
        ..shown(None)
    };
    let whole = record(&whole).map(|record| record.name);
    assert_eq!(whole.as_deref(), Some("_label.api.example.com"));
    assert_eq!(record(&hidden()), None);
}

/// What [`judge`] says when these names hold these values and all others hold none.
fn found(name: &str, holding: &[(&str, &str)]) -> (RecordFinding, String) {
    let shown = PrivateDnsName {
        name: name.to_owned(),
        ..shown(None)
    };
    let record = record(&shown).unwrap();
    let answers = places(name, &record)
        .into_iter()
        .map(|place| {
            let values = holding.iter().filter(|(at, _)| *at == place);
            let values: Vec<String> = values.map(|(_, value)| (*value).to_owned()).collect();
            (place, Ok(values))
        })
        .collect();
    judge(name, &record, &answers)
}

#[test]
fn each_mistake_is_told_from_the_others() {
    let lower = VALUE.to_ascii_lowercase();
    let own = "_label.api.example.com";
    for (holding, finding, word) in [
        (vec![(own, VALUE)], RecordFinding::Found, own),
        (
            vec![(own, "v=spf1"), (own, VALUE)],
            RecordFinding::Found,
            own,
        ),
        (vec![(NAME, VALUE)], RecordFinding::FoundAtApex, NAME),
        (
            vec![("_label.example.com", VALUE)],
            RecordFinding::FoundAtParent,
            "_label.example.com",
        ),
        (
            vec![("example.com", VALUE)],
            RecordFinding::FoundAtParent,
            "example.com",
        ),
        (vec![], RecordFinding::Missing, "no TXT record"),
        (
            vec![(own, "vpce:else")],
            RecordFinding::WrongValue,
            "\"vpce:else\"",
        ),
        (
            vec![(NAME, "v=spf1")],
            RecordFinding::Missing,
            "no TXT record",
        ),
        (
            vec![(own, lower.as_str())],
            RecordFinding::LowerCased,
            "another case",
        ),
        (
            vec![(NAME, lower.as_str())],
            RecordFinding::LowerCased,
            NAME,
        ),
        (
            vec![("_label.api.example.com.example.com", VALUE)],
            RecordFinding::ZoneAppendedTwice,
            "twice",
        ),
        (
            vec![("_label.api.example.com.api.example.com", VALUE)],
            RecordFinding::ZoneAppendedTwice,
            "twice",
        ),
    ] {
        let (told, evidence) = found(NAME, &holding);
        assert_eq!(told, finding, "{holding:?}: {evidence}");
        assert!(evidence.contains(word), "{holding:?}: {evidence}");
    }
    let (told, _) = found("*.example.com", &[("_label.example.com", VALUE)]);
    assert_eq!(
        told,
        RecordFinding::Found,
        "a wildcard is proven by its domain"
    );
}

#[test]
fn a_resolver_that_does_not_answer_says_nothing_about_the_record() {
    let record = record(&shown(None)).unwrap();
    let answers = vec![(record.name.clone(), Err("request timed out".to_owned()))];
    let (finding, evidence) = judge(NAME, &record, &answers);
    assert_eq!(finding, RecordFinding::Unreachable);
    assert!(evidence.contains("timed out"), "{evidence}");
    let mut watch = Watch::of(None, &shown(Some("pendingVerification")), at(0));
    watch.probed((RecordFinding::Found, String::new()), at(1));
    watch.probed((finding, evidence), at(2));
    assert_eq!(watch.visible_since, Some(at(1)));
}

/// A name's life: hidden, awaited, visible, verified, lost, back.
#[test]
fn a_watch_goes_from_waiting_to_verified_and_regresses() {
    let pending = shown(Some("pendingVerification"));
    let mut watch = Watch::of(None, &hidden(), at(0));
    watch.settle(&hidden(), at(0));
    assert!(!watch.probe_is_due(&PACE, at(60)) && !watch.start_is_due(&PACE, at(60)));
    assert_eq!(watch.next_look(&PACE, at(0)), at(0) + PACE.hidden);

    watch = Watch::of(Some(&watch), &pending, at(1));
    assert!(watch.record.is_some() && watch.probe_is_due(&PACE, at(1)));
    watch.probed((RecordFinding::Missing, String::new()), at(1));
    watch.settle(&pending, at(1));
    assert_eq!(watch.state, DnsState::WaitingForRecord);
    assert!(!watch.probe_is_due(&PACE, at(1)) && watch.probe_is_due(&PACE, at(2)));
    assert!(!watch.start_is_due(&PACE, at(2)), "nothing to be seen yet");

    watch.probed((RecordFinding::Found, String::new()), at(2));
    watch.settle(&pending, at(2));
    assert_eq!((watch.state, watch.since), (DnsState::Verifying, at(2)));
    assert!(!watch.start_is_due(&PACE, at(2)) && watch.start_is_due(&PACE, at(3)));
    watch.started(None, at(3));
    assert!(!watch.start_is_due(&PACE, at(32)) && watch.start_is_due(&PACE, at(33)));

    let verified = shown(Some("verified"));
    watch = Watch::of(Some(&watch), &verified, at(4));
    watch.settle(&verified, at(4));
    assert_eq!(watch.state, DnsState::Verified);
    assert!(
        !watch.start_is_due(&PACE, at(100_000)),
        "nothing to ask for"
    );
    assert!(!watch.probe_is_due(&PACE, at(60)) && watch.probe_is_due(&PACE, at(2 + 24 * 60)));

    watch = Watch::of(Some(&watch), &pending, at(600));
    watch.settle(&pending, at(600));
    assert_eq!(watch.state, DnsState::Regressed);
    assert!(watch.probe_is_due(&PACE, at(600)), "at once");
    watch.probed((RecordFinding::Missing, String::new()), at(600));
    watch.settle(&pending, at(600));
    assert_eq!(
        (watch.state, watch.visible_since),
        (DnsState::Regressed, None)
    );
    watch.probed((RecordFinding::Found, String::new()), at(601));
    assert!(watch.start_is_due(&PACE, at(602)));
}

/// Our own view of DNS may be worse than AWS's: it is asked all the same, rarely.
#[test]
fn aws_is_asked_on_the_slow_schedule_also_when_the_record_cannot_be_seen() {
    let mut watch = Watch::of(None, &shown(Some("pendingVerification")), at(0));
    watch.probed((RecordFinding::Missing, String::new()), at(0));
    assert!(!watch.start_is_due(&PACE, at(29)) && watch.start_is_due(&PACE, at(30)));
    watch.started(None, at(30));
    assert!(!watch.start_is_due(&PACE, at(59)) && watch.start_is_due(&PACE, at(60)));
    // What becomes visible in between does not wait for the slow schedule.
    watch.probed((RecordFinding::FoundAtApex, String::new()), at(31));
    assert!(watch.start_is_due(&PACE, at(32)));
}

#[test]
fn a_record_that_stays_away_is_looked_for_ever_more_rarely() {
    let mut watch = Watch::of(None, &shown(Some("pendingVerification")), at(0));
    for (minute, next) in [(0, 1), (10, 11), (100, 105), (6_000, 6_030)] {
        watch.probed((RecordFinding::Missing, String::new()), at(minute));
        watch.started(None, at(minute - 3));
        assert!(!watch.probe_is_due(&PACE, at(next) - TimeDelta::seconds(1)));
        assert!(watch.probe_is_due(&PACE, at(next)), "{minute}");
    }
}

#[test]
fn another_name_or_another_record_starts_anew() {
    let verified = shown(Some("verified"));
    let mut watch = Watch::of(None, &verified, at(0));
    watch.settle(&verified, at(0));
    assert!(watch.was_verified);
    let same = Watch::of(Some(&watch), &hidden(), at(1));
    assert!(
        same.was_verified && same.record.is_some(),
        "hidden is not gone"
    );
    let renamed = PrivateDnsName {
        name: "other.example.com".to_owned(),
        ..shown(Some("pendingVerification"))
    };
    let set_again = PrivateDnsName {
        txt_value: Some("vpce:another".to_owned()),
        ..shown(Some("pendingVerification"))
    };
    for fresh in [renamed, set_again] {
        let fresh = Watch::of(Some(&watch), &fresh, at(1));
        assert!(!fresh.was_verified && fresh.named_at == at(1), "{fresh:?}");
    }
}
