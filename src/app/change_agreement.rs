//! What people say happened to an agreement: each is a notice like any other, with an event of our own, so that order and repeats make no difference here either.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use privatelink::AccountId;
use serde_json::{Value, json};

use super::agreement_checks::{Span, over, refuse_foreign, refuse_overlap};
use super::agreement_standing::{Change, Known, know, note, stand};
use super::amend_renewals::{Alike, Figures};
use super::code::Code;
use super::hear_notice::locked_with_predecessor;
use super::listing_parts::refuse;
use super::make_agreement::{own_event, tell};
use super::pending_renewals::{self, Renewals, shown};
use super::read_agreements::missing;
use super::{AppContext, AppError, PgConnection, text};
use crate::domain::actor::Actor;
use crate::domain::agreement::notice_rules::FASTEST_CLOCK;
use crate::domain::agreement::purchase::lasting;
use crate::domain::agreement::{
    Account, Agreement, Notice, RenewalFate, RenewalTerms, Terms, Told,
};
use crate::domain::decision::AgreementState;
use crate::domain::ids::AgreementId;
use crate::domain::listing::{EndCause, Wrong};
use crate::store::{agreement_accounts, agreements, parties};

/// What somebody says happened.
#[derive(Debug, Clone)]
pub enum Said {
    /// Its terms are others now.
    Amended(Amendment),
    /// The consumer cancelled it, as of a time; as of now when absent. And what becomes of its renewal.
    Cancelled(Option<DateTime<Utc>>, Option<RenewalFate>),
    /// The provider terminated it. And what becomes of its renewal.
    Terminated(Option<RenewalFate>),
    /// It was not paid for. And what becomes of its renewal.
    NotPaid(Option<RenewalFate>),
    /// Somebody has to look at it.
    Questioned,
    /// Somebody looked, and it is good.
    Cleared,
    /// It never came to be. And what becomes of its renewal.
    RolledBack(Option<RenewalFate>),
}

/// Other terms. What is absent stays as it is.
#[derive(Debug, Clone, Default)]
pub struct Amendment {
    /// Other figures and quantities.
    pub figures: Figures,
    /// What becomes of renewals that would have others then.
    pub renewal: Option<RenewalTerms>,
    /// When it ends by itself; `Some(None)` where it runs until somebody ends it.
    pub ends_at: Option<Option<DateTime<Utc>>>,
}

impl Said {
    fn action(&self) -> &'static str {
        match self {
            Self::Amended(_) => "agreement.amend",
            Self::Cancelled(..) => "agreement.cancel",
            Self::Terminated(_) => "agreement.terminate",
            Self::NotPaid(_) => "agreement.fail_payment",
            Self::Questioned => "agreement.question",
            Self::Cleared => "agreement.clear",
            Self::RolledBack(_) => "agreement.roll_back",
        }
    }

    /// The amendment, where it is one.
    fn amendment(&self) -> Option<&Amendment> {
        match self {
            Self::Amended(amendment) => Some(amendment),
            Self::Cancelled(..)
            | Self::Terminated(_)
            | Self::NotPaid(_)
            | Self::Questioned
            | Self::Cleared
            | Self::RolledBack(_) => None,
        }
    }

    /// Whether it ends the agreement or takes it back, and what was said of its renewal then.
    #[expect(clippy::option_option, reason = "nothing said is not no end")]
    fn end(&self) -> Option<Option<RenewalFate>> {
        match self {
            Self::Cancelled(_, renewal)
            | Self::Terminated(renewal)
            | Self::NotPaid(renewal)
            | Self::RolledBack(renewal) => Some(*renewal),
            Self::Amended(_) | Self::Questioned | Self::Cleared => None,
        }
    }
}

/// Has an agreement be as somebody says. Refuses what makes no sense where it stands.
#[tracing::instrument(skip_all, fields(agreement.id = %id, said = said.action()))]
pub async fn change_agreement(
    ctx: &AppContext,
    actor: &Actor,
    id: AgreementId,
    said: Said,
    reason: Option<&str>,
) -> Result<Agreement, AppError> {
    let reason = text::optional_reason(reason)?;
    let at = ctx.clock.now();
    let mut tx = ctx.begin().await?;
    let seen = agreements::by_id(&mut tx, id)
        .await?
        .ok_or_else(|| missing(id))?;
    let amendment = said.amendment().cloned();
    // An amendment may lead it into the time of another one: while its accounts are locked nobody makes one of theirs.
    let held = match amendment {
        Some(_) => Some(hold_accounts(&mut tx, id).await?),
        None => None,
    };
    let end = said.end();
    let rows = if end.is_some() || amendment.is_some() {
        pending_renewals::lock_line(&mut tx, &seen).await?
    } else {
        locked_with_predecessor(&mut tx, &seen).await?
    };
    if let Some(held) = held {
        refuse_attached(&mut tx, id, &held).await?;
    }
    let known = know(&mut tx, &rows).await?;
    let row = rows
        .iter()
        .find(|row| row.id == id)
        .ok_or_else(|| missing(id))?;
    refuse_foreign(row)?;
    let before = pending_renewals::before(row, &rows, &known)?;
    let case = Case {
        row,
        before: before.map(|one| one.id),
        now: known.now(row, at)?,
        known: &known,
        at,
    };
    let action = said.action();
    let notice = case.notice(&mut tx, said).await?;
    let renewals = Renewals::behind(row, &rows, &known, at)?;
    let alike = match &amendment {
        Some(amendment) => {
            let changes = case.has_other_figures(notice.as_ref());
            Some(Alike::find(&renewals, &known, amendment, changes)?)
        }
        None => None,
    };
    let amended = alike.as_ref().map_or_else(BTreeSet::new, Alike::ids);
    if notice.is_none() && amended.is_empty() {
        let same = case.now.clone();
        ctx.commit(tx).await?;
        return Ok(same);
    }
    let mut stands = rows.clone();
    if amendment.is_some() {
        // Of those behind it only what is amended as well changes; and nothing of itself where it has what it shall have.
        let own = |one: AgreementId| notice.is_some() && (one == id || Some(one) == case.before);
        stands.retain(|one| own(one.id) || amended.contains(&one.id));
    }
    let mut renewal = None;
    if let Some(notice) = notice {
        if let Some(fate) = end {
            renewal = renewals.fate(fate, &notice)?;
        }
        let said_of_renewal = match (renewal, alike.as_ref().and_then(Alike::said)) {
            (Some(fate), _) => Some(json!(fate)),
            (None, terms) => terms.map(|terms| json!(terms)),
        };
        let change = case.change(&notice, said_of_renewal);
        tell(&mut tx, actor, row, notice, reason.clone(), at).await?;
        note(&mut tx, actor, id, action, change, reason.as_deref(), at).await?;
    }
    if renewal == Some(RenewalFate::RollBack) {
        renewals
            .roll_back(&mut tx, actor, reason.as_deref())
            .await?;
    }
    if let Some(alike) = &alike {
        alike
            .amend(&mut tx, &known, actor, reason.as_deref(), at)
            .await?;
    }
    let stood = stand(&mut tx, actor, &stands, at).await?;
    ctx.commit(tx).await?;
    let changed = stood.into_iter().find(|row| row.id == id);
    Ok(changed.unwrap_or(case.now))
}

/// Locks the accounts that are attached to an agreement.
pub(super) async fn hold_accounts(
    conn: &mut PgConnection,
    id: AgreementId,
) -> Result<BTreeSet<AccountId>, AppError> {
    let held = agreement_accounts::of_many(conn, &[id]).await?;
    let held: BTreeSet<AccountId> = held.into_iter().map(|it| it.account).collect();
    parties::lock_many(conn, &held).await?;
    Ok(held)
}

/// Refuses where another account was attached before the agreement was locked, and after its accounts were.
pub(super) async fn refuse_attached(
    conn: &mut PgConnection,
    id: AgreementId,
    held: &BTreeSet<AccountId>,
) -> Result<Vec<Account>, AppError> {
    let attached = agreement_accounts::of_many(conn, &[id]).await?;
    if attached.iter().any(|it| !held.contains(&it.account)) {
        let detail = "an account was attached at this moment; try again";
        return Err(AppError::new(Code::AgreementChanged, detail));
    }
    Ok(attached)
}

/// The agreement that something is said of.
struct Case<'a> {
    row: &'a Agreement,
    /// The one whose place it takes.
    before: Option<AgreementId>,
    /// As it stands now.
    now: Agreement,
    known: &'a Known,
    at: DateTime<Utc>,
}

impl Case<'_> {
    /// The notice that it comes to; none where it would say nothing new.
    async fn notice(
        &self,
        conn: &mut PgConnection,
        said: Said,
    ) -> Result<Option<Notice>, AppError> {
        let id = self.row.id;
        let record = self.known.record(id)?;
        let word = record.next_word(self.at);
        let (at, told) = match said {
            Said::Amended(amendment) => {
                self.refuse_over(false)?;
                match self.amended(conn, amendment).await? {
                    Some(terms) => (word, Told::Made(terms)),
                    None => return Ok(None),
                }
            }
            Said::Cancelled(at, _) => {
                self.refuse_over(false)?;
                let at = at.unwrap_or(self.at);
                self.refuse_end(EndCause::Cancelled, at)?;
                (at, Told::Ended(EndCause::Cancelled))
            }
            Said::Terminated(_) => (self.at, self.ended(EndCause::Terminated)?),
            Said::NotPaid(_) => (self.at, self.ended(EndCause::Payment)?),
            Said::Questioned => {
                self.refuse_over(false)?;
                if record.is_questioned() {
                    return Err(self.impossible("somebody has to look at it already"));
                }
                (word, Told::Questioned)
            }
            Said::Cleared if record.is_questioned() => {
                self.refuse_over(false)?;
                (word, Told::Cleared)
            }
            Said::Cleared => return Err(self.impossible("nobody has questioned it")),
            Said::RolledBack(_) if self.now.state == AgreementState::Pending => {
                self.refuse_gap()?;
                (self.at, Told::RolledBack)
            }
            Said::RolledBack(_) => {
                let detail = "only what has not begun is rolled back; cancel or terminate it";
                return Err(self.impossible(detail));
            }
        };
        let id = own_event(self.at);
        Ok(Some(Notice { id, at, told }))
    }

    /// Whether it has other figures or quantities after a notice.
    fn has_other_figures(&self, after: Option<&Notice>) -> bool {
        match (
            after.map(|notice| &notice.told),
            self.known.terms(self.row.id),
        ) {
            (Some(Told::Made(after)), Some(before)) => {
                (after.quotas, &after.quantities) != (before.quotas, &before.quantities)
            }
            _ => false,
        }
    }

    /// What the timeline says of a notice, and of what was said of renewals with it.
    fn change(&self, notice: &Notice, renewal: Option<Value>) -> Change {
        let mut after = match &notice.told {
            Told::Made(terms) => json!({ "terms": terms }),
            told => json!({ "at": notice.at, "kind": told.kind() }),
        };
        if let Some(renewal) = renewal {
            after["renewal"] = renewal;
        }
        let before = match (&notice.told, self.known.terms(self.row.id)) {
            (Told::Made(_), Some(terms)) => json!({ "terms": terms }),
            _ => json!({ "state": self.now.state }),
        };
        (Some(before), Some(after))
    }

    /// Refuses where it is over. In grace some things still make sense.
    fn refuse_over(&self, in_grace: bool) -> Result<(), AppError> {
        let is_over = match self.now.state {
            AgreementState::Pending | AgreementState::Active | AgreementState::Review => false,
            AgreementState::Superseded => self.now.succeeded_at.is_some(),
            AgreementState::Grace => !in_grace,
            AgreementState::Ended => true,
        };
        if is_over {
            Err(over(&self.now))
        } else {
            Ok(())
        }
    }

    fn impossible(&self, why: &str) -> AppError {
        let detail = format!("it is {}: {why}", self.now.state);
        AppError::new(Code::AgreementStepImpossible, detail)
    }

    /// Refuses to leave nothing in the place of one that ends earlier because of this one.
    fn refuse_gap(&self) -> Result<(), AppError> {
        let Some(before) = self.before else {
            return Ok(());
        };
        let record = self.known.record(before)?;
        // Whoever cancelled or terminated it wants nothing in its place.
        if record.is_told_to_end() {
            return Ok(());
        }
        let ends = record.ends_first();
        // It ended earlier because of one in between that never came to be, and not of this one.
        let begins = self.known.terms(self.row.id).map(|terms| terms.starts_at);
        if self.row.replaces != Some(before) && begins > ends {
            return Ok(());
        }
        let by_itself = self.known.terms(before).and_then(|terms| terms.ends_at);
        if ends.is_some_and(|end| by_itself.is_none_or(|at| end < at)) {
            let detail = format!(
                "{before} ends before its time for this one, and nothing would take its place"
            );
            return Err(self.impossible(&detail));
        }
        Ok(())
    }

    /// An end at once. In grace it may make that shorter.
    fn ended(&self, cause: EndCause) -> Result<Told, AppError> {
        self.refuse_over(true)?;
        self.refuse_end(cause, self.at)?;
        Ok(Told::Ended(cause))
    }

    fn refuse_end(&self, cause: EndCause, at: DateTime<Utc>) -> Result<(), AppError> {
        let wrong = |detail: &str| {
            let error = AppError::new(Code::InvalidRequest, detail);
            Err(error.field("at"))
        };
        if at < self.at - FASTEST_CLOCK {
            return wrong("give a time that is yet to come, or none for now");
        }
        let record = self.known.record(self.row.id)?;
        if record.told_end(cause).is_some_and(|known| known <= at) {
            return Err(self.impossible(&format!("it is {cause} already")));
        }
        let by_itself = self
            .known
            .terms(self.row.id)
            .and_then(|terms| terms.ends_at);
        if by_itself.is_some_and(|end| end < at) && cause == EndCause::Cancelled {
            return wrong("it has ended by itself before");
        }
        Ok(())
    }

    /// The terms after an amendment; none where they are what they were.
    async fn amended(
        &self,
        conn: &mut PgConnection,
        change: Amendment,
    ) -> Result<Option<Terms>, AppError> {
        let before = self.known.terms(self.row.id);
        let before = before.ok_or_else(|| self.impossible("its terms are not known yet"))?;
        let plan = self.known.plan(self.row)?;
        let mut terms = before.clone();
        let mut wrong = change.figures.put_into(&mut terms, plan, self.row.term);
        if let Some(ends_at) = change.ends_at {
            if ends_at.is_none() && (self.row.term.is_some() || terms.trial) {
                wrong.push(Wrong {
                    field: "ends_at".to_owned(),
                    detail: "what was bought for a time has an end".to_owned(),
                });
            }
            wrong.extend(lasting(terms.starts_at, ends_at, self.at));
            terms.ends_at = ends_at;
        }
        refuse(Code::InvalidRequest, wrong)?;
        if terms == *before {
            return Ok(None);
        }
        let longer = match (before.ends_at, terms.ends_at) {
            (Some(before), after) => after.is_none_or(|after| after > before),
            (None, _) => false,
        };
        if longer {
            self.refuse_vain(&terms)?;
            self.refuse_overlap(conn, &terms).await?;
        }
        self.refuse_cut(&terms)?;
        Ok(Some(terms))
    }

    /// Refuses an end by which all would be over before the one begins that is to take its place.
    fn refuse_cut(&self, terms: &Terms) -> Result<(), AppError> {
        let Some((next, begins)) = self.known.cut_by(self.row, terms, self.at)? else {
            return Ok(());
        };
        let detail = format!(
            "{next} is to take its place from {} on, and all of this one would be over by then: who is connected would be cut in between; roll {next} back, amend, and renew again, or give an end until which its grace lasts",
            shown(begins)
        );
        Err(AppError::new(Code::RenewalPending, detail).field("ends_at"))
    }

    /// Refuses a later end than the time at which another takes its place, or was to before it was rolled back: it ends then all the same.
    fn refuse_vain(&self, terms: &Terms) -> Result<(), AppError> {
        let replaced = self.known.record(self.row.id)?.replaced();
        let is_later = |at: &DateTime<Utc>| terms.ends_at.is_none_or(|end| end > *at);
        let Some(at) = replaced.filter(is_later) else {
            return Ok(());
        };
        let at = shown(at);
        let detail = match self.known.successor(self.row.id) {
            Some((next, _)) => format!(
                "it cannot end later than {at}, because another was made to take its place then; the next one is {next}"
            ),
            None => format!(
                "it cannot end later than {at}, because another was to take its place then, which was rolled back: renew it again instead"
            ),
        };
        Err(self.impossible(&detail))
    }

    async fn refuse_overlap(&self, conn: &mut PgConnection, terms: &Terms) -> Result<(), AppError> {
        let attached = agreement_accounts::of_many(conn, &[self.row.id]).await?;
        let accounts: Vec<AccountId> = attached.into_iter().map(|it| it.account).collect();
        let next = agreements::heirs(conn, &[self.row.id]).await?;
        let mut but: Vec<AgreementId> = next.into_iter().map(|it| it.id).collect();
        but.extend([self.row.id].into_iter().chain(self.row.replaces));
        let span = Span {
            listing: self.row.listing,
            plan: self.known.plan(self.row)?,
            accounts: &accounts,
            starts_at: terms.starts_at,
            ends_at: terms.ends_at,
            but: &but,
            blame: &|_| "ends_at".to_owned(),
        };
        refuse_overlap(conn, &span).await
    }
}
