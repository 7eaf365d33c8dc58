//! The catalogue, for those who buy: JSON for programs, a plain page for people, by what they accept. Nobody has to say who they are; a consumer who does sees what is
//! sold to its accounts too. HEAD is answered as GET, without the body.

mod markup;
mod page;
mod views;

use std::collections::BTreeSet;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, CONTENT_SECURITY_POLICY, ContentType, HeaderMap, HeaderValue};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, route};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::auth::Looker;
use super::extract::{ApiPath, ApiQuery};
use super::problem::Problem;
use super::responses::{AuthProblems, InputProblems, ListingMissing};
use super::v1::arguments::Limit;
use crate::app::code::Code;
use crate::app::{AppContext, read_catalog};
use crate::domain::ids::ListingId;
use crate::store::listings::CatalogFilter;
use views::{CatalogItemView, CatalogListingView};

/// A page loads nothing and runs nothing; its one form asks this server.
const PAGE_POLICY: &str =
    "default-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Registers the operations.
pub(super) fn configure(cfg: &mut ServiceConfig) {
    cfg.service(list_catalog).service(read_catalog_listing);
}

/// A page of the catalogue, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CatalogList {
    /// The rows.
    items: Vec<CatalogItemView>,
    /// Pass it as `cursor` to read on; null on the last page.
    next_cursor: Option<ListingId>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct CatalogQuery {
    /// Up to 10 words that stand in the title, the texts, the keywords or the categories; all of them, in any case.
    #[param(max_length = 200, example = "ledger")]
    search: Option<String>,
    /// Only what is shown in this category.
    #[param(max_length = 80, example = "Financial Services")]
    category: Option<String>,
    /// Only what can be reached from this Region.
    #[param(max_length = 40)]
    region: Option<String>,
    /// Where to read on: the `next_cursor` of the page before.
    cursor: Option<ListingId>,
    /// How many rows, 1 to 200.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 200, default = 50)]
    #[serde(default)]
    limit: Limit,
}

/// The longest texts that are looked for, in characters.
const LONGEST_SEARCH: usize = 200;
const LONGEST_CATEGORY: usize = 80;
const LONGEST_REGION: usize = 40;
/// How many words are looked for at once.
const MOST_WORDS: usize = 10;

/// What a form sent of a field; nothing where it was left empty.
fn given(name: &str, text: Option<&str>, longest: usize) -> Result<Option<String>, Problem> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let length = text.chars().count();
    if length > longest {
        let detail = format!("{name} has at most {longest} characters, not {length}.");
        return Err(Problem::new(Code::InvalidQuery, detail).field(name));
    }
    Ok(Some(text.to_owned()))
}

/// The words that are looked for, each once.
fn words(search: &str) -> Result<Vec<String>, Problem> {
    let words: BTreeSet<String> = search.split_whitespace().map(str::to_lowercase).collect();
    if words.len() > MOST_WORDS {
        let detail = format!(
            "search for at most {MOST_WORDS} words, not {}.",
            words.len()
        );
        return Err(Problem::new(Code::InvalidQuery, detail).field("search"));
    }
    Ok(words.into_iter().collect())
}

/// Lists what is sold
///
/// What is public, and with a token of a consumer what is sold to its accounts. With `Accept: text/html` the answer is a page.
#[utoipa::path(
    get,
    tag = "catalog",
    security((), ("bearer" = [])),
    params(CatalogQuery),
    responses(
        (status = 200, description = "A page, newest first.", content((CatalogList = "application/json"), (String = "text/html"))),
        AuthProblems, InputProblems
    )
)]
#[route("/catalog", method = "GET", method = "HEAD")]
async fn list_catalog(
    looker: Looker,
    request: HttpRequest,
    ApiQuery(query): ApiQuery<CatalogQuery>,
    ctx: Data<AppContext>,
) -> Result<HttpResponse, Problem> {
    let search = given("search", query.search.as_deref(), LONGEST_SEARCH)?;
    let category = given("category", query.category.as_deref(), LONGEST_CATEGORY)?;
    let region = given("region", query.region.as_deref(), LONGEST_REGION)?;
    let words = search.as_deref().map(words).transpose()?;
    let filter = CatalogFilter {
        words: words.as_deref(),
        category: category.as_deref(),
        region: region.as_deref(),
    };
    let listed =
        read_catalog::catalog(&ctx, looker.member(), &filter, query.cursor, query.limit.0).await?;
    let list = CatalogList {
        items: listed
            .items
            .into_iter()
            .map(CatalogItemView::from)
            .collect(),
        next_cursor: listed.next,
    };
    if wants_page(request.headers()) {
        let asked = page::Asked {
            filters: [
                ("search", "Search", search.as_deref()),
                ("category", "Category", category.as_deref()),
                ("region", "Region", region.as_deref()),
            ],
            limit: query.limit.0,
        };
        return Ok(html(page::list(&list.items, list.next_cursor, &asked)));
    }
    Ok(answer().json(list))
}

/// Reads what one listing sells
///
/// With its plans, where its services can be reached, and the offers that can be taken. One that is unlisted is shown to whoever knows its address. With `Accept: text/html`
/// the answer is a page, also where there is no such listing.
#[utoipa::path(
    get,
    tag = "catalog",
    security((), ("bearer" = [])),
    params(("id" = ListingId, Path, description = "The listing.")),
    responses(
        (status = 200, description = "What is sold.", content((CatalogListingView = "application/json"), (String = "text/html"))),
        AuthProblems, InputProblems, ListingMissing
    )
)]
#[route("/catalog/{id}", method = "GET", method = "HEAD")]
async fn read_catalog_listing(
    looker: Looker,
    request: HttpRequest,
    ApiPath(id): ApiPath<ListingId>,
    ctx: Data<AppContext>,
) -> Result<HttpResponse, Problem> {
    let found = match read_catalog::entry(&ctx, looker.member(), id).await {
        Err(error) if error.code() == Code::ListingNotFound && wants_page(request.headers()) => {
            let mut page = html(page::missing());
            *page.status_mut() = StatusCode::NOT_FOUND;
            return Ok(page);
        }
        found => found?,
    };
    let view = CatalogListingView::from(found);
    if wants_page(request.headers()) {
        return Ok(html(page::listing(&view)));
    }
    Ok(answer().json(view))
}

/// What is common to all answers: they depend on who asks, and for what.
fn answer() -> actix_web::HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::VARY, "Accept, Authorization"));
    response
}

fn html(page: String) -> HttpResponse {
    answer()
        .insert_header((
            CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(PAGE_POLICY),
        ))
        .content_type(ContentType::html())
        .body(page)
}

/// Whether a page is liked better than JSON, as RFC 9110 weighs them. Where nothing is said, or anything is good, it is JSON.
fn wants_page(headers: &HeaderMap) -> bool {
    let accepted: Vec<&str> = headers
        .get_all(header::ACCEPT)
        .filter_map(|it| it.to_str().ok())
        .collect();
    let accepted = accepted.join(",");
    let weight = |ranges: [&str; 3]| {
        ranges.iter().find_map(|wanted| {
            accepted.split(',').find_map(|range| {
                let mut parts = range.split(';').map(str::trim);
                let named = parts.next()?.eq_ignore_ascii_case(wanted);
                let quality = parts.find_map(|part| part.strip_prefix("q="));
                named.then(|| {
                    quality
                        .map_or(Some(1.0), |it| it.parse::<f32>().ok())
                        .unwrap_or(0.0)
                })
            })
        })
    };
    let page = weight(["text/html", "text/*", "text/html"]);
    let json = weight(["application/json", "application/*", "*/*"]);
    page.is_some_and(|page| page > json.unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepting(value: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        if let Some(value) = value {
            headers.insert(header::ACCEPT, HeaderValue::from_str(value).unwrap());
        }
        wants_page(&headers)
    }

    #[test]
    fn browsers_get_a_page_and_programs_json() {
        for page in [
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "text/html",
            "TEXT/HTML;q=0.5",
            "application/json;q=0.4, text/html;q=0.5",
        ] {
            assert!(accepting(Some(page)), "{page}");
        }
        for json in [
            "*/*",
            "application/json",
            "text/html;q=0.4, application/json",
            "text/html;q=0",
            "text/html, */*",
            "image/png",
            "text/html;q=x",
        ] {
            assert!(!accepting(Some(json)), "{json}");
        }
        assert!(!accepting(None));
    }
}
