//! Secrets on their way in, and errors on their way out.

use std::path::Path;

use secrecy::SecretString;

/// Reads a secret from a file of its own. What ends the last line does not belong to it.
pub(super) fn read(key: &str, file: &Path) -> Result<SecretString, String> {
    let path = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| format!("{key} {path}: {error}"))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(format!("{key} {path}: the file is empty"));
    }
    Ok(text.to_owned().into())
}

/// Fails where a file is no TOML, and says where and why. The parser's own words would show the line, and a secret may be in it.
pub(super) fn check_syntax(file: &Path) -> Result<(), String> {
    let path = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| format!("{path}: {error}"))?;
    let Err(error) = toml::from_str::<toml::Table>(&text) else {
        return Ok(());
    };
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = before.map_or(1, |before| before.matches('\n').count() + 1);
    let why = without_credentials(error.message());
    Err(format!("{path}: line {line}: {why}"))
}

/// The text with what stands between `://` and `@` left out: an error may repeat a value, and a value may be a URL in the wrong place.
pub(super) fn without_credentials(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        shown.push_str(before);
        shown.push_str("://");
        // A password may hold anything, so the last @ before the next blank counts.
        let end = after.find(char::is_whitespace).unwrap_or(after.len());
        let (word, behind) = after.split_at(end);
        match word.rfind('@') {
            Some(at) => {
                shown.push_str("[left out]");
                rest = after.get(at..).unwrap_or(behind);
            }
            None => rest = after,
        }
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_left_out_of_urls() {
        for (text, shown) in [
            ("nothing here", "nothing here"),
            ("see https://example.com/x", "see https://example.com/x"),
            (
                "string \"postgres://me:pass@db/x\", expected a map",
                "string \"postgres://[left out]@db/x\", expected a map",
            ),
            ("a://b:c@d e://f:g@h@i", "a://[left out]@d e://[left out]@i"),
        ] {
            assert_eq!(without_credentials(text), shown);
        }
    }
}
