//! The refusals that operations have in common, so that a handler names them in a word.
//!
//! `responses((status = 200, body = View), AuthProblems, InputProblems)`. The groups that may stand
//! together share no status; where a handler reads a body, `BodyProblems` takes the place of
//! `InputProblems`.

use std::collections::BTreeMap;

use utoipa::IntoResponses;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{Components, ObjectBuilder, Type};
use utoipa::openapi::{Ref, RefOr};

use super::problem::{CONTENT_TYPE, status};
use crate::app::code::Code;

/// Declares a group from the codes it may answer with.
macro_rules! problems {
    ($($(#[$doc:meta])+ $group:ident = [$($code:ident),+];)+) => {
        $(
            $(#[$doc])+
            #[derive(Debug, Clone, Copy)]
            pub struct $group;

            impl IntoResponses for $group {
                fn responses() -> BTreeMap<String, RefOr<Response>> {
                    describe(&[$(Code::$code),+])
                }
            }
        )+
    };
}

problems! {
    /// What any operation with a `Caller` may answer.
    AuthProblems = [
        Unauthenticated, TokenExpired, Forbidden, Internal, Unavailable, IssuerUnavailable, Timeout
    ];
    /// What any operation without one may answer.
    FaultProblems = [Internal, Unavailable, Timeout];
    /// What an operation with path or query parameters may answer.
    InputProblems = [InvalidPath, InvalidQuery, InvalidRequest];
    /// What an operation with a body may answer; covers `InputProblems`.
    BodyProblems = [
        InvalidJson, InvalidPath, InvalidQuery, InvalidRequest, RequestTimeout, PayloadTooLarge,
        UnsupportedMediaType
    ];
    /// The operation named does not exist.
    OperationMissing = [OperationNotFound];
    /// The feed of events cannot go on there.
    FeedProblems = [EventsGone];
    /// The account and Region named is not registered.
    AccountRegionMissing = [AccountRegionNotFound];
    /// The endpoint service named does not exist.
    ServiceMissing = [ServiceNotFound];
    /// The connection named does not exist.
    ConnectionMissing = [ConnectionNotFound];
    /// The account and Region is registered already.
    AccountRegionConflict = [AccountRegionExists];
    /// The endpoint service is registered already.
    ServiceConflict = [ServiceExists];
    /// The endpoint service is not as the caller believes, or not known well enough.
    ServiceChangeConflict = [
        ServiceChanged, ServiceNotObserved, ConfirmationRequired, PayerIrreversible, LoadBalancerTaken,
        ServiceDraining, ServiceDeleting, ServiceEnded, ServiceSold, PrincipalsOfAgreements
    ];
    /// AWS has not told enough about the endpoint service yet.
    ServiceUnread = [ServiceNotObserved, ServiceDraining, ServiceDeleting, ServiceEnded];
    /// The connection is in no state to be accepted, or may not be.
    AcceptConflict = [
        ConnectionAlreadyDecided, ConnectionClosed, ConnectionStateUnknown, ServiceDraining, ServiceDeleting, ServiceEnded,
        AccountDenied, QuotaExceeded, ApprovalBySamePerson, ApprovalsRequired, AccessEnding
    ];
    /// The connection is in no state to be rejected.
    DecisionConflict = [ConnectionAlreadyDecided, ConnectionClosed, ConnectionStateUnknown, ServiceEnded];
    /// The caller has given no approval that stands.
    WithdrawalConflict = [ApprovalMissing];
    /// Somebody else works on the request, or it is in no state to be decided.
    ReviewClaimConflict = [
        ReviewClaimed, ConnectionAlreadyDecided, ConnectionClosed, ConnectionStateUnknown
    ];
    /// Nobody works on the request, or somebody else does.
    ReviewReleaseConflict = [ReviewNotClaimed, ReviewClaimed];
    /// Nothing holds the request.
    HoldConflict = [ConnectionNotHeld];
    /// There is no access, or the endpoint is gone.
    AccessConflict = [ConnectionNotAccepted, ConnectionClosed, ConnectionStateUnknown];
    /// No revocation is planned.
    ScheduleConflict = [RevocationNotScheduled, RevocationByAgreement];
    /// The rules are not as the caller believes, or the change does more than it says.
    ReviewRulesConflict = [ReviewRulesChanged, ConfirmationRequired];
    /// The connection is in no state to be revoked.
    RevocationConflict = [ConnectionNotRevocable, ConnectionClosed, ConnectionStateUnknown, ServiceEnded];
    /// There is nothing to retry about the connection.
    ConnectionRetryConflict = [ConnectionNotStalled];
    /// There is nothing to retry about the connection, or it may not be accepted any more.
    ConnectionTellConflict = [ConnectionNotStalled, ServiceDraining, ServiceDeleting, ServiceEnded, AccountDenied];
    /// There is nothing to retry about the endpoint service.
    ServiceRetryConflict = [ServiceNotStalled, ServiceEnded];
    /// The message posted by SNS is forged, foreign or malformed, for ever.
    HookProblems = [
        SnsMessageMalformed, SnsTopicNotAllowed, SnsSignatureInvalid, SnsMessageTooOld, PayloadTooLarge
    ];
    /// The account and Region is not as the caller believes.
    AccountRegionChangeConflict = [AccountRegionChanged];
    /// Nobody can take care of the connection, or somebody else does.
    ConnectionClaimConflict = [ConnectionNotStalled, StallClaimed];
    /// Nobody can take care of the endpoint service, or somebody else does.
    ServiceClaimConflict = [ServiceNotStalled, StallClaimed];
    /// There is nothing to give up about the endpoint service.
    ServiceStallConflict = [ServiceNotStalled];
    /// The drift named does not exist.
    DriftMissing = [DriftNotFound];
    /// The drift is not open, or the verb does not apply to it, or what it is about is not as it was.
    DriftConflict = [
        DriftSettled, DriftNotAdoptable, DriftNotRevertible, DriftBlocked, ConnectionNotStalled, ServiceExists,
        ServiceDraining, ServiceDeleting, ServiceEnded, AccountDenied, QuotaExceeded,
        ApprovalsRequired, AccessEnding, ServiceSold, PrincipalsOfAgreements
    ];
    /// The endpoint service cannot be drained or deleted, or not so.
    DrainConflict = [
        ServiceDraining, ServiceDeleting, ServiceEnded, ServiceChanged, ServiceNotObserved, ConfirmationRequired,
        ServiceSold
    ];
    /// There is no drain to take back.
    CancelDrainConflict = [ServiceNotDraining, ServiceDeleting, ServiceEnded, ServiceChanged];
    /// The endpoint service cannot be let go of now.
    ReleaseConflict = [ServiceDeleting, ServiceEnded, ServiceChanged, ServiceSold];
    /// There is nothing that the worker could look at.
    ServiceLookConflict = [ServiceEnded];
    /// There is nothing to read the services from.
    ImportConflict = [InventoryMissing];
    /// The consumer named does not exist.
    ConsumerMissing = [ConsumerNotFound];
    /// The consumer does not exist, or the account is not one of its own.
    ConsumerAccountMissing = [ConsumerNotFound, ConsumerAccountNotFound];
    /// The account may not leave the consumer now.
    ConsumerAccountConflict = [ConsumerDenied];
    /// The denial named does not exist.
    DenialMissing = [DenialNotFound];
    /// Whom or what the denial is to be about does not exist.
    DenialSubjectMissing = [ConsumerNotFound, ServiceNotFound];
    /// The denial cannot be lifted.
    DenialConflict = [DenialLifted, DenialOfBlock];
    /// The block named does not exist.
    BlockMissing = [BlockNotFound];
    /// It is blocked, or what would be done is not what was shown.
    BlockConflict = [AlreadyBlocked, PreviewChanged];
    /// There is no block to take back.
    UnblockConflict = [NotBlocked];
    /// The policy named does not exist.
    PolicyMissing = [PolicyNotFound];
    /// The policy or its dry run does not exist.
    DryRunMissing = [PolicyNotFound, DryRunNotFound];
    /// The connection does not exist, or was not judged yet.
    JudgementMissing = [ConnectionNotFound, JudgementNotFound];
    /// The text does not compile.
    PolicyWrong = [PolicyInvalid];
    /// The policy is no candidate any more, or not what the caller believes.
    PolicyChangeConflict = [PolicyChanged, PolicySettled];
    /// The policy is no candidate any more.
    PolicyStepConflict = [PolicySettled];
    /// The policy is no candidate any more, or a dry run of it is not over.
    DryRunConflict = [PolicySettled, DryRunOpen];
    /// The policy may not be put in force, or not without a word.
    ActivationConflict = [
        PolicyChanged, PolicySettled, PolicyNotTested, DryRunOutdated, PolicyCutsTooMuch, PreviewChanged
    ];
    /// The policy does not decide, or may not be taken out of force, or not without a word.
    DeactivationConflict = [
        PolicyChanged, PolicyNotActive, DryRunMissing, DryRunOutdated, PolicyCutsTooMuch, PreviewChanged
    ];
    /// The re-judgement named does not exist.
    RejudgementMissing = [RejudgementNotFound];
    /// What is to be judged again does not exist.
    RejudgementScopeMissing = [ServiceNotFound, ConsumerNotFound];
    /// There is no preview to apply, or what would be done is not what was shown.
    ApplyConflict = [RejudgementNotPreviewed, PreviewChanged];
    /// Somebody else cancelled it first.
    RejudgementCancelConflict = [RejudgementCancelled];
    /// The service token named does not exist.
    ServiceTokenMissing = [ServiceTokenNotFound];
    /// Another one has the name.
    ServiceTokenConflict = [ServiceTokenExists];
    /// It was revoked, or its time is over.
    ServiceTokenEndConflict = [ServiceTokenEnded];
    /// Another consumer has the slug.
    ConsumerConflict = [ConsumerExists];
    /// The consumer is not as the caller believes, or cannot become what is asked for.
    ConsumerChangeConflict = [ConsumerChanged, ConsumerExists, ConsumerHasAccounts];
    /// The account belongs to somebody, or the consumer takes none.
    AccountConflict = [AccountTaken, ConsumerClosed];
    /// The access request named does not exist.
    AccessRequestMissing = [AccessRequestNotFound];
    /// The access request does not exist, or the consumer that it names.
    AccessApprovalMissing = [AccessRequestNotFound, ConsumerNotFound];
    /// It is asked for already, or cannot be given.
    AccessRequestConflict = [
        AccessRequestExists, AccountTaken, ConsumerClosed, ServiceDraining, ServiceDeleting, ServiceEnded
    ];
    /// The account is not the caller's, or the service takes no requests.
    OwnAskMissing = [ConsumerAccountNotFound, ServiceNotFound];
    /// It is asked for already.
    OwnAskConflict = [AccessRequestExists];
    /// Somebody answered already, or access may not be given.
    AccessApprovalConflict = [
        AccessRequestAnswered, AccountDenied, ServiceDraining, ServiceDeleting, ServiceEnded, AccountTaken, ConsumerClosed,
        ApprovalBySamePerson, ApprovalsRequired
    ];
    /// Somebody answered already.
    AccessAnswerConflict = [AccessRequestAnswered];
    /// Somebody answered first, or the caller has not approved.
    AccessApprovalWithdrawalConflict = [AccessRequestAnswered, ApprovalMissing];
    /// The removal of access named does not exist.
    AccessRemovalMissing = [AccessRemovalNotFound];
    /// What is to be taken away does not exist.
    AccessRemovalCauseMissing = [
        ServiceNotFound, PrincipalNotFound, ConsumerNotFound, ConsumerAccountNotFound, AccessRequestNotFound
    ];
    /// There is nothing that could be taken away now.
    AccessPreviewConflict = [AccessRequestNotApproved, ServiceDraining, ServiceDeleting, ServiceEnded];
    /// It cannot be taken away now, or what would be done is not what was shown.
    AccessRemovalConflict = [
        PreviewChanged, AccessRequestNotApproved, ConsumerDenied, ServiceDraining, ServiceDeleting, ServiceEnded, PrincipalsOfAgreements
    ];
    /// The listing named does not exist.
    ListingMissing = [ListingNotFound];
    /// The listing does not exist, or has no such revision.
    ListingRevisionMissing = [ListingNotFound, ListingRevisionNotFound];
    /// Another listing has the slug.
    ListingConflict = [ListingExists];
    /// The listing is not as the caller believes, or may not change so.
    ListingChangeConflict = [ListingChanged, ListingExists, ListingFrozen, PlanBound, ListingStepImpossible];
    /// The listing stands where the step cannot be taken.
    ListingStepConflict = [ListingStepImpossible, ListingChanged];
    /// There is no draft, or it is not ready for a review.
    ListingSubmitConflict = [ListingStepImpossible, ListingChanged, ListingNotReady, PlanBound];
    /// Something is missing.
    ListingIncompleteProblem = [ListingIncomplete];
    /// There is nothing to review, or not by the caller.
    ListingReviewConflict = [ListingStepImpossible, ListingChanged, ReviewBySamePerson];
    /// There is nothing to release, or it cannot be sold.
    ListingReleaseConflict = [ListingStepImpossible, ListingChanged, ListingNotReady, ServiceListed];
    /// The listing cannot be published, or is not ready.
    ListingPublishConflict = [ListingStepImpossible, ListingChanged, ListingNotReady];
    /// The listing cannot be retired, or something of it is live.
    ListingRetireConflict = [ListingStepImpossible, ListingChanged, ListingInUse];
    /// The offer named does not exist.
    OfferMissing = [OfferNotFound];
    /// The listing sells nothing, or there is another public offer of the plan.
    OfferConflict = [ListingNotSelling, OfferExists];
    /// The offer is over.
    OfferEndConflict = [OfferEnded];
    /// The agreement named does not exist.
    AgreementMissing = [AgreementNotFound];
    /// What is bought, or the agreement whose place is taken, does not exist.
    AgreementPartsMissing = [ListingNotFound, OfferNotFound, AgreementNotFound];
    /// The agreement does not exist, or the account is not attached to it.
    AgreementAccountMissing = [AgreementNotFound, AgreementAccountNotFound];
    /// The connection or the agreement does not exist.
    AgreementClaimMissing = [ConnectionNotFound, AgreementNotFound];
    /// It is not sold, not to the buyer, or not beside what the buyer has.
    AgreementConflict = [
        ListingNotSelling, BuyerNotAllowed, OfferNotOpen, OfferEnded, OfferNotForBuyer, AccountTaken, AgreementExists, EventDiffers,
        AgreementOverlaps, TrialTaken, AgreementOver, AgreementRenewed, AgreementForeign
    ];
    /// It cannot be renewed, or not so.
    AgreementRenewalConflict = [
        ListingNotSelling, OfferNotOpen, OfferEnded, OfferNotForBuyer, AgreementExists, EventDiffers, AgreementOverlaps, AgreementOver,
        AgreementStepImpossible, AgreementRenewed, AgreementChanged, AgreementForeign
    ];
    /// The event was told otherwise, or not by whoever keeps the agreement.
    AgreementNoticeConflict = [EventDiffers, AgreementForeign, AgreementChanged];
    /// The event was told otherwise.
    EventConflict = [EventDiffers, AgreementChanged];
    /// Where the agreement stands, this makes no sense.
    AgreementStepConflict = [AgreementOver, AgreementStepImpossible, AgreementChanged, AgreementForeign];
    /// Where the agreement stands, this makes no sense, or it was not said what becomes of its renewal.
    AgreementEndConflict = [AgreementOver, AgreementStepImpossible, RenewalPending, AgreementChanged, AgreementForeign];
    /// Where the agreement stands, this makes no sense, another one is in the way, or it was not said what becomes of its renewal.
    AgreementAmendConflict = [AgreementOver, AgreementStepImpossible, RenewalPending, AgreementOverlaps, AgreementChanged, AgreementForeign];
    /// The account may not be attached.
    AgreementAttachConflict = [AccountAttached, AccountTaken, AgreementOverlaps, TrialTaken, AgreementOver];
    /// The account may not be detached.
    AgreementDetachConflict = [BuyerStays];
    /// The agreement cannot pay for the connection.
    AgreementClaimConflict = [AccountNotAttached, AgreementOfOtherListing, AgreementNotInForce];
    /// The agreement or the connection named does not exist.
    UsageSubjectMissing = [AgreementNotFound, ConnectionNotFound];
    /// The agreement gives nobody access.
    AgreementGrantConflict = [AgreementNotInForce, BuyerNotAllowed, AccessEnding];
    /// What is reported cannot be taken in.
    UsageConflict = [UsageEventReused, UsageOutsideAgreement, UsageBelowZero];
    /// Its grace is over, or the account belongs to somebody else by now.
    AccessRemovalCancelConflict = [AccessRemovalOver, AccountTaken, ConsumerClosed, ServiceSold];
}

/// What any operation that takes an `Idempotency-Key` may answer, added to what it says itself.
pub(super) fn add_idempotency(responses: &mut BTreeMap<String, RefOr<Response>>) {
    let codes = [
        Code::IdempotencyKeyInvalid,
        Code::IdempotencyInProgress,
        Code::IdempotencyKeyReused,
        Code::RequestTimeout,
        Code::PayloadTooLarge,
    ];
    merge(responses, &codes);
}

/// What a write to a resource with a state may answer. `needed`: it has to say which state it is meant for.
pub(super) fn add_preconditions(responses: &mut BTreeMap<String, RefOr<Response>>, needed: bool) {
    let codes = [
        Code::PreconditionFailed,
        Code::InvalidRequest,
        Code::PreconditionRequired,
    ];
    merge(responses, &codes[..if needed { 3 } else { 2 }]);
    for (status, response) in responses.iter_mut() {
        if let (true, RefOr::T(response)) = (status.starts_with('2'), response) {
            let header = tag_header("The new state, where `If-Match` was sent.");
            response.headers.insert("ETag".to_owned(), header.into());
        }
    }
}

/// What a read of a resource with a state answers.
pub(super) fn add_unchanged(responses: &mut BTreeMap<String, RefOr<Response>>) {
    if let Some(RefOr::T(response)) = responses.get_mut("200") {
        let header = tag_header(
            "Names what is shown. Send it as `If-Match` with a change, or as `If-None-Match` when reading again.",
        );
        response.headers.insert("ETag".to_owned(), header.into());
    }
    let unchanged = ResponseBuilder::new()
        .description("The caller has this representation already.")
        .header("ETag", tag_header("Its tag."));
    responses.insert("304".to_owned(), unchanged.build().into());
    merge(responses, &[Code::InvalidRequest]);
}

fn tag_header(description: &str) -> Header {
    HeaderBuilder::new()
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .description(Some(description))
        .build()
}

/// The name of the response that all operations share for a code.
fn shared(code: Code) -> Option<&'static str> {
    match status(code).as_u16() {
        414 => Some("UriTooLong"),
        429 => Some("RateLimited"),
        431 => Some("HeadersTooLarge"),
        _ => None,
    }
}

/// What any operation may answer before it is begun. Probes have no rate, and no place among what is worked on.
pub(super) fn add_limits(responses: &mut BTreeMap<String, RefOr<Response>>, probe: bool) {
    let caps: &[Code] = &[Code::UriTooLong, Code::HeadersTooLarge];
    let more: &[Code] = if probe { &[] } else { &[Code::RateLimited] };
    for code in caps.iter().chain(more) {
        if let Some(name) = shared(*code) {
            let reference = Ref::new(format!("#/components/responses/{name}"));
            responses.insert(status(*code).as_str().to_owned(), reference.into());
        }
    }
    if !probe {
        merge(responses, &[Code::Overloaded, Code::Timeout]);
    }
    if let Some(RefOr::T(busy)) = responses.get_mut("503") {
        busy.headers
            .insert("Retry-After".to_owned(), header_reference("Retry-After"));
    }
}

/// What [`add_limits`] refers to.
pub(super) fn add_shared(components: &mut Components) {
    for code in [Code::UriTooLong, Code::HeadersTooLarge, Code::RateLimited] {
        let (Some(name), Some((_, RefOr::T(mut response)))) =
            (shared(code), describe(&[code]).pop_first())
        else {
            continue;
        };
        if code == Code::RateLimited {
            for (name, _, _) in HEADERS {
                response
                    .headers
                    .insert(name.to_owned(), header_reference(name));
            }
        }
        components
            .responses
            .insert(name.to_owned(), response.into());
    }
    for (name, description, example) in HEADERS {
        let schema = ObjectBuilder::new().schema_type(Type::String);
        let mut header = Header::new(schema);
        header.description = Some(description.to_owned());
        header.example = Some(example.into());
        components.headers.insert(name.to_owned(), RefOr::T(header));
    }
}

/// Headers that answers share: name, meaning, example.
const HEADERS: [(&str, &str, &str); 3] = [
    (
        "RateLimit",
        "What is left: `r` requests now, and in `t` seconds the bucket is full again, or after a 429 there is one more. On every answer to a request that a \
         rate applies to; of several buckets, the one with the least left.",
        "\"reads\";r=499;t=1",
    ),
    (
        "RateLimit-Policy",
        "How the bucket of `RateLimit` is filled: it holds `q` requests, and an empty one is full after `w` seconds.",
        "\"reads\";q=500;w=5",
    ),
    ("Retry-After", "After how many seconds to try again.", "2"),
];

fn header_reference(name: &str) -> RefOr<Header> {
    RefOr::Ref(Ref::new(format!("#/components/headers/{name}")))
}

/// Adds codes to what an operation says that it may answer.
fn merge(responses: &mut BTreeMap<String, RefOr<Response>>, codes: &[Code]) {
    for (status, more) in describe(codes) {
        match (responses.get_mut(&status), more) {
            (Some(RefOr::T(known)), RefOr::T(more)) => {
                for line in more.description.split_inclusive(". ") {
                    let line = line.trim();
                    if !known.description.contains(line) {
                        known.description = format!("{} {line}", known.description);
                    }
                }
            }
            (_, more) => {
                responses.insert(status, more);
            }
        }
    }
}

fn describe(codes: &[Code]) -> BTreeMap<String, RefOr<Response>> {
    let mut descriptions = BTreeMap::<u16, Vec<String>>::new();
    for code in codes {
        let line = format!("`{}`: {}.", code.slug(), code.title());
        descriptions
            .entry(status(*code).as_u16())
            .or_default()
            .push(line);
    }
    descriptions
        .into_iter()
        .map(|(status, lines)| {
            let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem")));
            let response = ResponseBuilder::new()
                .description(lines.join(" "))
                .content(CONTENT_TYPE, content.build());
            (status.to_string(), response.build().into())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_one_status_share_one_response() {
        let responses = AuthProblems::responses();
        assert_eq!(
            responses.keys().collect::<Vec<_>>(),
            ["401", "403", "500", "503"]
        );
        let unauthorized = serde_json::to_string(&responses["401"]).expect("JSON");
        assert!(unauthorized.contains("unauthenticated"), "{unauthorized}");
        assert!(unauthorized.contains("token_expired"), "{unauthorized}");
        assert!(
            unauthorized.contains("#/components/schemas/Problem"),
            "{unauthorized}"
        );
    }

    #[test]
    fn groups_that_may_stand_together_share_no_status() {
        let auth = AuthProblems::responses();
        for group in [InputProblems::responses(), BodyProblems::responses()] {
            assert!(group.keys().all(|status| !auth.contains_key(status)));
        }
    }
}
