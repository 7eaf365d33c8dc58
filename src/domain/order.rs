//! The order of lists. Pure.

use super::text::text_enum;

text_enum!(
    /// In which order a list is read: by when its rows were made.
    Order {
        /// The oldest first: for whoever keeps a copy and reads on from where it stopped.
        Asc = "asc",
        /// The newest first.
        Desc = "desc",
    }
);

/// The newest first.
impl Default for Order {
    fn default() -> Self {
        Self::Desc
    }
}
