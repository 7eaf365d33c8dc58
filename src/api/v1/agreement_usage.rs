//! What an agreement used, month by month.

use actix_web::get;
use actix_web::web::{Data, Json};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::auth::{Caller, Read};
use crate::api::extract::ApiPath;
use crate::api::problem::Problem;
use crate::api::responses::{AgreementMissing, AuthProblems, InputProblems};
use crate::app::{AppContext, read_usage};
use crate::domain::ids::AgreementId;
use crate::domain::money::Currency;
use crate::store::usage_list::Sum;

/// What an agreement used.
#[derive(Debug, Serialize, ToSchema)]
pub struct AgreementUsage {
    /// The agreement.
    agreement_id: AgreementId,
    /// The currency of all amounts; null where the plan has no prices.
    currency: Option<Currency>,
    /// Month by month and dimension by dimension; what cannot be billed stands apart.
    months: Vec<MonthOfUsage>,
}

/// What was used of a dimension in a month.
#[derive(Debug, Serialize, ToSchema)]
pub struct MonthOfUsage {
    /// The month, in UTC.
    #[schema(pattern = "^[0-9]{4}-[0-9]{2}$", example = "2026-11")]
    month: String,
    /// The dimension, by its key.
    #[schema(example = "endpoint_hours")]
    dimension: String,
    /// What it counts.
    #[schema(example = "UnitHrs")]
    unit: String,
    /// Where the figures come from: `endpoint_hours` or `reported`.
    #[schema(example = "endpoint_hours")]
    source: String,
    /// Whether somebody can be asked to pay: `billable` or `unbillable_grace`.
    #[schema(example = "billable")]
    billing: String,
    /// Of endpoint-hours: the exact figure.
    #[schema(example = 2_592_000)]
    seconds: Option<i64>,
    /// How much, as a decimal.
    #[schema(pattern = "^-?[0-9]+\\.[0-9]{8}$", example = "720.00000000")]
    quantity: String,
    /// What one costs.
    #[schema(pattern = "^[0-9]+\\.[0-9]{8}$", example = "0.02000000")]
    price: Option<String>,
    /// What it comes to, from the exact figures, rounded once to the currency's decimals. What was bought in advance is not taken off.
    #[schema(pattern = "^-?[0-9]+(\\.[0-9]+)?$", example = "14.40")]
    amount: Option<String>,
    /// How many rows there are.
    #[schema(minimum = 0, example = 720)]
    rows: i64,
    /// How many of them can still change.
    #[schema(minimum = 0, example = 1)]
    open_rows: i64,
    /// How many are later parts of an hour.
    #[schema(minimum = 0, example = 0)]
    late_rows: i64,
}

impl From<Sum> for MonthOfUsage {
    fn from(sum: Sum) -> Self {
        Self {
            month: sum.month,
            dimension: sum.dimension,
            unit: sum.unit,
            source: sum.source,
            billing: sum.billing,
            seconds: sum.seconds,
            quantity: sum.quantity,
            price: sum.price,
            amount: sum.amount,
            rows: sum.rows,
            open_rows: sum.open,
            late_rows: sum.late,
        }
    }
}

/// Sums up what an agreement used
///
/// By month and dimension, with what it comes to by the prices that the agreement pins.
#[utoipa::path(
    tag = "usage",
    params(("id" = AgreementId, Path, description = "The agreement.")),
    responses((status = 200, description = "What it used.", body = AgreementUsage), AuthProblems, InputProblems, AgreementMissing)
)]
#[get("/v1/agreements/{id}/usage")]
pub(super) async fn read_agreement_usage(
    _caller: Caller<Read>,
    ApiPath(id): ApiPath<AgreementId>,
    ctx: Data<AppContext>,
) -> Result<Json<AgreementUsage>, Problem> {
    let (currency, sums) = read_usage::sums(&ctx, id).await?;
    Ok(Json(AgreementUsage {
        agreement_id: id,
        currency,
        months: sums.into_iter().map(MonthOfUsage::from).collect(),
    }))
}
