//! The review of a revision: what a reviewer ticks, and why one is rejected, in words that programs read too.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::wrong::{Wrong, Wrongs};
use crate::domain::text::text_enum;

text_enum!(
    /// What a reviewer looks at. All of it has to be ticked before a revision is approved.
    ReviewItem {
        /// The texts are true and well written.
        Texts = "texts",
        /// Prices, terms and quotas are those that were agreed on.
        Pricing = "pricing",
        /// Terms, refunds and privacy are in order.
        Legal = "legal",
        /// Help can be reached as described.
        Support = "support",
        /// The services, ports and names are those that are sold.
        Services = "services",
        /// What is said about data is true.
        Data = "data",
    }
);

text_enum!(
    /// Why a revision is rejected.
    RejectionCode {
        /// A text says something that is not so.
        TextInaccurate = "text_inaccurate",
        /// Something that a consumer has to know is not said.
        TextIncomplete = "text_incomplete",
        /// A picture or a video cannot be used.
        MediaUnusable = "media_unusable",
        /// A link leads nowhere, or somewhere else.
        LinkBroken = "link_broken",
        /// A price, a term or a quota is wrong.
        PricingWrong = "pricing_wrong",
        /// Dimensions do not say what is counted.
        DimensionsUnclear = "dimensions_unclear",
        /// The terms cannot be agreed to.
        LegalTerms = "legal_terms",
        /// What is said about refunds is missing or wrong.
        RefundPolicy = "refund_policy",
        /// Nobody helps as described.
        SupportUnreachable = "support_unreachable",
        /// Registration does not work.
        FulfilmentBroken = "fulfilment_broken",
        /// The service does not work as described.
        ServiceNotReady = "service_not_ready",
        /// Encryption, retention or privacy is not as it has to be.
        DataHandling = "data_handling",
        /// Anything else; the detail says what.
        Other = "other",
    }
);

/// Why a revision is rejected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rejection {
    /// The reason, for programs.
    pub code: RejectionCode,
    /// The part of the content that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(
        min_length = 1,
        max_length = 200,
        example = "plans[0].rate_cards[0].rates[0].price"
    )]
    pub field: Option<String>,
    /// The reason, for people.
    #[schema(
        min_length = 1,
        max_length = 1000,
        example = "The price is not the one that was agreed on"
    )]
    pub detail: String,
}

/// What is wrong with the reasons of a rejection.
pub fn rejections(given: &[Rejection], at: &str) -> Vec<Wrong> {
    let mut wrong = Wrongs::default();
    if given.is_empty() {
        wrong.add(at, "give at least one reason");
    }
    wrong.count(at, given.len(), 50);
    for (index, one) in given.iter().enumerate() {
        wrong.text(format!("{at}[{index}].detail"), &one.detail, 1000);
        if let Some(field) = &one.field {
            wrong.line(format!("{at}[{index}].field"), field, 200);
        }
    }
    wrong.into_all()
}

/// Which items are not ticked.
pub fn unticked(ticked: &[ReviewItem]) -> Vec<ReviewItem> {
    let all = ReviewItem::ALL.iter();
    all.filter(|item| !ticked.contains(item)).copied().collect()
}
