//! Agreements: what a consumer has bought, wherever it was bought.
//!
//! A source (we ourselves, or a marketplace) tells of an agreement by notices. They come late, twice, and in any order. A [`Record`] gathers them so that the order
//! makes no difference, and [`Record::standing`] says what they come to at a time. So nothing is ever moved from state to state: a notice that comes late cannot lift
//! what has ended, and one that comes twice does nothing. Pure.

mod anchor;
mod choice;
mod cuts;
mod kept;
mod notice;
pub mod notice_rules;
mod pays;
pub mod purchase;
mod record;
mod renewal;
mod standing;
#[cfg(test)]
mod table;
#[cfg(test)]
mod tests;

pub use choice::{Asks, Candidate, Choice, choose, choose_other};
pub use cuts::{Cuts, Granted, InUse, Seat, cuts, surplus};
pub use kept::{Account, AccountProof, Agreement, HeardNotice, OverQuota, Unbound};
pub use notice::{AgreementNoticeKind, Notice, Told};
pub use record::{Record, Terms};
pub use renewal::{RenewalFate, RenewalTerms};
pub use standing::{Patience, SUCCESSOR_WAIT, Standing};
