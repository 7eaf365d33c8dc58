//! The one table of error codes: every way a request can be refused, in words that programs match on.
//!
//! A code is a promise: its slug never changes meaning and is never reused. The HTTP status of each
//! is chosen in the API, and `docs/errors.md` has a heading for each; tests hold both to this table.

use std::fmt;

/// Declares [`Code`] from lines of `Variant = "slug", "Title";`.
macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $slug:literal, $title:literal;)+) => {
        /// A stable, machine-readable reason for a refusal.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[$doc])* $variant,)+
        }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name on the wire, lower case with underscores.
            pub const fn slug(self) -> &'static str {
                match self {
                    $(Self::$variant => $slug,)+
                }
            }

            /// A short sentence for people, the same for every occurrence.
            pub const fn title(self) -> &'static str {
                match self {
                    $(Self::$variant => $title,)+
                }
            }
        }
    };
}

codes! {
    /// Events between what the caller has read and what is kept are missing.
    EventsGone = "events_gone", "The feed cannot go on there";
    /// There are as many event streams as there may be.
    TooManyStreams = "too_many_streams", "There are too many event streams";
    /// A value is well formed but not one we can act on.
    InvalidRequest = "invalid_request", "The request is not valid";
    /// The body is not JSON, or not JSON of the expected shape.
    InvalidJson = "invalid_json", "The request body cannot be read";
    /// A query parameter is unknown, missing or of the wrong shape.
    InvalidQuery = "invalid_query", "A query parameter is not valid";
    /// A path parameter, an id for example, is of the wrong shape.
    InvalidPath = "invalid_path", "A path parameter is not valid";
    /// The header Idempotency-Key is not a key.
    IdempotencyKeyInvalid = "idempotency_key_invalid", "The Idempotency-Key is not valid";
    /// The key came with another request.
    IdempotencyKeyReused = "idempotency_key_reused", "The Idempotency-Key belongs to another request";
    /// A request with the key is still being done.
    IdempotencyInProgress = "idempotency_in_progress", "A request with this Idempotency-Key is being done";
    /// The write was meant for another state of the resource.
    PreconditionFailed = "precondition_failed", "The resource is in another state";
    /// The change does not say which state it is meant for.
    PreconditionRequired = "precondition_required", "The change must name the state it is meant for";
    /// No token, or one we do not accept.
    Unauthenticated = "unauthenticated", "Authentication is required";
    /// The token was good once.
    TokenExpired = "token_expired", "The token has expired";
    /// The caller is known and may not do this.
    Forbidden = "forbidden", "The caller may not do this";
    /// No such piece of work.
    OperationNotFound = "operation_not_found", "There is no such operation";
    /// No such path.
    NotFound = "not_found", "There is nothing here";
    /// No such AWS account and Region.
    AccountRegionNotFound = "account_region_not_found", "The account and Region are not registered";
    /// No such endpoint service.
    ServiceNotFound = "service_not_found", "The endpoint service does not exist";
    /// No such connection.
    ConnectionNotFound = "connection_not_found", "The connection does not exist";
    /// No such drift.
    DriftNotFound = "drift_not_found", "The drift does not exist";
    /// No such consumer.
    ConsumerNotFound = "consumer_not_found", "The consumer does not exist";
    /// The account is not one of the consumer's.
    ConsumerAccountNotFound = "consumer_account_not_found", "The account does not belong to the consumer";
    /// No such denial.
    DenialNotFound = "denial_not_found", "The denial does not exist";
    /// No such block.
    BlockNotFound = "block_not_found", "The block does not exist";
    /// No such policy.
    PolicyNotFound = "policy_not_found", "The policy does not exist";
    /// No such dry run.
    DryRunNotFound = "dry_run_not_found", "The dry run does not exist";
    /// Neither gates nor policies were asked about it yet.
    JudgementNotFound = "judgement_not_found", "The connection was not judged yet";
    /// No such access request.
    AccessRequestNotFound = "access_request_not_found", "The access request does not exist";
    /// No such removal of access.
    AccessRemovalNotFound = "access_removal_not_found", "The removal of access does not exist";
    /// The service does not ask for the principal.
    PrincipalNotFound = "principal_not_found", "The endpoint service does not name the principal";
    /// No such re-judgement.
    RejudgementNotFound = "rejudgement_not_found", "The re-judgement does not exist";
    /// No such service token.
    ServiceTokenNotFound = "service_token_not_found", "The service token does not exist";
    /// No such listing.
    ListingNotFound = "listing_not_found", "The listing does not exist";
    /// No such revision of the listing.
    ListingRevisionNotFound = "listing_revision_not_found", "The listing has no such revision";
    /// No such offer.
    OfferNotFound = "offer_not_found", "The offer does not exist";
    /// No agreement has this id.
    AgreementNotFound = "agreement_not_found", "The agreement does not exist";
    /// The agreement exists, the account is not one of its.
    AgreementAccountNotFound = "agreement_account_not_found", "The account is not attached to the agreement";
    /// The path exists, the method does not.
    MethodNotAllowed = "method_not_allowed", "The method is not allowed here";
    /// The client took too long to send its request.
    RequestTimeout = "request_timeout", "The request took too long to arrive";
    /// The account and Region are registered already.
    AccountRegionExists = "account_region_exists", "The account and Region are already registered";
    /// The endpoint service is registered already.
    ServiceExists = "service_exists", "The endpoint service is already registered";
    /// Somebody else changed it first.
    ServiceChanged = "service_changed", "The endpoint service was changed by somebody else";
    /// AWS was not read yet, so its own setting is not known.
    ServiceNotObserved = "service_not_observed", "The endpoint service was not read from AWS yet";
    /// Nobody is let in any more, and nothing is changed.
    ServiceDraining = "service_draining", "The endpoint service is being drained";
    /// There is no way back.
    ServiceDeleting = "service_deleting", "The endpoint service is being deleted";
    /// It is deleted or was released.
    ServiceEnded = "service_ended", "The endpoint service is not looked after any more";
    /// There is no drain that could be taken back.
    ServiceNotDraining = "service_not_draining", "The endpoint service is not being drained";
    /// What was asked for cannot be taken back easily, and nobody said that it is meant.
    ConfirmationRequired = "confirmation_required", "The change has to be confirmed";
    /// AWS knows no way back.
    PayerIrreversible = "payer_irreversible", "The owner pays, and that cannot be undone";
    /// A load balancer backs one service only.
    LoadBalancerTaken = "load_balancer_taken", "The load balancer backs another endpoint service";
    /// Somebody else decided first.
    ConnectionAlreadyDecided = "connection_already_decided", "The connection is already decided";
    /// Only an accepted connection can be revoked.
    ConnectionNotRevocable = "connection_not_revocable", "The connection cannot be revoked";
    /// The consumer's endpoint is gone.
    ConnectionClosed = "connection_closed", "The connection is closed";
    /// AWS reports a state this version does not know.
    ConnectionStateUnknown = "connection_state_unknown", "The connection's state is not known";
    /// There is nothing to retry about the service.
    ServiceNotStalled = "service_not_stalled", "The endpoint service is not stalled";
    /// There is nothing to retry about the connection.
    ConnectionNotStalled = "connection_not_stalled", "The connection is not stalled";
    /// Somebody else changed it first.
    AccountRegionChanged = "account_region_changed", "The account and Region were changed by somebody else";
    /// Somebody else takes care of it.
    StallClaimed = "stall_claimed", "Somebody else takes care of it";
    /// Somebody else settled it first, or it went away by itself.
    DriftSettled = "drift_settled", "The drift is settled already";
    /// What AWS shows cannot become what is wanted.
    DriftNotAdoptable = "drift_not_adoptable", "The drift cannot be adopted";
    /// Nothing that we can do brings AWS back.
    DriftNotRevertible = "drift_not_revertible", "The drift cannot be reverted";
    /// Settling it now would change more than it says.
    DriftBlocked = "drift_blocked", "The drift cannot be settled just now";
    /// Two approvals are two persons.
    ApprovalBySamePerson = "approval_by_same_person", "The same person has approved already";
    /// The caller has given no approval that stands.
    ApprovalMissing = "approval_missing", "There is no approval to take back";
    /// Nobody decides alone here.
    ApprovalsRequired = "approvals_required", "The approval of two persons is needed";
    /// Somebody else works on it.
    ReviewClaimed = "review_claimed", "Somebody else works on it";
    /// There is nothing to release.
    ReviewNotClaimed = "review_not_claimed", "Nobody works on it";
    /// There is nothing to end.
    ConnectionNotHeld = "connection_not_held", "The connection is not held";
    /// There is no access that could be given for another time or be taken away later.
    ConnectionNotAccepted = "connection_not_accepted", "The connection is not accepted";
    /// There is nothing to cancel.
    RevocationNotScheduled = "revocation_not_scheduled", "No revocation is scheduled";
    /// What an agreement plans is given up with the agreement's own verbs.
    RevocationByAgreement = "revocation_by_agreement", "An agreement takes the access away";
    /// Somebody else changed them first.
    ReviewRulesChanged = "review_rules_changed", "The review rules were changed by somebody else";
    /// More than one connection is named by it.
    EndpointAmbiguous = "endpoint_ambiguous", "The endpoint has more than one connection here";
    /// The worker has not listed the account's services yet.
    InventoryMissing = "inventory_missing", "There is no inventory of the account and Region yet";
    /// Another consumer has the slug.
    ConsumerExists = "consumer_exists", "Another consumer has this slug";
    /// Somebody else changed it first.
    ConsumerChanged = "consumer_changed", "The consumer was changed by somebody else";
    /// A closed consumer takes no accounts.
    ConsumerClosed = "consumer_closed", "The consumer is closed";
    /// A consumer that has accounts is not closed.
    ConsumerHasAccounts = "consumer_has_accounts", "The consumer still has accounts";
    /// An account belongs to one consumer at a time.
    AccountTaken = "account_taken", "The account belongs to a consumer already";
    /// Leaving a denied consumer would be a way around the denial.
    ConsumerDenied = "consumer_denied", "The consumer is denied";
    /// The account, its consumer or everybody is on the deny list.
    AccountDenied = "account_denied", "The account is denied";
    /// Somebody else lifted it first.
    DenialLifted = "denial_lifted", "The denial is lifted already";
    /// The denial belongs to a block and ends with it.
    DenialOfBlock = "denial_of_block", "The denial is part of a block";
    /// A block of it stands.
    AlreadyBlocked = "already_blocked", "It is blocked already";
    /// No block of it stands.
    NotBlocked = "not_blocked", "It is not blocked";
    /// What the caller was shown is not what would happen any more.
    PreviewChanged = "preview_changed", "What would be done has changed";
    /// The account waits for an answer about the same service.
    AccessRequestExists = "access_request_exists", "The access request was made already";
    /// Somebody else answered first, or its time is over.
    AccessRequestAnswered = "access_request_answered", "The access request is answered already";
    /// There is no access that could be taken away.
    AccessRequestNotApproved = "access_request_not_approved", "The access request gives no access";
    /// The access of the account to the service is being taken away.
    AccessEnding = "access_ending", "The access is being taken away";
    /// Its grace is over, or it was taken back already.
    AccessRemovalOver = "access_removal_over", "The removal of access cannot be taken back any more";
    /// There is no preview that could be applied.
    RejudgementNotPreviewed = "rejudgement_not_previewed", "The re-judgement cannot be applied";
    /// Somebody else cancelled it first.
    RejudgementCancelled = "rejudgement_cancelled", "The re-judgement is cancelled already";
    /// It would be one too many.
    QuotaExceeded = "quota_exceeded", "The quota is exceeded";
    /// It does not parse, or says what the schema does not know.
    PolicyInvalid = "policy_invalid", "The policy does not compile";
    /// Somebody else changed it first.
    PolicyChanged = "policy_changed", "The policy was changed by somebody else";
    /// What decides, decided, or was given up stays as it is.
    PolicySettled = "policy_settled", "The policy cannot be changed any more";
    /// Its cases or its dry run are missing.
    PolicyNotTested = "policy_not_tested", "The policy is not tested";
    /// It does not decide.
    PolicyNotActive = "policy_not_active", "The policy is not active";
    /// One at a time.
    DryRunOpen = "dry_run_open", "A dry run of the policy is not over yet";
    /// What would happen has to be looked at first.
    DryRunMissing = "dry_run_missing", "What would happen was not tried";
    /// It is too old, or other policies decide beside it now.
    DryRunOutdated = "dry_run_outdated", "The dry run does not say what would happen now";
    /// More live connections would lose access than may without a word.
    PolicyCutsTooMuch = "policy_cuts_too_much", "The policy would cut off too many live connections";
    /// Another one has the name.
    ServiceTokenExists = "service_token_exists", "Another service token has this name";
    /// It was revoked, or its time is over.
    ServiceTokenEnded = "service_token_ended", "The service token is not good any more";
    /// Another listing has the slug.
    ListingExists = "listing_exists", "Another listing has this slug";
    /// Somebody else changed it first.
    ListingChanged = "listing_changed", "The listing was changed by somebody else";
    /// Neither the listing nor its open revision stands where the step could be taken.
    ListingStepImpossible = "listing_step_impossible", "The listing cannot take this step now";
    /// What is reviewed or approved does not change.
    ListingFrozen = "listing_frozen", "The revision is submitted and does not change any more";
    /// Something is missing that a review needs.
    ListingIncomplete = "listing_incomplete", "The listing is not complete";
    /// A plan that was live keeps what agreements are bound to.
    PlanBound = "plan_bound", "The plan was live and cannot change so";
    /// A readiness check does not pass.
    ListingNotReady = "listing_not_ready", "The listing is not ready";
    /// Whoever wrote it does not review it.
    ReviewBySamePerson = "review_by_same_person", "The author cannot review the revision";
    /// A service is sold by one listing at a time.
    ServiceListed = "service_listed", "Another listing sells the endpoint service";
    /// What a listing sells is neither opened to everybody nor ended unnoticed.
    ServiceSold = "service_sold", "A listing sells the endpoint service";
    /// Nobody who has paid is taken out unnoticed.
    PrincipalsOfAgreements = "principals_of_agreements", "Agreements in force let these principals in";
    /// Agreements or connections are bound to it.
    ListingInUse = "listing_in_use", "The listing is in use";
    /// Nothing new can be bought there.
    ListingNotSelling = "listing_not_selling", "The listing sells nothing now";
    /// There is a public offer of the plan at that time.
    OfferExists = "offer_exists", "There is another public offer of the plan";
    /// It was withdrawn, or its time is over.
    OfferEnded = "offer_ended", "The offer is over";
    /// It was made known before.
    AgreementExists = "agreement_exists", "Another agreement has this reference";
    /// Nothing says which of two agreements would pay.
    AgreementOverlaps = "agreement_overlaps", "The account has another agreement at that time";
    /// A plan is tried once by an account.
    TrialTaken = "trial_taken", "The plan was tried already";
    /// The listing is limited, and the buyer is not on its allow-list.
    BuyerNotAllowed = "buyer_not_allowed", "The listing is not sold to the account";
    /// Its time has not come.
    OfferNotOpen = "offer_not_open", "The offer cannot be taken yet";
    /// It is private and does not name the buyer.
    OfferNotForBuyer = "offer_not_for_buyer", "The offer is for others";
    /// One event is one thing.
    EventDiffers = "event_differs", "The event was told before, otherwise";
    /// It has ended or another has taken its place.
    AgreementOver = "agreement_over", "The agreement is over";
    /// Where it stands, this makes no sense.
    AgreementStepImpossible = "agreement_step_impossible", "The agreement cannot take this step now";
    /// There is one successor.
    AgreementRenewed = "agreement_renewed", "Another agreement takes its place already";
    /// It would begin by itself when the agreement is long ended.
    RenewalPending = "renewal_pending", "A renewal has not begun";
    /// Somebody else changed it at the same moment.
    AgreementChanged = "agreement_changed", "The agreement was changed by somebody else";
    /// A marketplace says what happens to it.
    AgreementForeign = "agreement_foreign", "The agreement is kept elsewhere";
    /// It may connect by the agreement already.
    AccountAttached = "account_attached", "The account is attached already";
    /// Whoever bought has the agreement.
    BuyerStays = "buyer_stays", "The buyer's account stays";
    /// It is not attached, or without a proof.
    AccountNotAttached = "account_not_attached", "The account may not connect by the agreement";
    /// Another listing sells the connection's service.
    AgreementOfOtherListing = "agreement_of_other_listing", "The agreement is of another listing";
    /// The id came with another report.
    UsageEventReused = "usage_event_reused", "The event_id belongs to another report";
    /// Nothing is used by an agreement that is not in force.
    UsageOutsideAgreement = "usage_outside_agreement", "The agreement is not in force at that time";
    /// Nobody uses less than nothing.
    UsageBelowZero = "usage_below_zero", "The correction takes back too much";
    /// It has not begun, or is over.
    AgreementNotInForce = "agreement_not_in_force", "The agreement is not in force";
    /// Path and query are longer than we read.
    UriTooLong = "uri_too_long", "The path and query are too long";
    /// The headers are more than we read.
    HeadersTooLarge = "headers_too_large", "The request's headers are too large";
    /// The caller asks too often.
    RateLimited = "rate_limited", "Too many requests";
    /// The body is larger than we read.
    PayloadTooLarge = "payload_too_large", "The request body is too large";
    /// The body is not declared as JSON.
    UnsupportedMediaType = "unsupported_media_type", "The request body must be JSON";
    /// What was posted to the SNS hook is no message of SNS.
    SnsMessageMalformed = "sns_message_malformed", "The SNS message is malformed";
    /// The topic is not listened to.
    SnsTopicNotAllowed = "sns_topic_not_allowed", "The SNS topic is not listened to";
    /// SNS did not sign it, or cannot be shown to have.
    SnsSignatureInvalid = "sns_signature_invalid", "The signature of the SNS message is not valid";
    /// It was signed too long ago, or in the future.
    SnsMessageTooOld = "sns_message_too_old", "The SNS message is too old";
    /// A fault of ours.
    Internal = "internal", "Something went wrong on our side";
    /// Whether the caller's token is good cannot be said without its issuer's keys.
    IssuerUnavailable = "issuer_unavailable", "The keys of the token's issuer are not known right now";
    /// A part we depend on cannot be reached now.
    Unavailable = "unavailable", "The service is not available right now";
    /// More is asked of the process than it can do at once.
    Overloaded = "overloaded", "There are too many requests at once";
    /// A part we depend on did not answer in time, or the work took too long.
    Timeout = "timeout", "The request could not be finished in time";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.slug())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn slugs_are_unique_and_in_snake_case() {
        let mut seen = HashSet::new();
        for code in Code::ALL {
            let slug = code.slug();
            assert!(seen.insert(slug), "{slug} appears twice");
            assert!(
                slug.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'),
                "{slug}"
            );
        }
    }

    #[test]
    fn titles_are_sentences_without_a_full_stop() {
        for code in Code::ALL {
            let title = code.title();
            assert!(title.starts_with(char::is_uppercase), "{title}");
            assert!(!title.ends_with('.'), "{title}");
        }
    }
}
