//! The catalogue as plain pages: no script, no style, nothing loaded from anywhere.

use url::form_urlencoded;

use super::markup::{Escaped, Page};
use super::views::{
    CatalogItemView, CatalogListingView, CatalogOfferView, CatalogPlanView, CatalogServiceView,
};
use crate::domain::ids::ListingId;
use crate::domain::listing::content::Eula;
use crate::domain::listing::plan::{ContractTerm, PricingModel};
use crate::domain::money::Amount;

/// What a list was asked for.
pub(super) struct Asked<'a> {
    /// The filters, for the form and the next page: name, label and what was asked for.
    pub(super) filters: [(&'static str, &'static str, Option<&'a str>); 3],
    /// How many rows.
    pub(super) limit: i64,
}

/// The list.
pub(super) fn list(
    items: &[CatalogItemView],
    next: Option<ListingId>,
    asked: &Asked<'_>,
) -> String {
    let mut page = Page::begin("Catalogue");
    page.put(format_args!("<form action=\"/catalog\" method=\"get\">\n"));
    for (name, label, value) in asked.filters {
        let value = Escaped(value.unwrap_or_default());
        page.put(format_args!(
            "<label>{label} <input name=\"{name}\" value=\"{value}\"></label>\n"
        ));
    }
    page.put(format_args!("<button>Show</button>\n</form>\n"));
    if items.is_empty() {
        page.text("Nothing is sold here that fits.");
    }
    for item in items {
        page.put(format_args!(
            "<article>\n<h2><a href=\"/catalog/{}\">{}</a></h2>\n",
            item.id,
            Escaped(&item.title)
        ));
        page.text(item.short.as_deref().unwrap_or_default());
        page.items([format!("Categories: {}", item.categories.join(", "))]);
        page.items(item.services.iter().map(place));
        page.items(item.plans.iter().map(summary));
        page.put(format_args!("</article>\n"));
    }
    if let Some(next) = next {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, _, value) in asked.filters {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        query
            .append_pair("cursor", &next.to_string())
            .append_pair("limit", &asked.limit.to_string());
        page.put(format_args!(
            "<p><a href=\"/catalog?{}\">More</a></p>\n",
            Escaped(query.finish())
        ));
    }
    page.end()
}

/// What a person reads at the address of a listing that does not exist, or is not shown to whoever asks.
pub(super) fn missing() -> String {
    let mut page = Page::begin("No such listing");
    page.text("Nothing is sold at this address: it is mistyped, or what was sold here is not shown any more.");
    page.put(format_args!("<p><a href=\"/catalog\">Catalogue</a></p>\n"));
    page.end()
}

/// One listing.
pub(super) fn listing(view: &CatalogListingView) -> String {
    let item = &view.item;
    let mut page = Page::begin(&item.title);
    page.text(item.short.as_deref().unwrap_or_default());
    page.items(&view.highlights);
    page.text(view.long.as_deref().unwrap_or_default());
    page.items([format!("Categories: {}", item.categories.join(", "))]);
    page.heading(2, "Where");
    for service in &item.services {
        page.heading(3, &service.region);
        page.items(details(service));
    }
    page.heading(2, "Plans");
    for plan in &item.plans {
        page.heading(3, &plan.name);
        page.text(plan.description.as_deref().unwrap_or_default());
        page.items(grants(plan));
        prices(&mut page, plan);
        let of_plan = |offer: &&CatalogOfferView| Some(offer.plan_id) == plan.id;
        page.items(item.offers.iter().filter(of_plan).map(offered));
    }
    if item.more_offers {
        page.text("There are more offers than are shown here.");
    }
    if let Some(text) = &view.usage_instructions {
        page.heading(2, "How to begin");
        page.put(format_args!("<pre>{}</pre>\n", Escaped(text)));
    }
    page.heading(2, "Help and terms");
    let data = view.data_handling.as_ref();
    for (label, text) in [
        ("Support", view.support_text.as_ref()),
        ("E-mail", view.support_email.as_ref()),
        ("Refunds", view.refund_policy.as_ref()),
        ("Service level", view.sla.as_ref()),
        ("Encryption of data", data.map(|it| &it.encryption)),
        ("Retention of data", data.map(|it| &it.retention)),
    ] {
        if let Some(text) = text {
            page.heading(3, label);
            page.text(text);
        }
    }
    let eula = match &view.eula {
        Some(Eula::Custom { url }) => Some(url),
        Some(Eula::Standard { .. }) | None => None,
    };
    for (address, text) in [
        (view.support_url.as_ref(), "Support"),
        (eula, "Terms"),
        (view.privacy_url.as_ref(), "Privacy"),
        (view.video_url.as_ref(), "Video"),
        (view.fulfilment_url.as_ref(), "Register"),
    ] {
        page.link(address.map(String::as_str).unwrap_or_default(), text);
    }
    if let Some(Eula::Standard { version }) = &view.eula {
        page.text(&format!(
            "Terms: AWS Marketplace's standard contract of {version}"
        ));
    }
    for resource in &view.resources {
        page.link(&resource.url, &resource.text);
    }
    page.put(format_args!("<p><a href=\"/catalog\">Catalogue</a></p>\n"));
    page.end()
}

fn ports(service: &CatalogServiceView) -> String {
    let ports = service
        .ports
        .iter()
        .map(|port| format!("{} {}", port.protocol, port.port));
    ports.collect::<Vec<_>>().join(", ")
}

fn place(service: &CatalogServiceView) -> String {
    format!(
        "{}: {}, zones {}",
        service.region,
        ports(service),
        service.availability_zone_ids.join(", ")
    )
}

fn details(service: &CatalogServiceView) -> Vec<String> {
    let mut all = vec![
        format!(
            "Service name: {}",
            service.service_name.as_deref().unwrap_or("not known yet")
        ),
        format!(
            "Availability Zones: {}",
            service.availability_zone_ids.join(", ")
        ),
        format!("Ports: {}", ports(service)),
        format!("IP address types: {}", service.ip_address_types.join(", ")),
    ];
    if !service.supported_regions.is_empty() {
        all.push(format!(
            "Other Regions: {}",
            service.supported_regions.join(", ")
        ));
    }
    for (what, name) in [
        ("Private DNS name", &service.private_dns_name),
        ("Name", &service.user_friendly_dns),
    ] {
        all.extend(name.as_ref().map(|name| format!("{what}: {name}")));
    }
    all
}

/// A plan in one line: every price where there are few of them, because a lowest one over terms and units would say nothing.
fn summary(plan: &CatalogPlanView) -> String {
    let rates: Vec<String> = plan
        .rate_cards
        .iter()
        .flat_map(|card| card.rates.iter().map(|rate| (card.term, rate)))
        .map(|(term, rate)| price(plan, term, &rate.dimension, rate.price))
        .collect();
    let prices = match rates.len() {
        0 => String::new(),
        1..=3 => format!(": {}", rates.join("; ")),
        more => format!(": {more} prices"),
    };
    format!("{}, {}{prices}", plan.name, paid(plan.pricing_model))
}

fn paid(model: PricingModel) -> &'static str {
    match model {
        PricingModel::Contract => "paid in advance",
        PricingModel::Usage => "paid by use",
        PricingModel::ContractWithUsage => "paid in advance, and what goes beyond by use",
        PricingModel::Free => "free",
        PricingModel::Byol => "with a licence of your own",
    }
}

fn term(term: Option<ContractTerm>) -> &'static str {
    match term {
        None => "as used",
        Some(ContractTerm::Month) => "a month",
        Some(ContractTerm::Year) => "a year",
        Some(ContractTerm::TwoYears) => "two years",
        Some(ContractTerm::ThreeYears) => "three years",
    }
}

/// A price with what it is for, by the names that people know.
fn price(plan: &CatalogPlanView, of: Option<ContractTerm>, key: &str, price: Amount) -> String {
    let known = plan.dimensions.iter().find(|it| it.key == key);
    let name = known.map_or(key, |it| it.name.as_str());
    let currency = plan.currency.map_or("", |it| it.code());
    format!("{price} {currency} {} for {name}", term(of))
}

/// What a plan grants and asks.
fn grants(plan: &CatalogPlanView) -> Vec<String> {
    let mut all = vec![format!("Payment: {}", paid(plan.pricing_model))];
    if let Some(days) = plan.trial_days {
        all.push(format!("Trial: {days} days"));
    }
    let quotas = &plan.quotas;
    for (what, most) in [
        ("Endpoints", quotas.max_endpoints.map(u64::from)),
        ("Regions", quotas.max_regions.map(u64::from)),
        ("Connections", quotas.max_connections.map(u64::from)),
        ("Megabytes a month", quotas.max_mb_month),
    ] {
        all.extend(most.map(|most| format!("{what}: at most {most}")));
    }
    for (what, only) in [("Regions", &plan.regions), ("Zones", &plan.zones)] {
        let only = only.as_ref();
        all.extend(only.map(|only| format!("{what}: {}", only.join(", "))));
    }
    if !plan.agreement_required {
        all.push("No agreement is needed to connect".to_owned());
    }
    all
}

fn prices(page: &mut Page, plan: &CatalogPlanView) {
    let Some(currency) = plan.currency else {
        return;
    };
    page.put(format_args!(
        "<table>\n<tr><th>For</th><th>Of</th><th>Unit</th><th>Price</th></tr>\n"
    ));
    for card in &plan.rate_cards {
        for rate in &card.rates {
            let known = plan.dimensions.iter().find(|it| it.key == rate.dimension);
            let (name, unit) = known.map_or(("", ""), |it| (it.name.as_str(), it.unit.as_str()));
            page.put(format_args!(
                "<tr><td>{}</td><td>{}</td><td>{}</td><td>{} {currency}</td></tr>\n",
                term(card.term),
                Escaped(name),
                Escaped(unit),
                rate.price,
            ));
        }
    }
    page.put(format_args!("</table>\n"));
}

/// An offer with all prices that apply: the plan may cost something else by now.
fn offered(offer: &CatalogOfferView) -> String {
    let plan = &offer.plan;
    let cards = plan.rate_cards.iter();
    let rates = cards.flat_map(|card| card.rates.iter().map(|rate| (card.term, rate)));
    let prices = rates.map(|(term, rate)| price(plan, term, &rate.dimension, rate.price));
    let until = offer.valid_until.map_or_else(String::new, |at| {
        format!(", until {}", at.format("%Y-%m-%d %H:%M UTC"))
    });
    format!(
        "Offer {} of {}: {}{until}",
        offer.name,
        plan.name,
        prices.collect::<Vec<_>>().join(", ")
    )
}
