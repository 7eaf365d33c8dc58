//! Why a connection was judged as it was: its last judgement, made again from its record, and what each policy says.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::code::Code;
use super::context::off_thread;
use super::policies::{self, Explained, PolicySets};
use super::policy_shelf::Set;
use super::read::Listed;
use super::{AppContext, AppError};
use crate::domain::decision::{Decision, Facts, Remedy, remedies, replay};
use crate::domain::ids::{ConnectionId, JudgementId, PolicyId};
use crate::domain::judgement::Judgement;
use crate::domain::policy::ActivePolicy;
use crate::store::decisions::{self, Standing};
use crate::store::policies as store;
use crate::store::{PgConnection, connections, judge_wakes, judgements};

/// A judgement made again from its record.
#[derive(Debug)]
pub enum Replayed {
    /// With the facts and the texts of then, this comes out.
    Decided(Decision),
    /// It cannot be made again, and why.
    Impossible(String),
}

/// What the policies of one text say.
#[derive(Debug)]
pub struct ExplainedSet {
    /// The policy that has the text.
    pub policy: PolicyId,
    /// The text's SHA-256.
    pub version: String,
    /// Each of its policies: those that apply first, then those that come nearest.
    pub policies: Vec<Explained>,
}

/// Why a connection was judged as it was.
#[derive(Debug)]
pub struct Explanation {
    /// The last judgement.
    pub judgement: Judgement,
    /// When the same was last said from the same facts, but for the time.
    pub last_judged_at: DateTime<Utc>,
    /// The decision that stands. The judgement was kept with it, or is older: what nobody is asked about has none of its own.
    pub decision: Option<Standing>,
    /// What comes out now.
    pub replayed: Replayed,
    /// What the policies say that were asked; none where a gate decided before them.
    pub sets: Vec<ExplainedSet>,
    /// What would have to change; nothing where it accepts, or where its facts cannot be read.
    pub remedies: Vec<Remedy>,
}

impl Explanation {
    /// Whether the same comes out as then.
    pub fn is_same(&self) -> bool {
        matches!(&self.replayed, Replayed::Decided(now) if *now == self.judgement.decision)
    }
}

/// Explains the last judgement of a connection.
pub async fn explain(ctx: &AppContext, id: ConnectionId) -> Result<Explanation, AppError> {
    let (judgement, last_held, decision, texts) = {
        let conn: &mut PgConnection = &mut *ctx.acquire().await?;
        refuse_missing(conn, id).await?;
        let judgement = judgements::latest(conn, id).await?;
        let unjudged = || {
            let detail = format!("neither gates nor policies were asked about {id} yet");
            AppError::new(Code::JudgementNotFound, detail)
        };
        let judgement = judgement.ok_or_else(unjudged)?;
        let texts = store::by_digest(conn, &judgement.decision.policy_versions).await?;
        let last_held = judge_wakes::last_held(conn, id).await?;
        let decision = decisions::standing(conn, id).await?;
        (judgement, last_held, decision, texts)
    };
    // Of a decision that nobody was heard for, what gates and policies said before would be no way out.
    let speaks = decision
        .as_ref()
        .is_none_or(|standing| judgement.decided == Some(standing.id));
    let (remedies, (replayed, sets)) = match Facts::from_json(&judgement.facts) {
        Ok(facts) => (
            if speaks {
                remedies(&judgement.decision, &facts)
            } else {
                Vec::new()
            },
            made_again(&judgement, facts, &texts).await?,
        ),
        Err(why) => (Vec::new(), impossible(why.to_string())),
    };
    Ok(Explanation {
        last_judged_at: last_held.map_or(judgement.at, |held| held.max(judgement.at)),
        judgement,
        decision,
        replayed,
        sets,
        remedies,
    })
}

/// A judgement, decided again by the texts of then, and what each of them says.
type MadeAgain = (Replayed, Vec<ExplainedSet>);

fn impossible(why: String) -> MadeAgain {
    (Replayed::Impossible(why), Vec::new())
}

async fn made_again(
    judgement: &Judgement,
    facts: Facts,
    texts: &[ActivePolicy],
) -> Result<MadeAgain, AppError> {
    // In the order in which they were asked.
    let mut sets: Vec<(PolicyId, Set)> = Vec::new();
    for version in &judgement.decision.policy_versions {
        let Some(text) = texts.iter().find(|text| text.digest == *version) else {
            return Ok(impossible(format!(
                "there is no text of the version {version}"
            )));
        };
        let (policy, text) = (text.id, text.text.clone());
        let Ok(set) = off_thread(move || policies::compile(&text)).await? else {
            let why = format!("the text of the version {version} does not compile any more");
            return Ok(impossible(why));
        };
        sets.push((policy, set));
    }
    let stored = judgement.facts.clone();
    off_thread(move || replayed(&sets, &stored, &facts)).await?
}

fn replayed(
    sets: &[(PolicyId, Set)],
    stored: &Value,
    facts: &Facts,
) -> Result<MadeAgain, AppError> {
    let asked: Vec<&Set> = sets.iter().map(|(_, set)| set).collect();
    let decision = match replay(stored, &PolicySets(&asked)) {
        Ok(decision) => decision,
        Err(why) => return Ok(impossible(why.to_string())),
    };
    let mut all = Vec::with_capacity(sets.len());
    for (policy, set) in sets {
        let policies =
            policies::explain(set, facts).map_err(|failure| AppError::internal(failure.message))?;
        all.push(ExplainedSet {
            policy: *policy,
            version: set.version().to_owned(),
            policies,
        });
    }
    Ok((Replayed::Decided(decision), all))
}

/// What gates and policies said of a connection, newest first.
pub async fn judgements(
    ctx: &AppContext,
    id: ConnectionId,
    before: Option<JudgementId>,
    limit: i64,
) -> Result<Listed<Judgement, JudgementId>, AppError> {
    let conn: &mut PgConnection = &mut *ctx.acquire().await?;
    refuse_missing(conn, id).await?;
    let rows = judgements::page(conn, id, before, limit + 1).await?;
    Ok(Listed::cut(rows, limit, |row| row.id))
}

async fn refuse_missing(conn: &mut PgConnection, id: ConnectionId) -> Result<(), AppError> {
    let found = connections::by_id(conn, id).await?;
    let missing = || {
        AppError::new(
            Code::ConnectionNotFound,
            format!("there is no connection {id}"),
        )
    };
    found.map(|_| ()).ok_or_else(missing)
}
