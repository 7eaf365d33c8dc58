//! What is asked of a revision's content: limits whenever it is written, completeness when it is submitted. Every fault is told at once.

use std::collections::BTreeSet;

use super::content::{Acceptance, Eula, ListedService, ListingContent};
use super::plan::PricingModel;
use super::plan_rules;
use super::wrong::{Wrong, Wrongs};
use crate::domain::consumer::is_email;

/// The version of AWS Marketplace's standard contract that there is.
pub const STANDARD_EULA: &str = "2022-07-14";

/// What is wrong with a content that is written: anything that is too long, out of shape or contradicts itself. `at` is the path to it.
pub fn limits(content: &ListingContent, at: &str) -> Vec<Wrong> {
    let mut wrong = Wrongs::default();
    let w = &mut wrong;
    let field = |name: &str| format!("{at}.{name}");
    w.line(field("title"), &content.title, 72);
    for (name, text, most) in [
        ("short", &content.short, 1000),
        ("long", &content.long, 5000),
        ("usage_instructions", &content.usage_instructions, 30_000),
        ("support_text", &content.support_text, 2000),
        ("refund_policy", &content.refund_policy, 500),
        ("sla", &content.sla, 2000),
    ] {
        if let Some(text) = text {
            w.text(field(name), text, most);
        }
    }
    if let Some(sku) = &content.sku {
        w.line(field("sku"), sku, 100);
    }
    for (name, all, most, longest) in [
        ("highlights", &content.highlights, 3, 500),
        ("keywords", &content.keywords, 15, 50),
        ("categories", &content.categories, 3, 80),
    ] {
        w.count(field(name), all.len(), most);
        for (index, one) in all.iter().enumerate() {
            w.line(format!("{at}.{name}[{index}]"), one, longest);
        }
        w.once(field(name), "", all.iter().map(String::as_str));
    }
    for (name, url) in [
        ("logo_url", &content.logo_url),
        ("video_url", &content.video_url),
        ("fulfilment_url", &content.fulfilment_url),
        ("support_url", &content.support_url),
        ("privacy_url", &content.privacy_url),
    ] {
        if let Some(url) = url {
            w.https(field(name), url);
        }
    }
    w.count(field("resources"), content.resources.len(), 3);
    for (index, resource) in content.resources.iter().enumerate() {
        w.line(format!("{at}.resources[{index}].text"), &resource.text, 500);
        w.https(format!("{at}.resources[{index}].url"), &resource.url);
    }
    if content
        .usage_instructions
        .as_deref()
        .is_some_and(|text| text.contains("!["))
    {
        w.add(
            field("usage_instructions"),
            "usage_instructions must not contain images",
        );
    }
    if content
        .refund_policy
        .as_deref()
        .is_some_and(|text| !text.is_ascii())
    {
        w.add(
            field("refund_policy"),
            "refund_policy may contain ASCII characters only",
        );
    }
    if content
        .support_email
        .as_deref()
        .is_some_and(|address| !is_email(address))
    {
        w.add(
            field("support_email"),
            "support_email must be an e-mail address",
        );
    }
    if let Some(data) = &content.data_handling {
        w.text(field("data_handling.encryption"), &data.encryption, 1000);
        w.text(field("data_handling.retention"), &data.retention, 1000);
    }
    eula(w, content.eula.as_ref(), &field("eula"));
    services(w, &content.services, &field("services"));
    plans(w, content, at);
    wrong.into_all()
}

fn plans(w: &mut Wrongs, content: &ListingContent, at: &str) {
    let field = |name: &str| format!("{at}.{name}");
    w.count(field("plans"), content.plans.len(), 20);
    w.once(
        field("plans"),
        "name",
        content.plans.iter().map(|plan| plan.name.as_str()),
    );
    let ids: Vec<String> = content
        .plans
        .iter()
        .filter_map(|plan| plan.id)
        .map(|id| id.to_string())
        .collect();
    if ids.iter().collect::<BTreeSet<_>>().len() < ids.len() {
        w.add(field("plans"), "two plans have the same id");
    }
    for (index, plan) in content.plans.iter().enumerate() {
        plan_rules::limits(w, plan, &format!("{at}.plans[{index}]"));
    }
}

fn eula(w: &mut Wrongs, eula: Option<&Eula>, at: &str) {
    match eula {
        Some(Eula::Standard { version }) if version != STANDARD_EULA => {
            w.add(
                format!("{at}.version"),
                format!("the standard contract has the version {STANDARD_EULA}"),
            );
        }
        Some(Eula::Custom { url }) => {
            w.https(format!("{at}.url"), url);
            let path = url.split(['?', '#']).next().unwrap_or_default();
            if !path.to_ascii_lowercase().ends_with(".pdf") {
                w.add(format!("{at}.url"), "the terms must be a PDF");
            }
        }
        Some(Eula::Standard { .. }) | None => {}
    }
}

fn services(w: &mut Wrongs, services: &[ListedService], at: &str) {
    w.count(at, services.len(), 40);
    let ids: Vec<String> = services
        .iter()
        .map(|it| it.service_id.to_string())
        .collect();
    w.once(at, "service_id", ids.iter().map(String::as_str));
    for (index, service) in services.iter().enumerate() {
        w.count(format!("{at}[{index}].ports"), service.ports.len(), 50);
        let mut seen = BTreeSet::new();
        for (number, port) in service.ports.iter().enumerate() {
            let place = format!("{at}[{index}].ports[{number}]");
            if port.port == 0 {
                w.add(format!("{place}.port"), "a port is 1 to 65535");
            } else if !seen.insert((port.protocol, port.port)) {
                w.add(
                    place,
                    format!("{} {} is there already", port.protocol, port.port),
                );
            }
        }
        if service
            .user_friendly_dns
            .as_deref()
            .is_some_and(|name| !is_host_name(name))
        {
            w.add(
                format!("{at}[{index}].user_friendly_dns"),
                "user_friendly_dns must be a host name in lower case",
            );
        }
        let is_certificate = |arn: &str| {
            let parts: Vec<&str> = arn.splitn(6, ':').collect();
            arn.len() <= 200
                && matches!(parts.as_slice(), ["arn", partition, "acm", _, _, rest]
                    if partition.starts_with("aws") && rest.starts_with("certificate/"))
        };
        if service
            .acm_certificate_arn
            .as_deref()
            .is_some_and(|arn| !is_certificate(arn))
        {
            w.add(
                format!("{at}[{index}].acm_certificate_arn"),
                "acm_certificate_arn must be the ARN of a certificate in AWS Certificate Manager",
            );
        }
    }
}

/// What is missing in a content before it can be reviewed.
pub fn missing(content: &ListingContent, at: &str) -> Vec<Wrong> {
    let mut wrong = Wrongs::default();
    let w = &mut wrong;
    let needed = [
        ("short", content.short.is_some()),
        ("long", content.long.is_some()),
        ("highlights", !content.highlights.is_empty()),
        ("keywords", !content.keywords.is_empty()),
        ("categories", !content.categories.is_empty()),
        ("usage_instructions", content.usage_instructions.is_some()),
        ("fulfilment_url", content.fulfilment_url.is_some()),
        ("support_text", content.support_text.is_some()),
        ("refund_policy", content.refund_policy.is_some()),
        ("eula", content.eula.is_some()),
        ("services", !content.services.is_empty()),
        ("plans", !content.plans.is_empty()),
    ];
    for (name, _) in needed.iter().filter(|(_, there)| !there) {
        w.add(
            format!("{at}.{name}"),
            format!("{name} is needed for a review"),
        );
    }
    if content.support_email.is_none() && content.support_url.is_none() {
        w.add(
            format!("{at}.support_url"),
            "support_url or support_email is needed for a review",
        );
    }
    for (index, service) in content.services.iter().enumerate() {
        if service.ports.is_empty() {
            w.add(
                format!("{at}.services[{index}].ports"),
                "at least one port is needed for a review",
            );
        }
        let mut plans = content.plans.iter();
        let free = plans.any(|it| it.pricing_model == PricingModel::Free && !it.agreement_required);
        if service.acceptance == Acceptance::Open && !free {
            w.add(
                format!("{at}.services[{index}].acceptance"),
                "acceptance can be open only where a plan is free and takes no agreement",
            );
        }
    }
    for (index, plan) in content.plans.iter().enumerate() {
        plan_rules::complete(w, plan, &format!("{at}.plans[{index}]"));
    }
    wrong.into_all()
}

fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    name.len() <= 253 && name.split('.').all(label)
}
