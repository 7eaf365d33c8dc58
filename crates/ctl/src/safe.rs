//! Text of others on a terminal. A name or a reason can hold escape sequences that move the cursor, change what was printed above, or
//! type into the shell; and marks that turn the direction of what follows. None of that reaches the terminal as it is.

use std::fmt::Write as _;

/// Whether colours may be used at all: not where `NO_COLOR` is set (<https://no-color.org>) or the terminal cannot.
pub(crate) fn colour_is_wanted() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Text for one line: every character that does something instead of showing something is written as `\n`, `\t` or `\u{…}`.
pub(crate) fn line(text: &str) -> String {
    escape(text, |_| false)
}

/// Text for several lines: as [`line`], but line feeds stay.
pub(crate) fn lines(text: &str) -> String {
    escape(text, |c| c == '\n')
}

/// A JSON text for a terminal: the same JSON, with such characters written as JSON escapes. Within strings only: outside of them there are none but
/// line feeds, carriage returns and tabs.
pub(crate) fn json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if does_something(c) && !matches!(c, '\n' | '\r' | '\t') {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out
}

fn escape(text: &str, stays: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if does_something(c) && !stays(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// Control characters of both blocks, separators of lines, and what changes the direction of text or is not seen at all.
fn does_something(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_written_out() {
        assert_eq!(line("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(line("\u{9b}31m"), "\\u{9b}31m");
        assert_eq!(line("one\ntwo\ttab\r"), "one\\ntwo\\ttab\\r");
        assert_eq!(line("\u{202e}cod.exe"), "\\u{202e}cod.exe");
        assert_eq!(line("\u{7}\u{8}\u{7f}\u{0}"), "\\u{7}\\u{8}\\u{7f}\\u{0}");
        assert_eq!(lines("one\ntwo\u{1b}"), "one\ntwo\\u{1b}");
    }

    #[test]
    fn what_shows_something_stays() {
        let text = "Grün 東京 🦀 \"quoted\" \\ vpce-0123";
        assert_eq!(line(text), text);
    }

    #[test]
    fn json_stays_the_same_json() {
        let value = serde_json::json!({ "a": "\u{9b}31m\u{202e}x\u{e0041}" });
        let shown = json(&value.to_string());
        assert!(!shown.chars().any(does_something), "{shown}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&shown).expect("JSON"),
            value
        );
    }
}
