//! Writes that are meant for one state of a resource (`If-Match`), and the tags that name states.

use uuid::Uuid;

use super::code::Code;
use super::{AppContext, AppError};
use crate::domain::audit_entry::Subject;
use crate::domain::entity_tag::{ENTRIES, TagList, Version};
use crate::domain::ids::DriftId;
use crate::store::unit_of_work::{Unit, Watch};
use crate::store::versions;

/// What a state is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// Something with an audit trail of its own.
    Subject(Subject),
    /// A drift, whose trail is that of what it is about.
    Drift(DriftId),
}

/// The state that a change is meant for, as a request's body or header named it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpectedVersion {
    /// The `version` that the caller has read.
    Exactly(i64),
    /// Named by `If-Match`: the whole request stands or falls with it, and nothing is left to compare.
    Tagged,
}

impl Default for ExpectedVersion {
    /// No row is at this version.
    fn default() -> Self {
        Self::Exactly(0)
    }
}

impl ExpectedVersion {
    /// Refuses where the row is at another version.
    pub fn check(self, actual: i64, refusal: Code) -> Result<(), AppError> {
        match self {
            Self::Exactly(expected) if expected != actual => {
                let detail = format!("it is at version {actual}, not {expected}; read it again");
                Err(AppError::new(refusal, detail).field("version"))
            }
            Self::Exactly(_) | Self::Tagged => Ok(()),
        }
    }
}

async fn subject(
    conn: &mut crate::store::PgConnection,
    resource: Resource,
) -> Result<Option<Uuid>, AppError> {
    match resource {
        Resource::Subject(subject) => Ok(Some(subject.uuid())),
        Resource::Drift(id) => Ok(versions::subject_of_drift(conn, id).await?),
    }
}

/// The version of a resource; none where the resource cannot be found. Read it before the resource: a version that is older than what is shown makes a
/// write be refused once too often, and one that is newer would let a write through.
pub async fn version(ctx: &AppContext, resource: Resource) -> Result<Option<Version>, AppError> {
    let conn = &mut *ctx.acquire().await?;
    match subject(conn, resource).await? {
        Some(subject) => Ok(Some(versions::of(conn, subject).await?)),
        None => Ok(None),
    }
}

/// A write that is being done, and the state that it is meant for.
#[derive(Debug)]
pub struct Conditional {
    unit: Unit,
    /// Whether this began the transaction and has to end it.
    own: bool,
    subject: Option<Uuid>,
    before: Version,
    watch: Watch,
}

/// Begins a write, in the request's transaction or in one of its own.
pub async fn begin(ctx: &AppContext, resource: Resource) -> Result<Conditional, AppError> {
    let (unit, own) = match Unit::current() {
        Some(unit) => (unit, false),
        None => (Unit::begin(&ctx.pool, &ctx.units).await?, true),
    };
    let mut conn = unit.own().await?;
    let subject = subject(&mut conn, resource).await?;
    let before = match subject {
        Some(subject) => {
            // Of those who name its state, one after the other: none sees what another has written and not committed.
            versions::lock(&mut conn, subject).await?;
            versions::of(&mut conn, subject).await?
        }
        None => Version::default(),
    };
    drop(conn);
    Ok(Conditional {
        unit,
        own,
        subject,
        before,
        watch: Watch::over(subject.unwrap_or_default()),
    })
}

impl Conditional {
    /// Does the write.
    pub async fn scope<F: Future>(&self, work: F) -> F::Output {
        self.watch.scope(self.unit.scope(work)).await
    }

    /// Ends a write that was done. It stands if the resource was in one of the states that it was meant for, and nobody else wrote in between: what the
    /// trail has more now, the write has written itself. Otherwise nothing of it stands. Answers the new version.
    pub async fn end(self, ctx: &AppContext, meant: &TagList) -> Result<Version, AppError> {
        let refused = |detail: &str| Err(AppError::new(Code::PreconditionFailed, detail));
        let Some(subject) = self.subject.filter(|_| meant.allows(&self.before)) else {
            return refused("the resource is not in the state that If-Match names; read it again");
        };
        let mut conn = self.unit.own().await?;
        // Behind what it has written itself there is room for all that was there before, so what is new besides is seen.
        let written = self.watch.written();
        let newest = versions::newest(&mut conn, subject, ENTRIES + written).await?;
        drop(conn);
        if self.before.lacks(&newest) != written {
            return refused("somebody else changed the resource at this moment; read it again");
        }
        if self.own {
            self.unit.commit().await?;
            ctx.nudge.wake();
        }
        Ok(Version::of(newest))
    }
}
