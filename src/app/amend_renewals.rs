//! What an amendment makes of renewals that have not begun: whoever amends says so, because they were agreed with figures and quantities of their own.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde_json::json;

use super::agreement_checks::refuse_foreign;
use super::agreement_standing::{Known, note};
use super::change_agreement::Amendment;
use super::code::Code;
use super::listing_parts::refuse;
use super::make_agreement::{own_event, tell};
use super::pending_renewals::Renewals;
use super::{AppError, PgConnection};
use crate::domain::actor::Actor;
use crate::domain::agreement::purchase::{quantities, quotas};
use crate::domain::agreement::{Agreement, Notice, RenewalTerms, Terms, Told};
use crate::domain::ids::AgreementId;
use crate::domain::listing::{ContractTerm, Plan, Quotas, Wrong};
use crate::domain::money::Amount;

/// Other figures and quantities. What is absent stays as it is.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// Other figures than the plan's, all of them.
    pub quotas: Option<Quotas>,
    /// How much is bought in advance, of every dimension.
    pub quantities: Option<BTreeMap<String, Amount>>,
}

impl Figures {
    /// Puts them into terms. Answers what is wrong with them by the plan.
    pub(super) fn put_into(
        &self,
        terms: &mut Terms,
        plan: &Plan,
        term: Option<ContractTerm>,
    ) -> Vec<Wrong> {
        let mut wrong = Vec::new();
        if let Some(own) = self.quotas {
            wrong.extend(quotas(&own));
            terms.quotas = own;
        }
        if let Some(much) = &self.quantities {
            wrong.extend(quantities(much, plan, term));
            terms.quantities.clone_from(much);
        }
        wrong
    }
}

/// Renewals that would have other terms if they were amended like the agreement whose place they take.
#[derive(Debug)]
pub(super) struct Alike<'a> {
    of: AgreementId,
    amended: Vec<(&'a Agreement, Terms)>,
    said: Option<RenewalTerms>,
}

impl<'a> Alike<'a> {
    /// Finds them. Refuses where nobody said what becomes of them although the agreement itself `changes`, and where they cannot be amended so.
    pub(super) fn find(
        renewals: &Renewals<'a>,
        known: &Known,
        amendment: &Amendment,
        changes: bool,
    ) -> Result<Self, AppError> {
        let said = amendment.renewal;
        let mut amended = Vec::new();
        for one in renewals.pending().iter().copied() {
            let Some(before) = known.terms(one.id) else {
                continue;
            };
            let mut terms = before.clone();
            let wrong = amendment
                .figures
                .put_into(&mut terms, known.plan(one)?, one.term);
            if terms == *before {
                continue;
            }
            if said == Some(RenewalTerms::Amend) {
                refuse_foreign(one)?;
                let place = |it: Wrong| Wrong {
                    detail: format!(
                        "{}, which is to take its place, cannot be amended so: {}",
                        one.id, it.detail
                    ),
                    ..it
                };
                let wrong = wrong.into_iter().map(place).collect();
                refuse(Code::InvalidRequest, wrong)?;
            }
            amended.push((one, terms));
        }
        let asked = said.is_some() || !changes;
        if let Some((first, _)) = amended.first().filter(|_| !asked) {
            let detail = format!(
                "{} is to take its place from {} on, with quotas and quantities of its own; say what becomes of it: keep, and it stays as it was agreed, or amend, and it is amended alike",
                first.id,
                Renewals::begins(first),
            );
            return Err(AppError::new(Code::RenewalPending, detail).field("renewal"));
        }
        Ok(Self {
            of: renewals.of(),
            amended,
            said,
        })
    }

    /// What was said of them, where there are any.
    pub(super) fn said(&self) -> Option<RenewalTerms> {
        self.said.filter(|_| !self.amended.is_empty())
    }

    /// Those that are amended.
    fn amended(&self) -> &[(&'a Agreement, Terms)] {
        match self.said {
            Some(RenewalTerms::Amend) => &self.amended,
            Some(RenewalTerms::Keep) | None => &[],
        }
    }

    /// The ids of those that are amended.
    pub(super) fn ids(&self) -> BTreeSet<AgreementId> {
        self.amended().iter().map(|(one, _)| one.id).collect()
    }

    /// Amends them. The caller has them stand anew.
    pub(super) async fn amend(
        &self,
        conn: &mut PgConnection,
        known: &Known,
        actor: &Actor,
        reason: Option<&str>,
        at: DateTime<Utc>,
    ) -> Result<(), AppError> {
        for (one, terms) in self.amended() {
            let notice = Notice {
                id: own_event(at),
                at: known.record(one.id)?.next_word(at),
                told: Told::Made(terms.clone()),
            };
            tell(conn, actor, one, notice, reason.map(str::to_owned), at).await?;
            let before = json!({ "terms": known.terms(one.id) });
            let after = json!({ "terms": terms, "with": self.of });
            let change = (Some(before), Some(after));
            note(conn, actor, one.id, "agreement.amend", change, reason, at).await?;
        }
        Ok(())
    }
}
