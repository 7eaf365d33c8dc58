//! `AssumeRole` over the wire: what a session may be asked to have, and what is refused because nothing would come of it.

use super::wire_tests::{Served, inside, serve};
use crate::Behavior;

impl Served {
    async fn assume(&self, more: &str) -> (u16, String) {
        let form = format!(
            "Version=2011-06-15&Action=AssumeRole&RoleSessionName=test\
             &RoleArn=arn%3Aaws%3Aiam%3A%3A222222222222%3Arole%2Fportcullis{more}"
        );
        self.raw("111111111111", "sts", form.into_bytes()).await
    }
}

const NARROWER: [(&str, &str); 4] = [
    ("Policy", "&Policy=%7B%7D"),
    (
        "PolicyArns",
        "&PolicyArns.member.1.arn=arn%3Aaws%3Aiam%3A%3Aaws%3Apolicy%2FReadOnlyAccess",
    ),
    ("Tags", "&Tags.member.1.Key=a&Tags.member.1.Value=b"),
    ("TransitiveTagKeys", "&TransitiveTagKeys.member.1=a"),
];

#[actix_web::test]
async fn what_would_narrow_or_mark_a_session_is_refused_by_its_name() {
    let sim = serve();
    let others = [
        ("SerialNumber", "&SerialNumber=GAHT12345678"),
        ("TokenCode", "&TokenCode=123456"),
        (
            "ProvidedContexts",
            "&ProvidedContexts.member.1.ContextAssertion=x",
        ),
        ("MinimumSessionTokenSize", "&MinimumSessionTokenSize=1"),
    ];
    for (name, form) in NARROWER.into_iter().chain(others) {
        let (status, text) = sim.assume(form).await;
        assert_eq!(
            (status, inside(&text, "Code").as_str()),
            (400, "UnsupportedOperation"),
            "{name}"
        );
        assert!(inside(&text, "Message").contains(name), "{text}");
    }
}

#[actix_web::test]
async fn a_switch_takes_session_policies_and_tags_without_enforcing_them() {
    let sim = serve();
    let behavior = Behavior {
        accept_session_policies: true,
        ..Behavior::default()
    };
    sim.simulator.set_behavior(behavior).unwrap();
    for (name, form) in NARROWER {
        assert_eq!(sim.assume(form).await.0, 200, "{name}");
    }
    let (status, text) = sim.assume("&SerialNumber=GAHT12345678").await;
    assert_eq!(status, 400, "{text}");
}

#[actix_web::test]
async fn a_source_identity_is_shown_and_an_external_id_of_one_letter_is_refused() {
    let sim = serve();
    let (status, text) = sim.assume("&SourceIdentity=alice").await;
    assert_eq!(
        (status, inside(&text, "SourceIdentity").as_str()),
        (200, "alice")
    );
    let (_, text) = sim.assume("").await;
    assert!(!text.contains("SourceIdentity"), "{text}");
    for form in [
        "&ExternalId=x",
        "&SourceIdentity=x",
        "&SourceIdentity=a%20b",
    ] {
        let (status, text) = sim.assume(form).await;
        assert_eq!(
            (status, inside(&text, "Code").as_str()),
            (400, "ValidationError"),
            "{form}"
        );
    }
}
