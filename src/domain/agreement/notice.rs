//! What a source tells of an agreement.

use chrono::{DateTime, Utc};

use super::record::Terms;
use crate::domain::listing::EndCause;
use crate::domain::text::text_enum;

text_enum!(
    /// What kind of thing happened to an agreement.
    AgreementNoticeKind {
        /// It was made, or its terms were amended.
        Made = "made",
        /// Its licence was issued or updated.
        Licensed = "licensed",
        /// Its licence was taken back.
        Unlicensed = "unlicensed",
        /// Somebody has to look at it.
        Questioned = "questioned",
        /// Somebody looked, and it is good.
        Cleared = "cleared",
        /// Another one takes its place.
        Replaced = "replaced",
        /// It ended.
        Ended = "ended",
        /// It never came to be.
        RolledBack = "rolled_back",
    }
);

/// A notice: something that happened to an agreement at its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The source's own id of it. Of two of one time, the higher one is the later one.
    pub id: String,
    /// When it happened, by the source's clock; not when it was heard of.
    pub at: DateTime<Utc>,
    /// What happened.
    pub told: Told,
}

/// What happened to an agreement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// It was made, or its terms were amended.
    Made(Terms),
    /// It may be used: its licence was issued or updated.
    Licensed,
    /// Its licence was taken back.
    Unlicensed,
    /// Somebody has to look at it: the source is not sure of it, or told something that we do not know.
    Questioned,
    /// Somebody looked, and it is good.
    Cleared,
    /// It was renewed or replaced: another one takes its place.
    Replaced,
    /// It ended before its time, or its time was over.
    Ended(EndCause),
    /// It never came to be.
    RolledBack,
}

impl Told {
    /// The kind alone.
    pub fn kind(&self) -> AgreementNoticeKind {
        match self {
            Self::Made(_) => AgreementNoticeKind::Made,
            Self::Licensed => AgreementNoticeKind::Licensed,
            Self::Unlicensed => AgreementNoticeKind::Unlicensed,
            Self::Questioned => AgreementNoticeKind::Questioned,
            Self::Cleared => AgreementNoticeKind::Cleared,
            Self::Replaced => AgreementNoticeKind::Replaced,
            Self::Ended(_) => AgreementNoticeKind::Ended,
            Self::RolledBack => AgreementNoticeKind::RolledBack,
        }
    }

    /// What of a kind happened. `None` where what belongs to the kind is missing, or what does not is there.
    pub fn of(
        kind: AgreementNoticeKind,
        terms: Option<Terms>,
        cause: Option<EndCause>,
    ) -> Option<Self> {
        match (kind, terms, cause) {
            (AgreementNoticeKind::Made, Some(terms), None) => Some(Self::Made(terms)),
            (AgreementNoticeKind::Ended, None, Some(cause)) => Some(Self::Ended(cause)),
            (AgreementNoticeKind::Licensed, None, None) => Some(Self::Licensed),
            (AgreementNoticeKind::Unlicensed, None, None) => Some(Self::Unlicensed),
            (AgreementNoticeKind::Questioned, None, None) => Some(Self::Questioned),
            (AgreementNoticeKind::Cleared, None, None) => Some(Self::Cleared),
            (AgreementNoticeKind::Replaced, None, None) => Some(Self::Replaced),
            (AgreementNoticeKind::RolledBack, None, None) => Some(Self::RolledBack),
            _ => None,
        }
    }
}
