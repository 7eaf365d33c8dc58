//! From text to a set that can decide.

use std::collections::HashMap;
use std::str::FromStr;

use cedar_policy::{Policy, PolicyId, PolicySet as CedarSet, ValidationMode, Validator};

use crate::annotations::{Annotations, digest};
use crate::diagnostic::Diagnostic;
use crate::guard::{self, MAX_POLICIES};
use crate::prefilter::Test;
use crate::verdict::Matched;
use crate::vocabulary::Vocabulary;
use crate::words;

/// The most things that are told of one text.
const MAX_DIAGNOSTICS: usize = 100;

/// A set of policies that was parsed, checked against the schema, and can decide. Cheap to ask, also from many threads; made once for a text.
#[derive(Debug)]
pub struct PolicySet {
    /// All of them together.
    pub(crate) cedar: CedarSet,
    /// Each by itself, in the order of the text.
    pub(crate) policies: Vec<OnePolicy>,
    /// Where each stands among them.
    pub(crate) by_id: HashMap<String, usize>,
    warnings: Vec<Diagnostic>,
    version: String,
}

/// A policy of a set.
#[derive(Debug)]
pub(crate) struct OnePolicy {
    /// What it says about itself.
    pub(crate) told: Matched,
    /// What can be said of it without asking Cedar.
    pub(crate) test: Test,
    /// A set with this policy alone.
    pub(crate) alone: CedarSet,
    pub(crate) policy: Policy,
}

impl PolicySet {
    /// Parses a text and checks it strictly against the schema. What is wrong comes with line and column, in the order of the text, at most 100 at once.
    ///
    /// An empty text is a set that says nothing about anything.
    pub fn compile(text: &str) -> Result<Self, Vec<Diagnostic>> {
        guard::check(text).map_err(|wrong| vec![wrong])?;
        let vocabulary = Vocabulary::get().map_err(|e| vec![Diagnostic::at(text, 0, e)])?;
        let parsed = CedarSet::from_str(text)
            .map_err(|errors| sorted(errors.iter().map(|e| Diagnostic::from_cedar(text, e))))?;
        let mut wrong = Vec::new();
        if let Some(template) = parsed.templates().next() {
            let at = text
                .find("?principal")
                .or_else(|| text.find("?resource"))
                .unwrap_or(0);
            let message = format!(
                "{} has a slot, which only a template may have",
                template.id()
            );
            wrong.push(Diagnostic::at(text, at, message).help("write the value in its place"));
        }
        let (cedar, policies) = named(text, &parsed, &mut wrong);
        let result =
            Validator::new(vocabulary.schema.clone()).validate(&cedar, ValidationMode::Strict);
        wrong.extend(
            result
                .validation_errors()
                .map(|e| Diagnostic::from_cedar(text, e)),
        );
        if !wrong.is_empty() {
            return Err(sorted(wrong.into_iter()));
        }
        let warnings = result
            .validation_warnings()
            .map(|w| Diagnostic::from_cedar(text, w));
        let by_id = policies
            .iter()
            .enumerate()
            .map(|(at, one)| (one.told.id.clone(), at));
        Ok(Self {
            warnings: sorted(warnings),
            version: digest(text),
            by_id: by_id.collect(),
            cedar,
            policies,
        })
    }

    /// The SHA-256 of the text, in hexadecimal: which text decided.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// How many policies there are.
    pub fn len(&self) -> usize {
        self.policies.len()
    }

    /// Whether there is no policy.
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }

    /// The ids of the policies, in the order of the text.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.policies.iter().map(|one| one.told.id.as_str())
    }

    /// What compiles and yet is hardly meant, such as a policy that can never apply.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }
}

/// The same policies under the ids that they give themselves.
fn named(text: &str, parsed: &CedarSet, wrong: &mut Vec<Diagnostic>) -> (CedarSet, Vec<OnePolicy>) {
    let mut given: Vec<&Policy> = parsed.policies().collect();
    // Cedar numbers them in the order of the text: policy0, policy1 and so on.
    given.sort_by_key(|policy| number(policy.id()));
    let (mut cedar, mut policies) = (CedarSet::new(), Vec::new());
    let mut from = 0;
    for policy in given {
        let own = policy.to_string();
        let start = text[from..].find(&own).map_or(from, |at| from + at);
        from = (start + own.len()).min(text.len());
        if policies.len() == MAX_POLICIES {
            let message = format!("there are more than {MAX_POLICIES} policies");
            wrong.push(Diagnostic::at(text, start, message));
            break;
        }
        let Annotations {
            id,
            reason,
            message,
        } = Annotations::read(policy, &own, start, text, wrong);
        let policy = policy.new_id(PolicyId::new(&id));
        if cedar.add(policy.clone()).is_err() {
            let message = format!("another policy has the id {id:?} too");
            wrong.push(Diagnostic::at(text, start, message).help("give each its own @id"));
            continue;
        }
        match one(
            policy,
            Matched {
                id,
                reason,
                message,
            },
        ) {
            Ok((one, json)) => {
                check_words(&json, &own, start, text, wrong);
                policies.push(one);
            }
            Err(message) => wrong.push(Diagnostic::at(text, start, message)),
        }
    }
    (cedar, policies)
}

fn one(policy: Policy, told: Matched) -> Result<(OnePolicy, serde_json::Value), String> {
    let json = policy.to_json().map_err(|e| e.to_string())?;
    let mut alone = CedarSet::new();
    alone.add(policy.clone()).map_err(|e| e.to_string())?;
    Ok((
        OnePolicy {
            told,
            test: Test::of(&json),
            alone,
            policy,
        },
        json,
    ))
}

fn check_words(
    json: &serde_json::Value,
    own: &str,
    start: usize,
    text: &str,
    wrong: &mut Vec<Diagnostic>,
) {
    let mut unknown = Vec::new();
    words::unknown(&json["conditions"], &mut unknown);
    for words::Unknown {
        word,
        attribute,
        known,
    } in unknown
    {
        let at = start + own.find(&format!("\"{word}\"")).unwrap_or(0);
        let message = format!("{attribute} is never {word:?}");
        wrong.push(
            Diagnostic::at(text, at, message).help(format!("it is one of {}", known.join(", "))),
        );
    }
}

fn number(id: &PolicyId) -> usize {
    let id: &str = id.as_ref();
    id.trim_start_matches("policy")
        .parse()
        .unwrap_or(usize::MAX)
}

fn sorted(found: impl Iterator<Item = Diagnostic>) -> Vec<Diagnostic> {
    let mut found: Vec<Diagnostic> = found.collect();
    found.sort_by(|a, b| (a.place, &a.message).cmp(&(b.place, &b.message)));
    found.dedup();
    found.truncate(MAX_DIAGNOSTICS);
    found
}
