//! The doctor: one thing is broken in AWS at a time, and exactly the checks that are about it change.

mod broken;
mod connections;
mod denied;
mod looks;
mod stage;
