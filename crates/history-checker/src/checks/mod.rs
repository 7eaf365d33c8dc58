//! The checks, each over the whole history.

pub(crate) mod attempts;
pub(crate) mod bounds;
pub(crate) mod calls;
pub(crate) mod decisions;
pub(crate) mod observations;
pub(crate) mod rest;
