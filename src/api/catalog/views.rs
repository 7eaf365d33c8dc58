//! What the catalogue shows: never who wrote or reviewed something, nor how requests are held.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::read_catalog::CatalogEntry;
use crate::domain::endpoint_service::RegisteredService;
use crate::domain::ids::{ListingId, OfferId, PlanId};
use crate::domain::listing::content::{DataHandling, Eula, Port, Resource};
use crate::domain::listing::{
    Acceptance, Dimension, ListedService, OfferKind, Plan, PriceOverride, PricingModel, Quotas,
    RateCard,
};
use crate::domain::money::Currency;
use crate::store::offers::OpenOffer;

/// Something that is sold, in as few words as a list takes.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct CatalogItemView {
    /// Its id, and its address: `GET /catalog/{id}`.
    pub(super) id: ListingId,
    /// A short name.
    #[schema(example = "ledger-over-privatelink")]
    pub(super) slug: String,
    /// What it is called.
    #[schema(example = "Ledger over PrivateLink")]
    pub(super) title: String,
    /// What it is, in a paragraph.
    #[schema(example = "A double-entry ledger that never leaves your VPC")]
    pub(super) short: Option<String>,
    /// Where it is shown.
    #[schema(example = json!(["Financial Services"]))]
    pub(super) categories: Vec<String>,
    /// Its logo.
    #[schema(example = "https://provider.example/logo.png")]
    pub(super) logo_url: Option<String>,
    /// Where it can be reached, and how.
    pub(super) services: Vec<CatalogServiceView>,
    /// What can be bought.
    pub(super) plans: Vec<CatalogPlanView>,
    /// Other prices that whoever looks can have now: private ones and then public ones, the newest first. A list shows 10 of a listing, and its own address 100.
    #[schema(max_items = 100)]
    pub(super) offers: Vec<CatalogOfferView>,
    /// Whether there are more offers than are shown here.
    pub(super) more_offers: bool,
}

/// Where something can be reached, and how.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct CatalogServiceView {
    /// The Region that it lives in.
    pub(super) region: String,
    /// The other Regions that endpoints may be made in.
    #[schema(example = json!(["eu-central-1"]))]
    pub(super) supported_regions: Vec<String>,
    /// What to type when an endpoint is made; null until AWS has told it.
    pub(super) service_name: Option<String>,
    /// Its Availability Zones by id, which is the same in every account.
    pub(super) availability_zone_ids: Vec<String>,
    /// Where to connect to.
    pub(super) ports: Vec<Port>,
    /// The IP address types that it has.
    #[schema(example = json!(["ipv4"]))]
    pub(super) ip_address_types: Vec<String>,
    /// The name to use where private DNS is enabled for the endpoint; null where there is none, or it is not verified.
    pub(super) private_dns_name: Option<String>,
    /// The name that people use, where it is another.
    #[schema(example = "ledger.provider.example")]
    pub(super) user_friendly_dns: Option<String>,
    /// Who is let in without a word.
    pub(super) acceptance: Acceptance,
}

/// What can be bought.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct CatalogPlanView {
    /// Its id.
    pub(super) id: Option<PlanId>,
    /// What it is called.
    #[schema(example = "Standard")]
    pub(super) name: String,
    /// What it is for.
    #[schema(example = "For one team")]
    pub(super) description: Option<String>,
    /// How it is paid for.
    pub(super) pricing_model: PricingModel,
    /// The currency of its prices; null where it has none.
    pub(super) currency: Option<Currency>,
    /// What it counts.
    pub(super) dimensions: Vec<Dimension>,
    /// What it costs.
    pub(super) rate_cards: Vec<RateCard>,
    /// How many days may be tried for nothing.
    #[schema(example = 30)]
    pub(super) trial_days: Option<u32>,
    /// How much it grants.
    pub(super) quotas: Quotas,
    /// The Regions that endpoints may be in; null is all.
    #[schema(example = json!(["eu-west-1"]))]
    pub(super) regions: Option<Vec<String>>,
    /// The Availability Zones that endpoints may be in, by id; null is all.
    #[schema(example = json!(["euw1-az1"]))]
    pub(super) zones: Option<Vec<String>>,
    /// Whether it takes an agreement to connect.
    pub(super) agreement_required: bool,
}

/// Other prices that whoever looks can have now.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct CatalogOfferView {
    /// Its id.
    pub(super) id: OfferId,
    /// Of which plan.
    pub(super) plan_id: PlanId,
    /// Whom it is for.
    pub(super) kind: OfferKind,
    /// What it is called.
    #[schema(example = "First year for Acme")]
    pub(super) name: String,
    /// Until when it can be taken; null is without an end.
    #[schema(example = "2031-03-31T16:00:00Z")]
    pub(super) valid_until: Option<DateTime<Utc>>,
    /// The revision of the listing whose plan it is of.
    #[schema(example = 1)]
    pub(super) revision: i64,
    /// The prices of the offer's own. `plan` has all of them.
    pub(super) prices: Vec<PriceOverride>,
    /// The plan as the offer sells it: as it was in that revision, with the prices that apply.
    pub(super) plan: CatalogPlanView,
}

/// Something that is sold, with all that is said about it.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct CatalogListingView {
    /// What a list shows of it.
    #[serde(flatten)]
    pub(super) item: CatalogItemView,
    /// What it is, at length.
    #[schema(example = "A double-entry ledger for banks")]
    pub(super) long: Option<String>,
    /// What is good about it.
    #[schema(example = json!(["No traffic over the internet"]))]
    pub(super) highlights: Vec<String>,
    /// What it is searched by.
    #[schema(example = json!(["ledger"]))]
    pub(super) keywords: Vec<String>,
    /// How to begin, in Markdown.
    #[schema(example = "Make an interface endpoint to the service name")]
    pub(super) usage_instructions: Option<String>,
    /// A video of it.
    #[schema(example = "https://provider.example/tour.mp4")]
    pub(super) video_url: Option<String>,
    /// Where to read more.
    pub(super) resources: Vec<Resource>,
    /// Where whoever bought goes to register.
    #[schema(example = "https://provider.example/welcome")]
    pub(super) fulfilment_url: Option<String>,
    /// Who helps, and when.
    #[schema(example = "Around the clock")]
    pub(super) support_text: Option<String>,
    /// Whom to write to.
    #[schema(example = "help@provider.example")]
    pub(super) support_email: Option<String>,
    /// Where to ask.
    #[schema(example = "https://provider.example/help")]
    pub(super) support_url: Option<String>,
    /// When money is given back.
    #[schema(example = "Within 30 days, in full")]
    pub(super) refund_policy: Option<String>,
    /// The terms.
    pub(super) eula: Option<Eula>,
    /// What is done with personal data.
    #[schema(example = "https://provider.example/privacy")]
    pub(super) privacy_url: Option<String>,
    /// What is done with the consumer's data.
    pub(super) data_handling: Option<DataHandling>,
    /// What is promised about its availability.
    #[schema(example = "99.95 % a month")]
    pub(super) sla: Option<String>,
}

impl CatalogServiceView {
    fn of(listed: &ListedService, service: &RegisteredService) -> Self {
        let seen = service.observed.as_ref().map(|observed| &observed.service);
        let name = seen.and_then(|seen| seen.private_dns_name.as_ref());
        let verified = name.filter(|name| name.state.as_deref() == Some("verified"));
        let zones: BTreeSet<String> = seen
            .into_iter()
            .flat_map(|it| &it.availability_zone_ids)
            .map(ToString::to_string)
            .collect();
        let mut types = seen
            .map(|it| it.supported_ip_address_types.clone())
            .unwrap_or_default();
        types.sort();
        let mut regions = seen
            .map(|it| it.supported_regions.clone())
            .unwrap_or_default();
        regions.sort();
        Self {
            region: service.region.to_string(),
            supported_regions: regions,
            service_name: service.service_name.clone(),
            availability_zone_ids: zones.into_iter().collect(),
            ports: listed.ports.clone(),
            ip_address_types: types,
            private_dns_name: verified.map(|name| name.name.clone()),
            user_friendly_dns: listed.user_friendly_dns.clone(),
            acceptance: listed.acceptance,
        }
    }
}

impl From<&Plan> for CatalogPlanView {
    fn from(plan: &Plan) -> Self {
        let regions = plan.regions.as_ref();
        let zones = plan.zones.as_ref();
        Self {
            id: plan.id,
            name: plan.name.clone(),
            description: plan.description.clone(),
            pricing_model: plan.pricing_model,
            currency: plan.currency,
            dimensions: plan.dimensions.clone(),
            rate_cards: plan.rate_cards.clone(),
            trial_days: plan.trial_days,
            quotas: plan.quotas,
            regions: regions.map(|all| all.iter().map(ToString::to_string).collect()),
            zones: zones.map(|all| all.iter().map(ToString::to_string).collect()),
            agreement_required: plan.agreement_required,
        }
    }
}

impl From<&OpenOffer> for CatalogOfferView {
    fn from(open: &OpenOffer) -> Self {
        let offer = &open.offer;
        Self {
            plan: (&offer.applied_to(open.plan.clone())).into(),
            id: offer.id,
            plan_id: offer.plan,
            kind: offer.kind,
            revision: offer.revision,
            name: offer.name.clone(),
            valid_until: offer.valid_until,
            prices: offer.prices.clone(),
        }
    }
}

impl From<CatalogEntry> for CatalogItemView {
    fn from(entry: CatalogEntry) -> Self {
        Self::from(&entry)
    }
}

impl From<&CatalogEntry> for CatalogItemView {
    fn from(entry: &CatalogEntry) -> Self {
        let content = &entry.live.content;
        let services = entry.services.iter();
        let services = services.filter_map(|service| {
            Some(CatalogServiceView::of(
                content.service(service.id)?,
                service,
            ))
        });
        Self {
            id: entry.listing.id,
            slug: entry.listing.slug.clone(),
            title: content.title.clone(),
            short: content.short.clone(),
            categories: content.categories.clone(),
            logo_url: content.logo_url.clone(),
            services: services.collect(),
            plans: content.plans.iter().map(Into::into).collect(),
            offers: entry.offers.iter().map(Into::into).collect(),
            more_offers: entry.more_offers,
        }
    }
}

impl From<CatalogEntry> for CatalogListingView {
    fn from(entry: CatalogEntry) -> Self {
        let item = (&entry).into();
        let content = entry.live.content;
        Self {
            item,
            long: content.long,
            highlights: content.highlights,
            keywords: content.keywords,
            usage_instructions: content.usage_instructions,
            video_url: content.video_url,
            resources: content.resources,
            fulfilment_url: content.fulfilment_url,
            support_text: content.support_text,
            support_email: content.support_email,
            support_url: content.support_url,
            refund_policy: content.refund_policy,
            eula: content.eula,
            privacy_url: content.privacy_url,
            data_handling: content.data_handling,
            sla: content.sla,
        }
    }
}
