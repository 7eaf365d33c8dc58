//! What the dimensions of an agreement count and cost, as it pins them: its plan's prices for use, or its offer's.

use super::agreement_standing::Known;
use super::{AppError, PgConnection};
use crate::domain::agreement::Agreement;
use crate::domain::listing::{Dimension, Offer};
use crate::store::offers;
use crate::store::usage_hours::Tariff;

/// The tariffs of those dimensions of an agreement that are wanted. The plan has to be known.
pub(super) async fn tariffs(
    conn: &mut PgConnection,
    known: &Known,
    of: &Agreement,
    wanted: impl Fn(&Dimension) -> bool,
) -> Result<Vec<Tariff>, AppError> {
    let plan = known.plan(of)?;
    let offer: Option<Offer> = match of.offer {
        Some(id) => offers::by_id(conn, id).await?,
        None => None,
    };
    let dimensions = plan.dimensions.iter().filter(|it| wanted(it));
    let tariff = |dimension: &Dimension| {
        let key = &dimension.key;
        let price = match &offer {
            Some(offer) => offer.price(plan, key, None),
            None => plan.card(None).and_then(|card| card.price(key)),
        };
        let price = price.zip(plan.currency);
        Tariff {
            dimension: key.clone(),
            unit: dimension.unit.as_str(),
            price: price.map(|(price, currency)| (price.to_string(), currency.code())),
        }
    };
    Ok(dimensions.map(tariff).collect())
}
