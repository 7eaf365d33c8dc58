//! The ledger of use as CSV (RFC 4180).

use std::fmt::Write as _;

use chrono::{DateTime, SecondsFormat, Utc};

use crate::store::usage_list::Line;

/// How many lines are read at once.
pub(super) const LINES: i64 = 1_000;

const COLUMNS: [&str; 21] = [
    "usage_id",
    "agreement_id",
    "agreement_reference",
    "plan",
    "buyer_account",
    "consumer_account",
    "endpoint_id",
    "dimension",
    "unit",
    "hour",
    "part",
    "source",
    "seconds",
    "quantity",
    "price",
    "amount",
    "currency",
    "billing",
    "state",
    "sealed_at",
    "reason",
];

/// The line that names the columns.
pub(super) fn head() -> String {
    let mut head = COLUMNS.join(",");
    head.push_str("\r\n");
    head
}

/// Adds a line.
pub(super) fn line(to: &mut String, line: &Line) {
    let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    let some = |figure: &Option<String>| figure.clone().unwrap_or_default();
    let text = |words: &Option<String>| words.as_deref().map(cell).unwrap_or_default();
    // Figures, times and ids are ours, and are never quoted. Text is what others wrote.
    let row = &line.row;
    let cells: [String; COLUMNS.len()] = [
        row.id.to_string(),
        row.agreement.to_string(),
        cell(&line.reference),
        cell(&line.plan),
        line.buyer.clone(),
        some(&line.account),
        some(&line.endpoint),
        cell(&row.dimension),
        row.unit.clone(),
        time(row.hour),
        row.part.to_string(),
        row.source.to_string(),
        row.seconds.map(|it| it.to_string()).unwrap_or_default(),
        row.quantity.clone(),
        some(&row.price),
        some(&row.amount),
        some(&row.currency),
        row.billing.to_string(),
        row.state.to_string(),
        row.sealed_at.map(time).unwrap_or_default(),
        text(&row.reason),
    ];
    let _ = write!(to, "{}\r\n", cells.join(","));
}

/// Text in a cell. What a spreadsheet would take for a formula gets an apostrophe, which makes it text there.
fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    let guard = if formula { "'" } else { "" };
    if formula || text.contains(['"', ',', '\r', '\n']) {
        format!("\"{guard}{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_in_its_cell_and_is_no_formula() {
        for (text, written) in [
            ("Acme", "Acme"),
            ("", ""),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("two\r\nlines", "\"two\r\nlines\""),
            ("=1+1", "\"'=1+1\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("-key", "\"'-key\""),
            ("+1", "\"'+1\""),
            ("\tx", "\"'\tx\""),
        ] {
            assert_eq!(cell(text), written, "{text:?}");
        }
    }
}
