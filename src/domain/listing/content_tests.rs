//! What a content and its plans may say, and what of them may not change.

use serde_json::{Value, json};

use super::content_rules::{limits, missing};
use super::testing::{complete, content};
use super::*;

#[test]
fn a_complete_content_passes_and_reads_back_as_itself() {
    let whole = content(complete());
    assert_eq!(limits(&whole, "content"), []);
    assert_eq!(missing(&whole, "content"), []);
    assert_eq!(
        serde_json::from_value::<ListingContent>(serde_json::to_value(&whole).unwrap()).unwrap(),
        whole
    );
}

/// Puts a value at a place, or takes what is there away.
fn with(place: &str, value: Value) -> ListingContent {
    let mut whole = complete();
    let (parent, member) = place.rsplit_once('/').unwrap();
    let parent = whole.pointer_mut(parent).unwrap();
    match (parent, value) {
        (Value::Object(members), Value::Null) => drop(members.remove(member)),
        (Value::Object(members), value) => drop(members.insert(member.to_owned(), value)),
        (Value::Array(items), value) => items[member.parse::<usize>().unwrap()] = value,
        (other, _) => panic!("{other}"),
    }
    content(whole)
}

fn blamed(wrong: &[Wrong]) -> Vec<&str> {
    wrong.iter().map(|one| one.field.as_str()).collect()
}

#[test]
fn what_is_too_long_or_out_of_shape_is_blamed_by_its_path() {
    let long = |n: usize| json!("x".repeat(n));
    for (place, value, field) in [
        ("/title", long(73), "title"),
        ("/title", json!(" "), "title"),
        ("/title", json!("two\nlines"), "title"),
        ("/short", long(1001), "short"),
        ("/long", long(5001), "long"),
        ("/highlights", json!([long(501)]), "highlights[0]"),
        ("/highlights", json!(["a", "b", "c", "d"]), "highlights"),
        ("/keywords", json!(vec![long(51)]), "keywords[0]"),
        ("/keywords", json!(["ledger", "Ledger"]), "keywords[1]"),
        ("/categories", json!(["a", "b", "c", "d"]), "categories"),
        (
            "/usage_instructions",
            json!("![x](https://a.example)"),
            "usage_instructions",
        ),
        ("/logo_url", json!("http://provider.example/x"), "logo_url"),
        (
            "/video_url",
            json!("https://user:pw@provider.example/x"),
            "video_url",
        ),
        (
            "/fulfilment_url",
            json!("https://localhost/"),
            "fulfilment_url",
        ),
        ("/support_url", json!("javascript:alert(1)"), "support_url"),
        ("/support_email", json!("nobody"), "support_email"),
        ("/refund_policy", json!("après"), "refund_policy"),
        ("/eula/version", json!("2020-01-01"), "eula.version"),
        (
            "/eula",
            json!({ "kind": "custom", "url": "https://a.example/terms.html" }),
            "eula.url",
        ),
        (
            "/resources/0/url",
            json!("ftp://a.example"),
            "resources[0].url",
        ),
        (
            "/services/0/ports/0/port",
            json!(0),
            "services[0].ports[0].port",
        ),
        (
            "/services/0/user_friendly_dns",
            json!("UPPER.example"),
            "services[0].user_friendly_dns",
        ),
        (
            "/services/0/acm_certificate_arn",
            json!("arn:aws:iam::1:x"),
            "services[0].acm_certificate_arn",
        ),
    ] {
        assert_blamed(place, value, field);
    }
}

/// Asserts that another value at a place is blamed.
fn assert_blamed(place: &str, value: Value, field: &str) {
    let wrong = limits(&with(place, value), "content");
    let field = format!("content.{field}");
    assert!(
        blamed(&wrong).contains(&field.as_str()),
        "{place}: {wrong:?}"
    );
}

#[test]
fn what_is_out_of_shape_in_a_plan_is_blamed_by_its_path() {
    for (place, value, field) in [
        ("/plans/0/name", json!(""), "plans[0].name"),
        (
            "/plans/0/dimensions/0/key",
            json!("a b"),
            "plans[0].dimensions[0].key",
        ),
        (
            "/plans/0/dimensions/0/types",
            json!([]),
            "plans[0].dimensions[0].types",
        ),
        (
            "/plans/0/dimensions/0/types",
            json!(["metered", "externally_metered"]),
            "plans[0].dimensions[0].types",
        ),
        (
            "/plans/0/rate_cards/1/term",
            json!("P1M"),
            "plans[0].rate_cards[1].term",
        ),
        (
            "/plans/0/rate_cards/0/rates/0/dimension",
            json!("nothing"),
            "plans[0].rate_cards[0].rates[0].dimension",
        ),
        (
            "/plans/0/rate_cards/0/rates/0/dimension",
            json!("gb_processed"),
            "plans[0].rate_cards[0].rates[0].dimension",
        ),
        (
            "/plans/0/rate_cards/0/rates/0/price",
            json!("1.001"),
            "plans[0].rate_cards[0].rates[0].price",
        ),
        ("/plans/0/trial_days", json!(6), "plans[0].trial_days"),
        (
            "/plans/0/quotas/max_endpoints",
            json!(0),
            "plans[0].quotas.max_endpoints",
        ),
        (
            "/plans/0/grace/expired",
            json!(7_776_001),
            "plans[0].grace.expired",
        ),
        (
            "/plans/0/approval/seconds",
            json!(0),
            "plans[0].approval.seconds",
        ),
        ("/plans/0/regions", json!([]), "plans[0].regions"),
        (
            "/plans/0/agreement_required",
            json!(false),
            "plans[0].agreement_required",
        ),
    ] {
        assert_blamed(place, value, field);
    }
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let empty = ListingContent::default();
    assert_eq!(blamed(&limits(&empty, "content")), ["content.title"]);
    assert_eq!(missing(&empty, "content").len(), 13);
}

#[test]
fn a_plan_has_each_price_that_could_be_owed_and_no_other() {
    for (place, value, field) in [
        ("/plans/0/currency", Value::Null, "plans[0].currency"),
        ("/plans/0/pricing_model", json!("free"), "plans[0].currency"),
        (
            "/plans/0/pricing_model",
            json!("usage"),
            "plans[0].rate_cards[0]",
        ),
        (
            "/plans/0/pricing_model",
            json!("contract"),
            "plans[0].rate_cards[2]",
        ),
        ("/plans/0/rate_cards", json!([]), "plans[0].rate_cards"),
        (
            "/plans/0/rate_cards/1/rates",
            json!([]),
            "plans[0].rate_cards[1].rates",
        ),
        ("/plans/0/dimensions", json!([]), "plans[0].dimensions"),
        ("/services/0/ports", json!([]), "services[0].ports"),
        (
            "/services/0/acceptance",
            json!("open"),
            "services[0].acceptance",
        ),
    ] {
        let wrong = missing(&with(place, value), "content");
        assert!(
            blamed(&wrong).contains(&format!("content.{field}").as_str()),
            "{place}: {wrong:?}"
        );
    }
    let free = with(
        "/plans",
        json!([{ "name": "Free", "pricing_model": "free", "agreement_required": false }]),
    );
    assert_eq!(
        (limits(&free, "content"), missing(&free, "content")),
        (vec![], vec![])
    );
}

#[test]
fn prices_are_strings_and_currencies_can_be_paid_in() {
    for (place, value, said) in [
        (
            "/plans/0/rate_cards/0/rates/0/price",
            json!(12.5),
            "a decimal string such as \"12.5\", not the JSON number",
        ),
        ("/plans/0/currency", json!("XXZ"), "ISO 4217"),
    ] {
        let mut whole = complete();
        *whole.pointer_mut(place).unwrap() = value;
        let refusal = serde_json::from_value::<ListingContent>(whole)
            .unwrap_err()
            .to_string();
        assert!(refusal.contains(said), "{refusal}");
    }
}

#[test]
fn what_agreements_are_bound_to_does_not_change_once_it_was_live() {
    let live = content(complete());
    let check = |next: &ListingContent| continuity::broken(next, |id| live.plan(id), "content");
    assert_eq!(check(&live), []);
    for (place, value) in [
        ("/plans/0/rate_cards/0/rates/0/price", json!("99.00")),
        ("/plans/0/trial_days", Value::Null),
        ("/plans/0/name", json!("Another name")),
    ] {
        assert_eq!(check(&with(place, value)), [], "{place}");
    }
    for (place, value, field) in [
        ("/plans/0/pricing_model", json!("usage"), "pricing_model"),
        ("/plans/0/currency", json!("USD"), "currency"),
        ("/plans/0/dimensions/0/key", json!("seat"), "dimensions"),
        (
            "/plans/0/dimensions/0/types",
            json!(["metered"]),
            "dimensions[0].types",
        ),
        (
            "/plans/0/dimensions/0/unit",
            json!("Users"),
            "dimensions[0].unit",
        ),
    ] {
        let wrong = check(&with(place, value));
        assert_eq!(
            blamed(&wrong),
            [format!("content.plans[0].{field}")],
            "{place}"
        );
    }
    let other = with("/plans/0/id", json!("pln_00000000000000000000000000000002"));
    assert_eq!(check(&other), [], "another plan");
}
