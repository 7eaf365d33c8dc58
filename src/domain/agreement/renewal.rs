//! What becomes of a renewal when the agreement whose place it would take is ended.

use crate::domain::text::text_enum;

text_enum!(
    /// What becomes of those that would take an agreement's place and have not begun, when that is ended.
    RenewalFate {
        /// They begin all the same.
        Keep = "keep",
        /// They never come to be.
        RollBack = "roll_back",
    }
);
