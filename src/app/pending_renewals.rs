//! What becomes of renewals that have not begun when the agreement whose place they would take is ended or rolled back: whoever ends it says so, because otherwise they begin by themselves
//! and let the same accounts in again.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::json;

use super::agreement_checks::refuse_foreign;
use super::agreement_standing::{Known, note};
use super::code::Code;
use super::make_agreement::{own_event, tell};
use super::{AppError, PgConnection};
use crate::domain::actor::Actor;
use crate::domain::agreement::{Agreement, Notice, RenewalFate, Told};
use crate::domain::decision::AgreementState;
use crate::domain::ids::AgreementId;
use crate::store::agreements;

/// Locks an agreement, the one whose place it takes, with those in between that never came to be, and all that are to take its place, one behind the other.
pub(super) async fn lock_line(
    conn: &mut PgConnection,
    of: &Agreement,
) -> Result<Vec<Agreement>, AppError> {
    let behind = agreements::line_behind(conn, of.id).await?;
    let before = agreements::line_before(conn, of.id).await?;
    let own = [of.id].into_iter().chain(behind.iter().copied());
    let ids: Vec<AgreementId> = own.chain(before.iter().copied()).collect();
    let rows = agreements::locked(conn, &ids).await?;
    // Whoever makes another one locks the one whose place it takes, and whoever rolls one back locks that: from here on the line stays as it is.
    if agreements::line_behind(conn, of.id).await? != behind
        || agreements::line_before(conn, of.id).await? != before
    {
        let detail =
            "it was renewed, or another of its line rolled back, at this moment; read it again";
        return Err(AppError::new(Code::AgreementChanged, detail));
    }
    Ok(rows)
}

/// Those of a line that was locked that are to take an agreement's place, or that of one that is to, and have not begun.
pub(super) fn pending_behind<'a>(
    of: AgreementId,
    line: &'a [Agreement],
    known: &Known,
    at: DateTime<Utc>,
) -> Result<Vec<&'a Agreement>, AppError> {
    let (mut pending, mut places) = (Vec::new(), vec![of]);
    while let Some(place) = places.pop() {
        for one in line.iter().filter(|one| one.replaces == Some(place)) {
            // Behind one that never came to be another may still come; behind one that has begun all is a matter of that one.
            if known.record(one.id)?.is_rolled_back() {
                places.push(one.id);
            } else if known.now(one, at)?.state == AgreementState::Pending {
                places.push(one.id);
                pending.push(one);
            }
        }
    }
    pending.sort_by_key(|one| one.id);
    Ok(pending)
}

/// The one of a line that was locked whose place an agreement takes: before those that never came to be, the one before them.
pub(super) fn before<'a>(
    of: &Agreement,
    line: &'a [Agreement],
    known: &Known,
) -> Result<Option<&'a Agreement>, AppError> {
    let mut place = of.replaces;
    while let Some(id) = place {
        let one = line.iter().find(|one| one.id == id);
        let Some(one) = one else {
            return Ok(None);
        };
        if !known.record(id)?.is_rolled_back() {
            return Ok(Some(one));
        }
        place = one.replaces;
    }
    Ok(None)
}

/// Those that would take an agreement's place and have not begun.
#[derive(Debug)]
pub(super) struct Renewals<'a> {
    of: AgreementId,
    /// When the agreement ends, as far as was told.
    ends: Option<DateTime<Utc>>,
    pending: Vec<&'a Agreement>,
    at: DateTime<Utc>,
}

impl<'a> Renewals<'a> {
    /// Those of a line that was locked.
    pub(super) fn behind(
        of: &Agreement,
        line: &'a [Agreement],
        known: &Known,
        at: DateTime<Utc>,
    ) -> Result<Self, AppError> {
        Ok(Self {
            of: of.id,
            ends: known.record(of.id)?.ends_first(),
            pending: pending_behind(of.id, line, known, at)?,
            at,
        })
    }

    /// The agreement.
    pub(super) fn of(&self) -> AgreementId {
        self.of
    }

    /// Those that would take its place, or that of one that would.
    pub(super) fn pending(&self) -> &[&'a Agreement] {
        &self.pending
    }

    /// When one of them begins, as people read it.
    pub(super) fn begins(one: &Agreement) -> String {
        let unknown = || "an unknown time".to_owned();
        one.starts_at.map_or_else(unknown, shown)
    }

    /// What becomes of them; nothing where there are none. Refuses where nobody said.
    pub(super) fn fate(
        &self,
        said: Option<RenewalFate>,
        end: &Notice,
    ) -> Result<Option<RenewalFate>, AppError> {
        let Some(first) = self.pending.first() else {
            return Ok(None);
        };
        let Some(fate) = said else {
            let detail = format!(
                "{} is to take its place from {} on; say what becomes of it: keep, and it begins all the same, or roll_back, and it never comes to be",
                first.id,
                Self::begins(first),
            );
            return Err(AppError::new(Code::RenewalPending, detail).field("renewal"));
        };
        if fate == RenewalFate::RollBack {
            for one in &self.pending {
                refuse_foreign(one)?;
            }
            // It ends for the one that takes its place, and would come back to nothing.
            if let Some(ends) = self.ends.filter(|ends| *ends < end.at) {
                let detail = format!("it ends at {} already; give a time until then", shown(ends));
                return Err(AppError::new(Code::InvalidRequest, detail).field("at"));
            }
        }
        Ok(Some(fate))
    }

    /// Has none of them ever come to be. The caller has them stand anew.
    pub(super) async fn roll_back(
        &self,
        conn: &mut PgConnection,
        actor: &Actor,
        reason: Option<&str>,
    ) -> Result<(), AppError> {
        let at = self.at;
        for one in &self.pending {
            let notice = Notice {
                id: own_event(at),
                at,
                told: Told::RolledBack,
            };
            let before = json!({ "state": AgreementState::Pending });
            let after = json!({ "at": at, "kind": notice.told.kind(), "with": self.of });
            tell(conn, actor, one, notice, reason.map(str::to_owned), at).await?;
            let change = (Some(before), Some(after));
            note(
                conn,
                actor,
                one.id,
                "agreement.roll_back",
                change,
                reason,
                at,
            )
            .await?;
        }
        Ok(())
    }
}

/// A time as people read it.
pub(super) fn shown(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
