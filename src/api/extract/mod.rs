//! What a handler takes from a request besides the caller: a body, a query, a path.
//!
//! Each extractor refuses with a documented problem instead of the framework's plain text, so that
//! no caller ever meets an answer that the OpenAPI document does not describe. Which names a body or
//! a query may carry is the business of its type (`#[serde(deny_unknown_fields)]`).

mod body;
mod json;
mod path;
mod query;

pub(super) use body::{BodyLimits, whole_body};
pub use json::ApiJson;
pub use path::ApiPath;
pub use query::ApiQuery;

/// Turns an error's clause into a sentence that may stand after another one.
fn sentence(clause: &dyn std::fmt::Display) -> String {
    let mut text = clause.to_string();
    if !text.ends_with(['.', '!', '?']) {
        text.push('.');
    }
    text
}
