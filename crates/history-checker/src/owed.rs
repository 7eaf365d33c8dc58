//! What is owed to AWS, written down a second time: the grid of `docs/workflow.md` without a look at the code that follows it.

/// What a review and an observed state ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owed {
    /// Nothing.
    Nothing,
    /// A call, or patience.
    Something,
    /// A person's attention.
    Attention,
}

pub(crate) fn owed(review: &str, observed: &str) -> Owed {
    match (review, observed) {
        ("undecided", _)
        | (_, "expired" | "failed" | "deleting" | "deleted")
        | ("accepted", "available")
        | ("rejected" | "revoked", "rejected") => Owed::Nothing,
        ("accepted", "rejected") => Owed::Attention,
        _ => Owed::Something,
    }
}

/// The review that a verb makes.
pub(crate) fn review_of(verb: &str) -> &str {
    match verb {
        "accept" => "accepted",
        "reject" => "rejected",
        "revoke" => "revoked",
        other => other,
    }
}

/// The call that carries a verb out.
pub(crate) fn act_of(verb: &str) -> &'static str {
    if verb == "accept" { "accept" } else { "reject" }
}
