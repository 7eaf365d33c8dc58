//! Why a policy does not apply: the first of its clauses that is not met.
//!
//! A policy is taken apart into clauses: its scope, then each condition, cut at its outermost `&&` (in an `unless`: `||`). They are tried in order, each together with
//! those before it, because an earlier one (`context has agreement`) is often what makes a later one safe to ask. This is slow and for people; deciding does not use it.

use cedar_policy::{Authorizer, Decision, Policy, PolicyId, PolicySet as CedarSet};
use serde_json::{Value, json};

use crate::compile::{OnePolicy, PolicySet};
use crate::facts::Facts;
use crate::request::Question;
use crate::verdict::{Effect, Failure};

/// One policy's part in a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// The policy.
    pub id: String,
    /// What it does where it applies: [`Effect::Permit`] or [`Effect::Forbid`].
    pub effect: Effect,
    /// Whether it applies, and if not, why not.
    pub answer: Answer,
}

/// Whether a policy applies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Every clause is met.
    Applies,
    /// The clause that would have to be met first, as Cedar writes it, and how many clauses before it are met, of how many in all.
    Unmet {
        /// The clause.
        clause: String,
        /// Clauses before it, all met.
        met: usize,
        /// Clauses of the policy.
        of: usize,
    },
    /// It could not be evaluated, or not be taken apart.
    Failed(String),
}

impl PolicySet {
    /// What each policy says about a request, and what is missing where it does not apply: those that apply first, then those that come nearest.
    pub fn explain(&self, facts: &Facts) -> Result<Vec<Explained>, Failure> {
        let question = Question::of(facts, None).map_err(|message| Failure {
            policy: String::new(),
            message,
        })?;
        let mut explained: Vec<(f64, Explained)> = self
            .policies
            .iter()
            .map(|OnePolicy { told, policy, .. }| {
                let effect = match policy.effect() {
                    cedar_policy::Effect::Permit => Effect::Permit,
                    cedar_policy::Effect::Forbid => Effect::Forbid,
                };
                let answer = answer(policy, &question);
                (
                    nearness(&answer),
                    Explained {
                        id: told.id.clone(),
                        effect,
                        answer,
                    },
                )
            })
            .collect();
        explained.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        Ok(explained
            .into_iter()
            .map(|(_, explained)| explained)
            .collect())
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a few hundred clauses, only compared"
)]
fn nearness(answer: &Answer) -> f64 {
    match answer {
        Answer::Applies => 2.0,
        Answer::Failed(_) => 1.0,
        Answer::Unmet { met, of, .. } => *met as f64 / *of as f64,
    }
}

fn answer(policy: &Policy, question: &Question) -> Answer {
    match holds(policy, question) {
        Ok(true) => return Answer::Applies,
        Ok(false) => {}
        Err(message) => return Answer::Failed(message),
    }
    first_unmet(policy, question).unwrap_or_else(Answer::Failed)
}

fn first_unmet(policy: &Policy, question: &Question) -> Result<Answer, String> {
    let whole = policy.to_json().map_err(|e| e.to_string())?;
    let clauses = clauses(&whole);
    let mut partial = json!({
        "effect": "permit",
        "principal": { "op": "All" },
        "action": { "op": "All" },
        "resource": { "op": "All" },
        "conditions": [],
    });
    for (met, clause) in clauses.iter().enumerate() {
        match clause {
            Clause::Scope(variable, constraint) => partial[*variable] = constraint.clone(),
            Clause::Condition(condition) => {
                if let Some(conditions) = partial["conditions"].as_array_mut() {
                    conditions.push(condition.clone());
                }
            }
        }
        if !holds(&read(&partial)?, question)? {
            return Ok(Answer::Unmet {
                clause: clause.text()?,
                met,
                of: clauses.len(),
            });
        }
    }
    Err("each clause is met, and yet the policy does not apply".to_owned())
}

/// A part of a policy that is met or not.
enum Clause {
    /// A variable of the scope and its constraint.
    Scope(&'static str, Value),
    /// A `when` or `unless`.
    Condition(Value),
}

fn clauses(policy: &Value) -> Vec<Clause> {
    let mut clauses: Vec<Clause> = ["principal", "action", "resource"]
        .into_iter()
        .filter(|variable| policy[variable]["op"] != "All")
        .map(|variable| Clause::Scope(variable, policy[variable].clone()))
        .collect();
    for condition in policy["conditions"].as_array().into_iter().flatten() {
        let operator = if condition["kind"] == "when" {
            "&&"
        } else {
            "||"
        };
        let mut parts = Vec::new();
        cut(&condition["body"], operator, &mut parts);
        clauses.extend(
            parts
                .into_iter()
                .map(|part| Clause::Condition(json!({ "kind": condition["kind"], "body": part }))),
        );
    }
    clauses
}

/// The operands of a chain of one operator.
pub(crate) fn cut<'a>(expression: &'a Value, operator: &str, into: &mut Vec<&'a Value>) {
    if let Some(operands) = expression.get(operator) {
        cut(&operands["left"], operator, into);
        cut(&operands["right"], operator, into);
    } else {
        into.push(expression);
    }
}

impl Clause {
    /// The clause as Cedar writes it.
    fn text(&self) -> Result<String, String> {
        match self {
            Self::Scope(variable, constraint) => Ok(scope_text(variable, constraint)),
            Self::Condition(condition) => {
                let policy = json!({
                    "effect": "permit",
                    "principal": { "op": "All" },
                    "action": { "op": "All" },
                    "resource": { "op": "All" },
                    "conditions": [condition],
                });
                let text = read(&policy)?.to_string();
                let inside = text
                    .split_once('{')
                    .and_then(|(_, rest)| rest.rsplit_once('}'));
                let inside = inside.map_or(text.trim(), |(inside, _)| inside.trim());
                let words = inside.split_whitespace().collect::<Vec<_>>().join(" ");
                Ok(if condition["kind"] == "unless" {
                    format!("unless {words}")
                } else {
                    words
                })
            }
        }
    }
}

fn scope_text(variable: &str, constraint: &Value) -> String {
    let entity = |value: &Value| {
        let (kind, id) = (value["type"].as_str(), value["id"].as_str());
        format!("{}::{:?}", kind.unwrap_or_default(), id.unwrap_or_default())
    };
    let mut text = variable.to_owned();
    if let Some(kind) = constraint["entity_type"].as_str() {
        text = format!("{text} is {kind}");
    }
    let within = if constraint["op"] == "is" {
        &constraint["in"]
    } else {
        constraint
    };
    let operator = if constraint["op"] == "==" { "==" } else { "in" };
    if let Some(list) = within["entities"].as_array() {
        let list: Vec<String> = list.iter().map(entity).collect();
        return format!("{text} {operator} [{}]", list.join(", "));
    }
    if within["entity"].is_object() {
        return format!("{text} {operator} {}", entity(&within["entity"]));
    }
    text
}

fn read(policy: &Value) -> Result<Policy, String> {
    Policy::from_json(None, policy.clone()).map_err(|e| e.to_string())
}

/// Whether one policy, whatever its effect, applies.
fn holds(policy: &Policy, question: &Question) -> Result<bool, String> {
    let mut alone = CedarSet::new();
    alone
        .add(policy.new_id(PolicyId::new("alone")))
        .map_err(|e| e.to_string())?;
    let response = Authorizer::new().is_authorized(&question.request, &alone, &question.entities);
    if let Some(error) = response.diagnostics().errors().next() {
        return Err(error.to_string());
    }
    let applies = response.diagnostics().reason().next().is_some();
    Ok(applies || response.decision() == Decision::Allow)
}
