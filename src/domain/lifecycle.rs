//! The life of a registered service: in use, drained, deleted in AWS, or let go of. Pure; the transitions are here and nowhere else.
//!
//! To drain is to freeze first, so that nobody new comes in; to tell those who are in; to reject them when the notice is over; and to wait until
//! none is left. Only then is the service deleted, if that is wanted. `deleting` means that a delete call may have worked: from there is
//! no way back until AWS has said that it did nothing.
#![deny(clippy::wildcard_enum_match_arm)]

mod progress;

use chrono::{DateTime, Utc};

pub use progress::{Blocking, Notice, NoticeKind, Phase, Progress, next_look};

use super::review::Verb;
use super::text::text_enum;

text_enum!(
    /// Where a registered service is in its life.
    LifecycleState {
        /// In use.
        Active = "active",
        /// Nobody new comes in, and whoever is in has to go.
        Draining = "draining",
        /// AWS was asked to delete it, and has not said that it did not.
        Deleting = "deleting",
        /// It is gone in AWS.
        Deleted = "deleted",
        /// It is not looked after any more; AWS keeps it.
        Released = "released",
    }
);

text_enum!(
    /// What moves a service through its life: the first four are people's, the others the worker's.
    LifecycleVerb {
        /// Empties it.
        Drain = "drain",
        /// Empties it, unless it is being emptied, and deletes it then.
        Delete = "delete",
        /// Takes a drain back.
        CancelDrain = "cancel_drain",
        /// Lets go of it.
        Release = "release",
        /// AWS is about to be asked to delete it.
        CallDelete = "call_delete",
        /// AWS said that it did not.
        DeleteRefused = "delete_refused",
        /// AWS does not have it any more.
        FindGone = "find_gone",
    }
);

/// Why a service's life does not allow something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Retired {
    /// It is being drained.
    #[error("the service is being drained")]
    Draining,
    /// AWS was asked to delete it.
    #[error("AWS was asked to delete the service, and that cannot be taken back")]
    Deleting,
    /// It is gone or was let go of.
    #[error("the service is {0}, and nothing is done about it any more")]
    Ended(LifecycleState),
    /// There is no drain that this could be about.
    #[error("the service is {0}, so there is no drain")]
    NotDraining(LifecycleState),
}

impl LifecycleState {
    /// The state after `verb`; or why not.
    pub fn after(self, verb: LifecycleVerb) -> Result<Self, Retired> {
        use LifecycleVerb as V;
        match (self, verb) {
            (Self::Active, V::Drain | V::Delete)
            | (Self::Draining, V::Delete)
            | (Self::Deleting, V::DeleteRefused) => Ok(Self::Draining),
            (Self::Draining, V::CancelDrain) => Ok(Self::Active),
            (Self::Active | Self::Draining, V::Release) => Ok(Self::Released),
            (Self::Draining, V::CallDelete) => Ok(Self::Deleting),
            (Self::Draining | Self::Deleting, V::FindGone) => Ok(Self::Deleted),
            (Self::Draining, V::Drain | V::DeleteRefused) => Err(Retired::Draining),
            (Self::Active, V::CancelDrain | V::CallDelete | V::DeleteRefused | V::FindGone) => {
                Err(Retired::NotDraining(self))
            }
            (
                Self::Deleting,
                V::Drain | V::Delete | V::CancelDrain | V::Release | V::CallDelete,
            ) => Err(Retired::Deleting),
            (Self::Deleted | Self::Released, _) => Err(Retired::Ended(self)),
        }
    }

    /// Whether a decision may be taken about its connections: the one question that every way to accept has to ask, and with the service
    /// locked. Nobody is let in once the service is drained; access may be taken away until it has ended.
    pub fn admits(self, verb: Verb) -> Result<(), Retired> {
        match (self, verb) {
            (Self::Active, _) | (Self::Draining | Self::Deleting, Verb::Reject | Verb::Revoke) => {
                Ok(())
            }
            (Self::Draining, Verb::Accept) => Err(Retired::Draining),
            (Self::Deleting, Verb::Accept) => Err(Retired::Deleting),
            (Self::Deleted | Self::Released, _) => Err(Retired::Ended(self)),
        }
    }

    /// Whether what is desired of the service may be changed.
    pub fn may_change(self) -> Result<(), Retired> {
        match self {
            Self::Active => Ok(()),
            Self::Draining => Err(Retired::Draining),
            Self::Deleting => Err(Retired::Deleting),
            Self::Deleted | Self::Released => Err(Retired::Ended(self)),
        }
    }

    /// Whether AWS is still asked about it.
    pub fn is_looked_after(self) -> Result<(), Retired> {
        match self {
            Self::Active | Self::Draining | Self::Deleting => Ok(()),
            Self::Deleted | Self::Released => Err(Retired::Ended(self)),
        }
    }

    /// Whether it is on its way out.
    pub fn is_retiring(self) -> bool {
        matches!(self, Self::Draining | Self::Deleting)
    }
}

/// The life of a service, with whose word it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lifecycle {
    /// Where it is.
    pub state: LifecycleState,
    /// Who wanted it so; nobody while it is active.
    pub said: Option<Said>,
    /// The drain that is under way or that led here.
    pub drain: Option<Drain>,
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self {
            state: LifecycleState::Active,
            said: None,
            drain: None,
        }
    }
}

/// A person's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// How a drain is to go, and how far AWS is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drain {
    /// When connections that are live are rejected.
    pub reject_at: DateTime<Utc>,
    /// Whether the service is deleted in AWS then.
    pub then_delete: bool,
    /// When AWS was seen to let nobody new in.
    pub frozen_at: Option<DateTime<Utc>>,
    /// When AWS was last asked to delete it.
    pub called_at: Option<DateTime<Utc>>,
    /// How many times AWS would not.
    pub refusals: i32,
    /// AWS's last code and words about deleting it.
    pub answer: Option<(String, String)>,
}

#[cfg(test)]
mod tests;
