//! Lists, page by page. The API pages by key: the next page begins after the last row of this one, so rows that appear meanwhile shift nothing.

use serde_json::{Value, json};

use crate::client::Client;
use crate::outcome::Failure;

/// The most rows that the API gives at once.
const LARGEST_PAGE: u64 = 200;

/// How much of a list is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// One page, as long as the API makes it.
    Page,
    /// So many rows.
    Rows(u64),
    /// Everything.
    All,
}

impl Wanted {
    /// What the options ask for.
    pub(crate) fn new(limit: Option<u64>, all: bool) -> Self {
        match (limit, all) {
            (_, true) => Self::All,
            (Some(rows), false) => Self::Rows(rows),
            (None, false) => Self::Page,
        }
    }

    /// What to ask for, having so many rows already.
    fn next(self, have: u64) -> Next {
        match self {
            Self::Page if have == 0 => Next::Page,
            Self::Page => Next::Enough,
            Self::Rows(rows) if rows <= have => Next::Enough,
            Self::Rows(rows) => Next::Rows((rows - have).min(LARGEST_PAGE)),
            Self::All => Next::Rows(LARGEST_PAGE),
        }
    }
}

/// What to ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Nothing more.
    Enough,
    /// A page, as long as the API makes it.
    Page,
    /// At most so many rows.
    Rows(u64),
}

/// A part of a list, whole pages of it put together.
#[derive(Debug)]
pub(crate) struct Rows {
    /// The rows.
    pub(crate) items: Vec<Value>,
    /// Where to read on; none at the end, unless the list is a feed, which has none.
    pub(crate) next: Option<String>,
    /// Whether there is more now.
    pub(crate) more: bool,
    /// What the API said, where it was asked once.
    pub(crate) text: Option<String>,
}

impl Rows {
    /// The same as one document in the API's own form.
    pub(crate) fn document(self) -> String {
        let (items, next) = (self.items, self.next);
        self.text
            .unwrap_or_else(|| json!({ "items": items, "next_cursor": next }).to_string())
    }
}

/// Reads a list, from a cursor on if there is one.
pub(crate) async fn read(
    client: &Client,
    segments: &[&str],
    filters: &[(&str, String)],
    wanted: Wanted,
    from: Option<String>,
) -> Result<Rows, Failure> {
    let mut rows = Rows {
        items: Vec::new(),
        next: from,
        more: false,
        text: None,
    };
    let mut asked = 0;
    loop {
        let mut query = filters.to_vec();
        match wanted.next(rows.items.len() as u64) {
            Next::Enough => break,
            Next::Page => {}
            Next::Rows(limit) => query.push(("limit", limit.to_string())),
        }
        let before = rows.next.take();
        query.extend(before.clone().map(|cursor| ("cursor", cursor)));
        let answer = client.get(segments, &query).await?;
        let mut page = answer.json()?;
        let Value::Array(items) = page["items"].take() else {
            return Err(Failure::Garbled("the answer is not a list".to_owned()));
        };
        let empty = items.is_empty();
        rows.items.extend(items);
        rows.next = page["next_cursor"].as_str().map(str::to_owned);
        asked += 1;
        rows.text = (asked == 1).then_some(answer.text);
        // A feed always names a next place, and says whether there is anything there; a page of it may be empty. Of a list, an empty page is the end, too: a server that always
        // names a next one must not hold us for ever.
        let feed = page["has_more"].as_bool();
        rows.more = feed.unwrap_or(rows.next.is_some() && !empty) && rows.next != before;
        if !rows.more {
            break;
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_asked_for_than_is_wanted() {
        assert_eq!(Wanted::Rows(450).next(0), Next::Rows(200));
        assert_eq!(Wanted::Rows(450).next(400), Next::Rows(50));
        assert_eq!(Wanted::Rows(450).next(450), Next::Enough);
        assert_eq!(Wanted::Page.next(0), Next::Page);
        assert_eq!(Wanted::Page.next(50), Next::Enough);
        assert_eq!(Wanted::All.next(1_000_000), Next::Rows(200));
    }
}
