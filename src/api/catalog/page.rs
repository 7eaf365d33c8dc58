//! The catalogue as plain pages: no script, no style, nothing loaded from anywhere.

use url::form_urlencoded;

use super::markup::{Escaped, Page};
use super::views::{
    CatalogItemView, CatalogListingView, CatalogOfferView, CatalogPlanView, CatalogServiceView,
};
use crate::domain::ids::ListingId;
use crate::domain::listing::content::Eula;
use crate::store::listings::CatalogFilter;

/// What a list was asked for.
pub(super) struct Asked<'a> {
    /// The filters, for the form and the next page.
    pub(super) filter: &'a CatalogFilter<'a>,
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
    let filter = asked.filter;
    page.put(format_args!("<form action=\"/catalog\" method=\"get\">\n"));
    for (name, label, value) in [
        ("search", "Search", filter.search),
        ("category", "Category", filter.category),
        ("region", "Region", filter.region),
    ] {
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
        for (name, value) in [
            ("search", filter.search),
            ("category", filter.category),
            ("region", filter.region),
        ] {
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
        page.items([summary(plan)]);
        prices(&mut page, plan);
        let of_plan = |offer: &&CatalogOfferView| Some(offer.plan_id) == plan.id;
        page.items(
            item.offers
                .iter()
                .filter(of_plan)
                .map(|offer| offered(offer, plan)),
        );
    }
    if let Some(text) = &view.usage_instructions {
        page.heading(2, "How to begin");
        page.put(format_args!("<pre>{}</pre>\n", Escaped(text)));
    }
    page.heading(2, "Help and terms");
    for text in [
        &view.support_text,
        &view.support_email,
        &view.refund_policy,
        &view.sla,
    ]
    .into_iter()
    .flatten()
    {
        page.text(text);
    }
    if let Some(data) = &view.data_handling {
        page.items([&data.encryption, &data.retention]);
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
    if let Some(name) = service
        .private_dns_name
        .as_ref()
        .or(service.user_friendly_dns.as_ref())
    {
        all.push(format!("Name: {name}"));
    }
    all
}

fn summary(plan: &CatalogPlanView) -> String {
    let least = plan
        .rate_cards
        .iter()
        .flat_map(|card| &card.rates)
        .map(|rate| rate.price)
        .min();
    let price = match (least, plan.currency) {
        (Some(least), Some(currency)) => format!(", from {least} {currency}"),
        _ => String::new(),
    };
    let trial = plan
        .trial_days
        .map_or_else(String::new, |days| format!(", {days} days to try"));
    format!("{}: {}{price}{trial}", plan.name, plan.pricing_model)
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
                card.term.map_or("use", |term| term.as_str()),
                Escaped(name),
                Escaped(unit),
                rate.price,
            ));
        }
    }
    page.put(format_args!("</table>\n"));
}

fn offered(offer: &CatalogOfferView, plan: &CatalogPlanView) -> String {
    let currency = plan.currency.map_or("", |it| it.code());
    let prices = offer.prices.iter().map(|own| {
        let term = own.term.map_or("use", |term| term.as_str());
        format!("{} for {term} at {} {currency}", own.dimension, own.price)
    });
    let until = offer.valid_until.map_or_else(String::new, |at| {
        format!(", until {}", at.format("%Y-%m-%d %H:%M UTC"))
    });
    format!(
        "Offer {}: {}{until}",
        offer.name,
        prices.collect::<Vec<_>>().join(", ")
    )
}
