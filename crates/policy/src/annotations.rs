//! What a policy says about itself: `@id`, `@reason`, `@message`.

use cedar_policy::Policy;
use sha2::{Digest, Sha256};

use crate::diagnostic::Diagnostic;

/// The longest id and the longest reason code, in characters.
const MAX_WORD: usize = 64;
/// The longest message, in characters.
const MAX_MESSAGE: usize = 500;

/// A policy's own words.
#[derive(Debug, Clone)]
pub(crate) struct Annotations {
    pub(crate) id: String,
    pub(crate) reason: Option<String>,
    pub(crate) message: Option<String>,
}

impl Annotations {
    /// Reads them; `own` is the policy's text, which begins at the byte `start` of `text`.
    pub(crate) fn read(
        policy: &Policy,
        own: &str,
        start: usize,
        text: &str,
        wrong: &mut Vec<Diagnostic>,
    ) -> Self {
        let mut refuse = |name: &str, message: String, help: &str| {
            let inside = own.find(&format!("@{name}")).unwrap_or(0);
            wrong.push(Diagnostic::at(text, start + inside, message).help(help));
        };
        for (name, _) in policy.annotations() {
            if !matches!(name, "id" | "reason" | "message") {
                let message = format!("@{name} means nothing here");
                refuse(name, message, "there are @id, @reason and @message");
            }
        }
        let id = policy.annotation("id");
        if id.is_some_and(|id| !is_word(id)) {
            let message = format!("{:?} is no policy id", id.unwrap_or_default());
            refuse(
                "id",
                message,
                "use 1 to 64 of a-z, 0-9, _ and -, beginning with a letter",
            );
        }
        let reason = policy.annotation("reason");
        if reason.is_some_and(|reason| !is_word(reason)) {
            let message = format!("{:?} is no reason code", reason.unwrap_or_default());
            refuse(
                "reason",
                message,
                "use 1 to 64 of a-z, 0-9, _ and -, beginning with a letter",
            );
        }
        let message = policy.annotation("message");
        if message.is_some_and(|m| m.trim().is_empty() || m.chars().count() > MAX_MESSAGE) {
            let wrong = format!("a message has 1 to {MAX_MESSAGE} characters");
            refuse("message", wrong, "it is one sentence for the consumer");
        }
        Self {
            id: id.map_or_else(|| derived_id(own), ToOwned::to_owned),
            reason: reason.map(ToOwned::to_owned),
            message: message.map(ToOwned::to_owned),
        }
    }
}

fn is_word(word: &str) -> bool {
    word.len() <= MAX_WORD
        && word.starts_with(|c: char| c.is_ascii_lowercase())
        && word
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b))
}

/// The id of a policy without one: it stays the same while the policy's own text does, wherever it stands in the set.
fn derived_id(own: &str) -> String {
    format!("policy-{}", &digest(own)[..12])
}

/// The SHA-256 of a text in hexadecimal: what a set of it answers as its version.
pub fn digest(text: &str) -> String {
    let bytes = Sha256::digest(text.as_bytes());
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}
