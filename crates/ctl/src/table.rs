//! Tables for people. Nothing from the server reaches the terminal without [`safe::line`].

use comfy_table::presets::NOTHING;
use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table};
use serde_json::Value;

use crate::safe;

/// A column: its heading, and where its value is in a row, member by member with dots.
pub(crate) type Column = (&'static str, &'static str);

/// The most that a cell shows of a text, in characters.
const WIDEST: usize = 100;

/// A row for each item.
pub(crate) fn list(items: &[Value], columns: &[Column], terminal: bool) -> String {
    let mut table = empty(terminal);
    table.set_header(
        columns
            .iter()
            .map(|(heading, _)| Cell::new(heading).add_attribute(Attribute::Bold)),
    );
    for item in items {
        table.add_row(
            columns
                .iter()
                .map(|(_, path)| coloured(&short(&say(at(item, path))))),
        );
    }
    table.trim_fmt()
}

/// A line for each member, members of members with dots.
pub(crate) fn record(value: &Value, terminal: bool) -> String {
    let mut lines = Vec::new();
    flatten("", value, &mut lines);
    let mut table = empty(terminal);
    for (name, text) in lines {
        table.add_row([
            Cell::new(name).add_attribute(Attribute::Bold),
            coloured(&text),
        ]);
    }
    table.trim_fmt()
}

fn empty(terminal: bool) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    if terminal {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    } else {
        table.set_content_arrangement(ContentArrangement::Disabled);
    }
    if !terminal || !safe::colour_is_wanted() {
        table.force_no_tty();
    }
    table
}

fn at<'a>(item: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(item, |value, member| &value[member])
}

/// A value in a word or a line.
fn say(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => safe::line(text),
        Value::Array(items)
            if items
                .iter()
                .all(|item| !item.is_object() && !item.is_array()) =>
        {
            if items.is_empty() {
                return "-".to_owned();
            }
            items.iter().map(say).collect::<Vec<_>>().join(", ")
        }
        Value::Array(items) => format!("{} of them", items.len()),
        other => safe::line(&other.to_string()),
    }
}

fn short(text: &str) -> String {
    if text.chars().count() <= WIDEST {
        return text.to_owned();
    }
    let mut kept: String = text.chars().take(WIDEST - 1).collect();
    kept.push('…');
    kept
}

fn flatten(name: &str, value: &Value, lines: &mut Vec<(String, String)>) {
    let under = |member: &str| {
        if name.is_empty() {
            member.to_owned()
        } else {
            format!("{name}.{member}")
        }
    };
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (member, value) in members {
                flatten(&under(&safe::line(member)), value, lines);
            }
        }
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            for (index, item) in items.iter().enumerate() {
                flatten(&under(&index.to_string()), item, lines);
            }
        }
        Value::Object(_) | Value::Null => lines.push((name.to_owned(), "-".to_owned())),
        other => lines.push((name.to_owned(), say(other))),
    }
}

/// A word that says how things stand, in the colour that people expect.
fn coloured(text: &str) -> Cell {
    let colour = match text {
        "available" | "accepted" | "active" | "done" | "passed" | "decided" | "approved"
        | "adopted" | "pass" => Color::Green,
        "waiting" | "undecided" | "accepting" | "rejecting" | "revoking" | "due" | "confirming"
        | "draining" | "open" | "held" | "warn" | "draft" | "requested" => Color::Yellow,
        "stalled" | "rejected" | "revoked" | "failed" | "refused" | "given_up" | "fail"
        | "blocked" => Color::Red,
        _ => return Cell::new(text),
    };
    Cell::new(text).fg(colour)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_list_has_a_heading_and_a_line_for_each_row() {
        let items = [
            json!({"id": "con_1", "sync": {"state": "idle"}}),
            json!({"id": "con_22", "sync": null}),
        ];
        let shown = list(&items, &[("ID", "id"), ("SYNC", "sync.state")], false);
        let lines: Vec<Vec<&str>> = shown
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(lines, [["ID", "SYNC"], ["con_1", "idle"], ["con_22", "-"]]);
    }

    #[test]
    fn text_of_others_cannot_steer_the_terminal_or_begin_a_row() {
        let evil = "\u{1b}]0;title\u{7}\ncon_9 available\u{202e}";
        let items = [json!({"id": "con_1", "name": evil})];
        for shown in [
            list(&items, &[("ID", "id"), ("NAME", "name")], false),
            record(&items[0], false),
        ] {
            assert!(
                !shown.contains('\u{1b}')
                    && !shown.contains('\u{202e}')
                    && !shown.contains('\u{7}')
            );
            assert!(
                shown
                    .lines()
                    .all(|line| !line.trim_start().starts_with("con_9")),
                "{shown}"
            );
        }
        let member = json!({"\u{1b}[2J": 1});
        assert!(!record(&member, false).contains('\u{1b}'));
    }

    #[test]
    fn a_record_is_flat() {
        let value =
            json!({"a": {"b": 1, "c": []}, "d": [{"e": "x"}], "f": null, "g": ["p", "q"], "h": {}});
        let shown = record(&value, false);
        let lines: Vec<String> = shown
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(lines, ["a.b 1", "a.c -", "d.0.e x", "f -", "g p, q", "h -"]);
    }

    #[test]
    fn a_long_text_is_cut_in_a_list_only() {
        let long = "é".repeat(500);
        let items = [json!({"text": long})];
        assert!(list(&items, &[("TEXT", "text")], false).contains('…'));
        assert!(record(&items[0], false).contains(&long));
    }
}
