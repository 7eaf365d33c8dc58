//! `docs/decision-table.md`, made from the code: every gate over every state that it tells apart.
//!
//! `PORTCULLIS_WRITE_DOCS=1 cargo test --no-default-features --lib decision::table` writes it; without the variable the test compares.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use chrono::TimeDelta;

use super::gate::Hit;
use super::testing::{bare, facts, failing, permits, upset, verdict};
use super::*;
use crate::domain::lifecycle::LifecycleState;
use crate::domain::quota::QuotaFigure;

/// A state that a gate tells apart.
pub(super) struct Row {
    pub(super) state: String,
    pub(super) facts: Facts,
}

fn row(state: impl Into<String>, change: impl FnOnce(&mut Facts)) -> Row {
    let mut facts = facts();
    change(&mut facts);
    Row {
        state: state.into(),
        facts,
    }
}

fn plan(facts: &mut Facts) -> &mut Plan {
    facts.plan.as_mut().unwrap()
}

/// The states of a gate, complete over the enumerations that it reads.
pub(super) fn rows(gate: Gate) -> Vec<Row> {
    match gate {
        Gate::DenyList => vec![
            row("no entry", |_| {}),
            row(
                "an entry for the account, its consumer, or this service",
                |f| {
                    upset(Gate::DenyList, f);
                },
            ),
        ],
        Gate::Access => vec![
            row("nothing takes it away", |_| {}),
            row("a removal is under way", |f| upset(Gate::Access, f)),
        ],
        Gate::Service => {
            let mut all = vec![row("blocked, whatever its life", |f| {
                f.service.blocked = true;
            })];
            all.extend(
                LifecycleState::ALL
                    .iter()
                    .map(|state| row(format!("`{state}`"), |f| f.service.lifecycle = *state)),
            );
            all
        }
        Gate::Listing => listing_rows(),
        Gate::Place => place_rows(),
        Gate::Agreement => agreement_rows(),
        Gate::Licence => licence_rows(),
        Gate::Quota => {
            let mut all = vec![row("room under every limit", |_| {})];
            all.extend(QuotaFigure::ALL.iter().map(|figure| {
                row(format!("`{figure}` would be above its limit"), |f| {
                    f.quotas = vec![Quota {
                        figure: *figure,
                        would_be: 4,
                        limit: 3,
                    }];
                })
            }));
            all
        }
        Gate::Approval => approval_rows(),
        Gate::Registration => vec![
            row("complete", |_| {}),
            row("incomplete, not asked for", |f| {
                f.account.registered = false;
                plan(f).registration_required = false;
            }),
            row("incomplete, asked for", |f| f.account.registered = false),
        ],
        Gate::Policy => vec![],
    }
}

fn listing_rows() -> Vec<Row> {
    let mut all = vec![row("no listing", |f| f.listing = None)];
    for state in ListingState::ALL {
        let set = |f: &mut Facts, listed: bool| {
            f.listing = Some(Listing {
                id: "lst_1".to_owned(),
                state: *state,
                allow_listed: listed,
                acceptance: None,
            });
        };
        match state {
            ListingState::Limited => {
                all.push(row("`limited`, on the allow-list", |f| set(f, true)));
                all.push(row("`limited`, not on it", |f| set(f, false)));
            }
            ListingState::Restricted => {
                all.push(row("`restricted`, with an agreement", |f| set(f, false)));
                all.push(row("`restricted`, without one", |f| {
                    set(f, false);
                    f.agreement = None;
                }));
                all.push(row(
                    "`restricted`, with one that is not active and not asked for",
                    |f| {
                        set(f, false);
                        plan(f).agreement_required = false;
                        f.agreement.as_mut().unwrap().state = AgreementState::Ended;
                    },
                ));
            }
            _ => all.push(row(format!("`{state}`"), |f| set(f, false))),
        }
    }
    all
}

fn place_rows() -> Vec<Row> {
    let region = |f: &mut Facts, region: &str| f.connection.region = Some(region.parse().unwrap());
    let only = |region: &str| Some(BTreeSet::from([region.parse().unwrap()]));
    let zone = |zone: &str| Some(BTreeSet::from([zone.parse().unwrap()]));
    vec![
        row("the service's own Region, all zones in the plan", |_| {}),
        row("another Region that the service has", |f| {
            region(f, "eu-west-1");
        }),
        row("a Region that the service does not have", |f| {
            region(f, "us-east-1");
        }),
        row("a Region that the plan does not have", |f| {
            plan(f).regions = only("eu-west-1");
        }),
        row("zones that the plan has", |f| {
            plan(f).zones = zone("euc1-az1");
        }),
        row("a zone that the plan does not have", |f| {
            plan(f).zones = zone("euc1-az2");
        }),
        row(
            "the plan has some zones, and the endpoint's are not known",
            |f| {
                plan(f).zones = zone("euc1-az1");
                f.connection.zones = None;
            },
        ),
    ]
}

fn agreement_rows() -> Vec<Row> {
    let mut all = vec![
        row("no listing, no plan, no agreement", |f| *f = bare()),
        row("not asked for by the plan, whatever its state", |f| {
            plan(f).agreement_required = false;
            f.agreement.as_mut().unwrap().state = AgreementState::Ended;
        }),
        row("none, within the plan's wait", |f| f.agreement = None),
        row("none, after it", |f| {
            f.agreement = None;
            f.connection.waited_seconds = 86_400;
        }),
    ];
    for state in AgreementState::ALL {
        let set = |f: &mut Facts, until: Option<i64>| {
            let at = f.at;
            let agreement = f.agreement.as_mut().unwrap();
            agreement.state = *state;
            agreement.grace_until = until.map(|s| at + TimeDelta::seconds(s));
        };
        if *state == AgreementState::Grace {
            all.push(row("`grace`, not over", |f| set(f, Some(1))));
            all.push(row("`grace`, over", |f| set(f, Some(0))));
            all.push(row("`grace`, its end not known", |f| set(f, None)));
        } else {
            all.push(row(format!("`{state}`"), |f| set(f, None)));
        }
    }
    all
}

fn licence_rows() -> Vec<Row> {
    let set = |f: &mut Facts, free: &[u32], claimed: bool, rule: BindRule| {
        let since = f.at;
        let active = free.iter().enumerate().map(|(n, free)| Licence {
            id: format!("lic_{n}"),
            since: since - TimeDelta::days(1),
            free: *free,
            claimed: claimed && n == 0,
        });
        f.licences = Some(Licences {
            active: active.collect(),
            rule,
        });
    };
    let mut all = vec![
        row("no licences", |f| f.licences = None),
        row("none active", |f| set(f, &[], false, BindRule::Ask)),
        row("claimed, with a free place", |f| {
            set(f, &[1, 1], true, BindRule::Ask);
        }),
        row("claimed, without one", |f| {
            set(f, &[0, 1], true, BindRule::Ask);
        }),
        row("one with a free place", |f| {
            set(f, &[0, 1], false, BindRule::Ask);
        }),
        row("none with a free place", |f| {
            set(f, &[0, 0], false, BindRule::Oldest);
        }),
    ];
    all.extend(BindRule::ALL.iter().map(|rule| {
        row(format!("several with a free place, rule `{rule}`"), |f| {
            set(f, &[1, 1], false, *rule);
        })
    }));
    all
}

fn approval_rows() -> Vec<Row> {
    let set = |f: &mut Facts, approval: Approval, waited: u64| {
        plan(f).approval = approval;
        f.connection.waited_seconds = waited;
    };
    let (auto, until) = (
        Approval::AutoAfter { seconds: 10 },
        Approval::RejectAfter { seconds: 10 },
    );
    vec![
        row("no plan", |f| f.plan = None),
        row("`auto`", |f| set(f, Approval::Auto {}, 0)),
        row("`manual`", |f| set(f, Approval::Manual {}, 0)),
        row("`auto_after`, before", |f| set(f, auto, 9)),
        row("`auto_after`, after", |f| set(f, auto, 10)),
        row("`reject_after`, before", |f| set(f, until, 9)),
        row("`reject_after`, after", |f| set(f, until, 10)),
        row("the listing has a person decide", |f| {
            f.listing.as_mut().unwrap().acceptance = Some(Acceptance::Manual);
        }),
        row("any of them, and a person approved", |f| {
            set(f, Approval::Manual {}, 0);
            f.approved = true;
        }),
    ]
}

/// What policies can say.
pub(super) fn verdicts() -> Vec<(&'static str, PolicyVerdict)> {
    use PolicyEffect::{Forbid, Neither, Permit};
    let none = PolicyVerdict {
        versions: vec![],
        ..verdict(Neither, &[])
    };
    vec![
        ("there are none", none),
        ("none applies", verdict(Neither, &[])),
        ("a `permit` applies", verdict(Permit, &["yes"])),
        ("a `forbid` applies", verdict(Forbid, &["no"])),
        ("none applies, one failed", failing(verdict(Neither, &[]))),
        (
            "a `permit` applies, another failed",
            failing(verdict(Permit, &["yes"])),
        ),
        (
            "a `forbid` applies, another failed",
            failing(verdict(Forbid, &["no"])),
        ),
    ]
}

fn shown(hit: Option<&Hit>) -> String {
    hit.map_or("–".to_owned(), |hit| {
        format!("**{}** `{}`", hit.outcome, hit.reasons[0].code)
    })
}

pub(super) fn with(mut facts: Facts, standing: Standing) -> Facts {
    facts.connection.standing = standing;
    facts
}

/// What the gates of the document gave: each code with its gates and with what would do away with it.
#[derive(Default)]
struct Codes {
    gates: BTreeMap<String, BTreeSet<Gate>>,
    remedies: BTreeMap<String, BTreeSet<RemedyKind>>,
}

impl Codes {
    fn note(&mut self, decision: &Decision, facts: &Facts) {
        for reason in &decision.reasons {
            let gates = self.gates.entry(reason.code.clone()).or_default();
            gates.insert(decision.gate);
        }
        for remedy in remedies(decision, facts) {
            self.remedies
                .entry(remedy.reason)
                .or_default()
                .insert(remedy.kind);
        }
    }
}

/// What is accepted by a right to connect, and what is not.
fn entitled_rows() -> Vec<(&'static str, Facts)> {
    let with = |acceptance: Acceptance, change: fn(&mut Facts)| {
        let mut facts = facts();
        facts.listing.as_mut().unwrap().acceptance = Some(acceptance);
        change(&mut facts);
        facts
    };
    let free: fn(&mut Facts) = |facts| {
        plan(facts).agreement_required = false;
        facts.agreement = None;
    };
    vec![
        (
            "and the listing lets in whoever has an agreement in force",
            with(Acceptance::EntitledAuto, |_| {}),
        ),
        (
            "and the listing lets in whoever has one, of a plan that takes none",
            with(Acceptance::EntitledAuto, free),
        ),
        (
            "and the listing is open, with a plan that takes no agreement",
            with(Acceptance::Open, free),
        ),
    ]
}

fn gate_section(text: &mut String, gate: Gate, codes: &mut Codes) -> std::fmt::Result {
    writeln!(text, "\n### {}\n\n{}\n", gate, gate.about())?;
    if gate == Gate::Policy {
        writeln!(text, "| Policies | Decision |\n| --- | --- |")?;
        for (state, verdict) in verdicts() {
            let decision = decide(&facts(), &|_: &Facts| verdict.clone());
            let code = &decision.reasons[0].code;
            codes.note(&decision, &facts());
            writeln!(text, "| {state} | **{}** `{code}` |", decision.outcome)?;
        }
        let silent = |_: &Facts| verdict(PolicyEffect::Neither, &[]);
        for (state, facts) in entitled_rows() {
            let decision = decide(&facts, &silent);
            codes.note(&decision, &facts);
            let code = &decision.reasons[0].code;
            writeln!(
                text,
                "| none applies, {state} | **{}** `{code}` |",
                decision.outcome
            )?;
        }
        let mut two = facts();
        two.service.two_persons = true;
        let decision = decide(&two, &permits);
        let code = &decision.reasons[0].code;
        codes.note(&decision, &two);
        let (outcome, live) = (
            decision.outcome,
            decide(&with(two, Standing::Live), &permits),
        );
        writeln!(
            text,
            "| a `permit` applies to a request, and the service asks for two persons | **{outcome}** `{code}` |\n\
             | a `permit` applies to a live connection of such a service | **{}** `{}` |",
            live.outcome, live.reasons[0].code
        )?;
        return Ok(());
    }
    writeln!(
        text,
        "| State | A request | A live connection |\n| --- | --- | --- |"
    )?;
    for Row { state, facts } in rows(gate) {
        let hits = [Standing::Requested, Standing::Live].map(|standing| {
            let facts = with(facts.clone(), standing);
            let hit = gate.ask(&facts);
            if hit.is_some() {
                codes.note(&decide(&facts, &permits), &facts);
            }
            hit
        });
        let [request, live] = hits.each_ref().map(|hit| shown(hit.as_ref()));
        writeln!(text, "| {state} | {request} | {live} |")?;
    }
    Ok(())
}

fn order_section(text: &mut String) -> std::fmt::Result {
    writeln!(text, "\n## Which gate decides\n")?;
    writeln!(
        text,
        "Both gates have something to say about a request, and a `permit` applies.\n"
    )?;
    let gates: Vec<Gate> = Gate::ALL
        .iter()
        .copied()
        .filter(|g| *g != Gate::Policy)
        .collect();
    let names: Vec<String> = gates.iter().map(|gate| format!("`{gate}`")).collect();
    writeln!(text, "| | {} |", names.join(" | "))?;
    writeln!(text, "| --- |{}", " --- |".repeat(gates.len()))?;
    for one in &gates {
        let mut cells = Vec::new();
        for other in &gates {
            let mut facts = facts();
            upset(*other, &mut facts);
            upset(*one, &mut facts);
            cells.push(decide(&facts, &permits).gate.to_string());
        }
        writeln!(text, "| `{one}` | {} |", cells.join(" | "))?;
    }
    Ok(())
}

fn words<T: ToString>(all: Option<&BTreeSet<T>>) -> String {
    let all = all.into_iter().flatten();
    let all: Vec<String> = all.map(|one| format!("`{}`", one.to_string())).collect();
    if all.is_empty() {
        "–".to_owned()
    } else {
        all.join(", ")
    }
}

fn remedy_section(text: &mut String) -> std::fmt::Result {
    writeln!(text, "\n## What would have to change\n")?;
    writeln!(
        text,
        "An explanation has these for each reason, with the figures and ids that they are about. Who does one does away with the reason; the next gate may then have\n\
         something to say. `time` means that it comes by itself.\n"
    )?;
    writeln!(text, "| Remedy | By | What |\n| --- | --- | --- |")?;
    for kind in RemedyKind::ALL {
        writeln!(text, "| `{kind}` | {} | {} |", kind.by(), kind.sentence())?;
    }
    Ok(())
}

fn document() -> Result<(String, Codes), std::fmt::Error> {
    let mut text = String::from(
        "# The decision table\n\n\
         Made from `src/domain/decision` by `PORTCULLIS_WRITE_DOCS=1 cargo test --no-default-features --lib decision::table`; a test compares. Do not edit.\n\n\
         A decision about a connection is made by the gates in this order; the first that has something to say decides. What passes all of them is put to the\n\
         [policies](policies.md). – means that the gate passes it on. To hold a live connection changes nothing about its access: a person looks.\n\n\
         ## The gates\n",
    );
    let mut codes = Codes::default();
    for gate in Gate::ALL {
        gate_section(&mut text, *gate, &mut codes)?;
    }
    order_section(&mut text)?;
    writeln!(text, "\n## The reasons\n")?;
    writeln!(
        text,
        "Codes are stable. A policy may bring a code and a sentence of its own. Of `quota_exceeded` there is one for each limit, with its figures.\n"
    )?;
    writeln!(
        text,
        "| Code | Gate | Sentence for the consumer | What would do away with it |\n| --- | --- | --- | --- |"
    )?;
    for code in ReasonCode::ALL {
        writeln!(
            text,
            "| `{code}` | {} | {} | {} |",
            words(codes.gates.get(code.as_str())),
            code.sentence(),
            words(codes.remedies.get(code.as_str())),
        )?;
    }
    remedy_section(&mut text)?;
    Ok((text, codes))
}

#[test]
fn the_documentation_is_what_the_code_says() {
    let (text, _) = document().unwrap();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/decision-table.md");
    if std::env::var_os("PORTCULLIS_WRITE_DOCS").is_some() {
        std::fs::write(file, &text).unwrap();
    }
    let documented = std::fs::read_to_string(file).unwrap_or_default();
    let first = text
        .lines()
        .zip(documented.lines())
        .find(|(code, doc)| code != doc);
    assert!(
        text == documented,
        "docs/decision-table.md differs at {first:?}; write it with PORTCULLIS_WRITE_DOCS=1"
    );
}

/// A code that no row shows is one that nothing gives, or a state that the table forgot.
#[test]
fn the_table_shows_every_code_and_no_other() {
    let (_, codes) = document().unwrap();
    let shown: BTreeSet<&str> = codes.gates.keys().map(String::as_str).collect();
    let known: BTreeSet<&str> = ReasonCode::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(shown, known);
    assert!(
        codes.gates.values().all(|gates| gates.len() == 1),
        "a code belongs to one gate: {:?}",
        codes.gates
    );
}

/// Rows change only what their gate reads: another gate would hide it otherwise.
#[test]
fn what_a_row_shows_is_what_is_decided() {
    for gate in Gate::ALL {
        for Row { state, facts } in rows(*gate) {
            for standing in Standing::ALL {
                let facts = with(facts.clone(), *standing);
                let decision = decide(&facts, &permits);
                if let Some(hit) = gate.ask(&facts) {
                    let told = (decision.gate, decision.outcome, decision.reasons);
                    assert_eq!(
                        told,
                        (*gate, hit.outcome, hit.reasons),
                        "{state} {standing}"
                    );
                }
            }
        }
    }
}
