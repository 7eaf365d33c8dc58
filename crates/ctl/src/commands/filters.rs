//! The query of a list, from options that may be absent.

use crate::outcome::Failure;
use crate::pages::{self, Wanted};
use crate::session::Session;
use crate::table::Column;

/// Filters under the API's own names. An absent one is left out.
#[derive(Debug, Default)]
pub(super) struct Filters(pub(super) Vec<(&'static str, String)>);

impl Filters {
    /// With one more, if it is given.
    pub(super) fn with(mut self, name: &'static str, value: Option<impl ToString>) -> Self {
        self.0.extend(value.map(|value| (name, value.to_string())));
        self
    }
}

/// Reads a list as far as it is wanted, and shows it.
pub(super) async fn list(
    session: &Session,
    segments: &[&str],
    filters: Filters,
    columns: &[Column],
) -> Result<(), Failure> {
    list_from(session, segments, &filters, session.wanted, None, columns).await?;
    Ok(())
}

/// The same from a cursor on, which may be a feed's. Answers where to read on.
pub(super) async fn list_from(
    session: &Session,
    segments: &[&str],
    filters: &Filters,
    wanted: Wanted,
    from: Option<String>,
    columns: &[Column],
) -> Result<Option<String>, Failure> {
    let rows = pages::read(&session.client, segments, &filters.0, wanted, from).await?;
    let next = rows.next.clone();
    session.output.list(rows, columns)?;
    Ok(next)
}

/// Reads one thing, and shows it.
pub(super) async fn show(session: &Session, segments: &[&str]) -> Result<(), Failure> {
    let answer = session.client.get(segments, &[]).await?;
    session.output.record(&answer)
}
