//! What a revision of a listing says. Its rules are in [`super::content_rules`]: what is too long is refused when it is written, what is missing only when it is
//! submitted.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::plan::Plan;
use crate::domain::ids::{EndpointServiceId, PlanId};
use crate::domain::text::text_enum;

/// Somewhere to read more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Resource {
    /// What it is called.
    #[schema(min_length = 1, max_length = 500, example = "Getting started")]
    pub text: String,
    /// Where it is: an `https://` address.
    #[schema(max_length = 2000, example = "https://docs.provider.example/start")]
    pub url: String,
}

/// The terms that a consumer agrees to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Eula {
    /// AWS Marketplace's standard contract.
    Standard {
        /// Which version: `2022-07-14`.
        #[schema(example = "2022-07-14")]
        version: String,
    },
    /// The provider's own.
    Custom {
        /// Where it is: the `https://` address of a PDF.
        #[schema(max_length = 2000, example = "https://provider.example/eula.pdf")]
        url: String,
    },
}

/// What is done with the consumer's data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DataHandling {
    /// How it is encrypted, in transit and at rest.
    #[schema(
        min_length = 1,
        max_length = 1000,
        example = "TLS 1.3 in transit, AES-256 at rest"
    )]
    pub encryption: String,
    /// How long it is kept.
    #[schema(
        min_length = 1,
        max_length = 1000,
        example = "Thirty days after the agreement has ended"
    )]
    pub retention: String,
}

text_enum!(
    /// What is spoken on a port.
    PortProtocol {
        /// TCP.
        Tcp = "tcp",
        /// UDP.
        Udp = "udp",
    }
);

/// Where a consumer connects to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// What is spoken.
    pub protocol: PortProtocol,
    /// The port.
    #[schema(minimum = 1, example = 443)]
    pub port: u16,
}

text_enum!(
    /// Who is let in without a word.
    Acceptance {
        /// Whoever has a right to it.
        EntitledAuto = "entitled_auto",
        /// Nobody: a person decides about each request.
        Manual = "manual",
        /// Everybody who asks; goes with a plan that is free and takes no agreement.
        Open = "open",
    }
);

/// A registered service that the listing sells, with what AWS does not tell about it. Region, name, zones and the state of its private DNS name are read from the
/// service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ListedService {
    /// The registered service.
    pub service_id: EndpointServiceId,
    /// Where a consumer connects to.
    #[schema(min_items = 1, max_items = 50)]
    #[serde(default)]
    pub ports: Vec<Port>,
    /// Who is let in without a word.
    #[serde(default = "entitled")]
    #[schema(default = "entitled_auto")]
    pub acceptance: Acceptance,
    /// The name that people use, where it is not the private DNS name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 253, example = "ledger.provider.example")]
    pub user_friendly_dns: Option<String>,
    /// The certificate for that name, in AWS Certificate Manager.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(
        max_length = 200,
        example = "arn:aws:acm:eu-west-1:111122223333:certificate/0f1e2d3c-0000-4000-8000-000000000000"
    )]
    pub acm_certificate_arn: Option<String>,
}

fn entitled() -> Acceptance {
    Acceptance::EntitledAuto
}

/// What a revision of a listing says. Lengths are AWS Marketplace's own, in characters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ListingContent {
    /// What it is called.
    #[schema(min_length = 1, max_length = 72, example = "Ledger over PrivateLink")]
    pub title: String,
    /// The provider's own number for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 100, example = "LEDGER-EU")]
    pub sku: Option<String>,
    /// What it is, in a paragraph. Needed for a review.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(
        min_length = 1,
        max_length = 1000,
        example = "A double-entry ledger that never leaves your VPC"
    )]
    pub short: Option<String>,
    /// What it is, at length. Needed for a review.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(
        min_length = 1,
        max_length = 5000,
        example = "A double-entry ledger for banks, reached over PrivateLink"
    )]
    pub long: Option<String>,
    /// What is good about it: 1 to 3 for a review.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 3, example = json!(["No traffic over the internet"]))]
    pub highlights: Vec<String>,
    /// What it is searched by: 1 to 15 for a review, each at most 50.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 15, example = json!(["ledger", "accounting"]))]
    pub keywords: Vec<String>,
    /// Where it is shown: 1 to 3 for a review, each at most 80.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 3, example = json!(["Financial Services"]))]
    pub categories: Vec<String>,
    /// How to begin, in Markdown without images. Needed for a review.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(
        min_length = 1,
        max_length = 30_000,
        example = "Make an interface endpoint to the service name, then …"
    )]
    pub usage_instructions: Option<String>,
    /// Its logo: an `https://` address.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2000, example = "https://provider.example/logo.png")]
    pub logo_url: Option<String>,
    /// A video of it: an `https://` address.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2000, example = "https://provider.example/tour.mp4")]
    pub video_url: Option<String>,
    /// Where to read more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 3)]
    pub resources: Vec<Resource>,
    /// Where whoever bought goes to register: an `https://` address. Needed for a review.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2000, example = "https://provider.example/welcome")]
    pub fulfilment_url: Option<String>,
    /// Who helps, and when. Needed for a review.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(
        min_length = 1,
        max_length = 2000,
        example = "Around the clock, within an hour"
    )]
    pub support_text: Option<String>,
    /// Whom to write to. Needed for a review, unless there is a `support_url`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 254, example = "help@provider.example")]
    pub support_email: Option<String>,
    /// Where to ask: an `https://` address. Needed for a review, unless there is a `support_email`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2000, example = "https://provider.example/help")]
    pub support_url: Option<String>,
    /// When money is given back; ASCII. Needed for a review.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 500, example = "Within 30 days, in full")]
    pub refund_policy: Option<String>,
    /// The terms. Needed for a review.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eula: Option<Eula>,
    /// What is done with personal data: an `https://` address.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2000, example = "https://provider.example/privacy")]
    pub privacy_url: Option<String>,
    /// What is done with the consumer's data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_handling: Option<DataHandling>,
    /// What is promised about its availability.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 2000, example = "99.95 % a month")]
    pub sla: Option<String>,
    /// The services that it sells, at most one in a Region; at least one for a review.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 40)]
    pub services: Vec<ListedService>,
    /// What is bought; at least one for a review.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 20)]
    pub plans: Vec<Plan>,
}

impl ListingContent {
    /// A plan by its id.
    pub fn plan(&self, id: PlanId) -> Option<&Plan> {
        self.plans.iter().find(|plan| plan.id == Some(id))
    }

    /// A service by its id.
    pub fn service(&self, id: EndpointServiceId) -> Option<&ListedService> {
        self.services.iter().find(|it| it.service_id == id)
    }

    /// The services' ids.
    pub fn service_ids(&self) -> Vec<EndpointServiceId> {
        self.services.iter().map(|it| it.service_id).collect()
    }
}
