//! Files that are sent: texts and JSON, `-` for standard input.

use std::io::Read as _;
use std::path::Path;

use serde_json::Value;

use crate::outcome::Failure;

/// The text of a file.
pub(super) fn text(path: &Path) -> Result<String, Failure> {
    let named = |error: std::io::Error| Failure::Usage(format!("{}: {error}", path.display()));
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(named)?;
        Ok(text)
    } else {
        std::fs::read_to_string(path).map_err(named)
    }
}

/// The JSON of a file.
pub(super) fn json(path: &Path) -> Result<Value, Failure> {
    serde_json::from_str(&text(path)?)
        .map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))
}
