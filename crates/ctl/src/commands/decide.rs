//! `ctl decide`: one or many connections, from arguments or from standard input.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::client::Answer;
use crate::outcome::Failure;
use crate::session::Session;
use crate::table::Column;
use crate::{confirm, ids};

/// The most connections that one request of the API takes.
const AT_ONCE: usize = 1000;

const RESULTS: &[Column] = &[
    ("ID", "id"),
    ("RESULT", "result"),
    ("CODE", "code"),
    ("DETAIL", "detail"),
];

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Accept them
    Accept {
        #[command(flatten)]
        said: Said,
        /// Until when access is given, as in 2027-01-31T12:00:00Z
        #[arg(long, value_name = "TIME")]
        expires_at: Option<String>,
        /// Yes, although it goes beyond a quota
        #[arg(long)]
        over_quota: bool,
    },
    /// Reject them. AWS has no way back
    Reject(Said),
    /// Take accepted ones their access. AWS has no way back
    Revoke(Said),
    /// Hold their review
    Hold {
        #[command(flatten)]
        which: Which,
        /// Why, for the record
        #[arg(long)]
        reason: String,
        /// Until when, as in 2027-01-31T12:00:00Z
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
    },
    /// End a hold
    Unhold(Reasoned),
    /// Say that you work on them
    Claim(Which),
    /// Say that you do not work on them any more
    Release(Which),
    /// Take your approval back, where another person has to approve too
    WithdrawApproval(Reasoned),
    /// Plan the end of their access
    ScheduleRevocation {
        #[command(flatten)]
        reasoned: Reasoned,
        /// When, as in 2027-01-31T12:00:00Z
        #[arg(long, value_name = "TIME")]
        at: String,
    },
    /// Take a planned end back
    CancelRevocation(Reasoned),
}

#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Ids, ours (`con_…`) or AWS's of the endpoints (`vpce-…`); `-` reads them from standard input, one a line, or rows as `--output jsonl` writes them
    #[arg(required = true)]
    ids: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Reasoned {
    #[command(flatten)]
    which: Which,
    /// Why, for the record
    #[arg(long)]
    reason: String,
}

#[derive(Debug, Args)]
pub(crate) struct Said {
    #[command(flatten)]
    reasoned: Reasoned,
    /// What the consumers are told
    #[arg(long)]
    message: Option<String>,
    /// Where the work on it is kept: an https:// address
    #[arg(long)]
    ticket_url: Option<String>,
    /// None is decided unless all can be
    #[arg(long)]
    all_or_nothing: bool,
}

pub(super) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    match command {
        Command::Accept {
            said,
            expires_at,
            over_quota,
        } => {
            let mut body = json!({ "verb": "accept", "over_quota": over_quota });
            if let Some(at) = expires_at {
                body["expires_at"] = at.into();
            }
            decide(session, said, body).await
        }
        Command::Reject(said) => decide(session, said, json!({ "verb": "reject" })).await,
        Command::Revoke(said) => decide(session, said, json!({ "verb": "revoke" })).await,
        Command::Hold {
            which,
            reason,
            until,
        } => {
            let mut body = json!({ "reason": reason });
            if let Some(until) = until {
                body["until"] = until.into();
            }
            each(session, which, "hold", Some(body)).await
        }
        Command::Unhold(given) => reasoned(session, given, "unhold").await,
        Command::Claim(which) => each(session, which, "claim", None).await,
        Command::Release(which) => each(session, which, "release", None).await,
        Command::WithdrawApproval(given) => reasoned(session, given, "withdraw-approval").await,
        Command::ScheduleRevocation { reasoned, at } => {
            let body = json!({ "reason": reasoned.reason, "at": at });
            each(session, reasoned.which, "schedule-revocation", Some(body)).await
        }
        Command::CancelRevocation(given) => reasoned(session, given, "cancel-revocation").await,
    }
}

/// Accepts, rejects or revokes: in requests of up to [`AT_ONCE`], each with a result for each connection.
async fn decide(session: &Session, said: Said, mut body: Value) -> Result<(), Failure> {
    let ids = ids::collect(&said.reasoned.which.ids)?;
    if said.all_or_nothing && ids.len() > AT_ONCE {
        return Err(Failure::Usage(format!(
            "--all-or-nothing takes at most {AT_ONCE} connections"
        )));
    }
    let verb = body["verb"].as_str().unwrap_or_default().to_owned();
    if verb != "accept" {
        confirm::ask(session, &format!("{verb} {}.", connections(ids.len())))?;
    }
    body["reason"] = said.reasoned.reason.into();
    for (member, value) in [("message", said.message), ("ticket_url", said.ticket_url)] {
        if let Some(value) = value {
            body[member] = value.into();
        }
    }
    if said.all_or_nothing {
        body["all_or_nothing"] = true.into();
    }
    let mut whole = json!({ "decided": 0, "approved": 0, "refused": 0, "results": [] });
    let mut broken = None;
    for some in ids.chunks(AT_ONCE) {
        body["items"] = some.iter().map(|id| json!({ "id": id })).collect();
        match session
            .client
            .post(&["v1", "connections", "bulk-decisions"], Some(&body))
            .await
        {
            Ok(answer) => add(&mut whole, answer.json()?),
            // What was done before is told all the same.
            Err(failure) => {
                broken = Some(failure);
                break;
            }
        }
    }
    let results = whole["results"].as_array().map_or(0, Vec::len);
    let good = whole["decided"].as_u64().unwrap_or(0) + whole["approved"].as_u64().unwrap_or(0);
    if broken.is_none() || results > 0 {
        let answer = Answer {
            text: whole.to_string(),
        };
        session.output.results(&answer, "results", RESULTS)?;
    }
    match broken {
        Some(failure) => Err(failure),
        None if good == ids.len() as u64 => Ok(()),
        None => Err(Failure::NotAll(format!(
            "{good} of {} done",
            connections(ids.len())
        ))),
    }
}

/// Adds the results of a request to those of the ones before.
fn add(whole: &mut Value, mut more: Value) {
    for count in ["decided", "approved", "refused"] {
        let sum = whole[count].as_u64().unwrap_or(0) + more[count].as_u64().unwrap_or(0);
        whole[count] = sum.into();
    }
    if let (Some(all), Value::Array(results)) =
        (whole["results"].as_array_mut(), more["results"].take())
    {
        all.extend(results);
    }
}

async fn reasoned(session: &Session, given: Reasoned, verb: &str) -> Result<(), Failure> {
    let body = json!({ "reason": given.reason });
    each(session, given.which, verb, Some(body)).await
}

/// A verb that the API takes for one connection at a time: a request for each. A refusal of one does not keep the others; anything else ends it.
async fn each(
    session: &Session,
    which: Which,
    verb: &str,
    body: Option<Value>,
) -> Result<(), Failure> {
    let given = ids::collect(&which.ids)?;
    let mut results = Vec::new();
    let mut refused = 0;
    let mut broken = None;
    for id in &given {
        let done = async {
            let ours = ids::connection(&session.client, id).await?;
            session
                .client
                .post(&["v1", "connections", &ours, verb], body.as_ref())
                .await
        };
        match done.await {
            Ok(_) => results.push(json!({ "id": id, "result": "done" })),
            Err(failure) if failure.exit_code() == 1 => {
                refused += 1;
                let code = match &failure {
                    Failure::Refused(refusal) => refusal.code.clone(),
                    _ => None,
                };
                results.push(json!({ "id": id, "result": "refused", "code": code, "detail": failure.to_string() }));
            }
            Err(failure) => {
                broken = Some(failure);
                break;
            }
        }
    }
    if !results.is_empty() {
        session.output.several(&results, RESULTS)?;
    }
    match broken {
        Some(failure) => Err(failure),
        None if refused == 0 => Ok(()),
        None => Err(Failure::NotAll(format!(
            "{refused} of {} refused",
            connections(given.len())
        ))),
    }
}

fn connections(count: usize) -> String {
    if count == 1 {
        "1 connection".to_owned()
    } else {
        format!("{count} connections")
    }
}
