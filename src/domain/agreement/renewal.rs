//! What becomes of a renewal that has not begun when something happens to the agreement whose place it would take.

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

text_enum!(
    /// What becomes of those that would take an agreement's place and have not begun, when its figures or quantities are amended.
    RenewalTerms {
        /// They stay as they were agreed.
        Keep = "keep",
        /// They are amended alike.
        Amend = "amend",
    }
);
