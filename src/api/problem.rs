//! Every refusal on the wire: `application/problem+json` as in RFC 9457, and the only place where a
//! [`Code`] becomes an HTTP status.
//!
//! A fault of ours (status 500 and above) always reads the same: one sentence and the request id.
//! What really happened is logged here, once, with its whole chain of causes.

#![deny(clippy::wildcard_enum_match_arm)]

use std::fmt;

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue, RETRY_AFTER};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

use super::middleware::request_id;
use crate::app::code::Code;
use crate::app::error::{AppError, Finding};
use crate::domain::causes::chain;
use crate::domain::listing::Wrong;
use crate::domain::listing::readiness::Readiness;

/// The media type of every refusal.
pub const CONTENT_TYPE: &str = "application/problem+json";

/// The one sentence that a fault of ours shows.
const FAULT: &str = "Something went wrong on our side. Try again; if it goes on, report the \
                     request id to whoever runs this installation.";

/// Chooses the HTTP status of a code.
#[expect(
    clippy::too_many_lines,
    reason = "a table with a line for each code, and the compiler misses none"
)]
pub const fn status(code: Code) -> StatusCode {
    match code {
        Code::InvalidRequest
        | Code::InvalidJson
        | Code::InvalidQuery
        | Code::InvalidPath
        | Code::IdempotencyKeyInvalid
        | Code::SnsMessageMalformed => StatusCode::BAD_REQUEST,
        Code::Unauthenticated | Code::TokenExpired => StatusCode::UNAUTHORIZED,
        Code::Forbidden => StatusCode::FORBIDDEN,
        Code::NotFound
        | Code::AccountRegionNotFound
        | Code::ServiceNotFound
        | Code::ConnectionNotFound
        | Code::DriftNotFound
        | Code::ConsumerNotFound
        | Code::ConsumerAccountNotFound
        | Code::DenialNotFound
        | Code::BlockNotFound
        | Code::PolicyNotFound
        | Code::DryRunNotFound
        | Code::JudgementNotFound
        | Code::AccessRequestNotFound
        | Code::AccessRemovalNotFound
        | Code::PrincipalNotFound
        | Code::OperationNotFound
        | Code::RejudgementNotFound
        | Code::ServiceTokenNotFound
        | Code::ListingNotFound
        | Code::ListingRevisionNotFound
        | Code::OfferNotFound
        | Code::AgreementNotFound
        | Code::AgreementAccountNotFound => StatusCode::NOT_FOUND,
        Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Code::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
        Code::AccountRegionChanged
        | Code::StallClaimed
        | Code::AccountRegionExists
        | Code::ServiceExists
        | Code::ServiceChanged
        | Code::ServiceNotObserved
        | Code::ServiceDraining
        | Code::ServiceDeleting
        | Code::ServiceEnded
        | Code::ServiceNotDraining
        | Code::ConfirmationRequired
        | Code::PayerIrreversible
        | Code::LoadBalancerTaken
        | Code::ConnectionAlreadyDecided
        | Code::ConnectionNotRevocable
        | Code::ConnectionClosed
        | Code::ConnectionStateUnknown
        | Code::ServiceNotStalled
        | Code::ConnectionNotStalled
        | Code::DriftSettled
        | Code::DriftNotAdoptable
        | Code::DriftNotRevertible
        | Code::DriftBlocked
        | Code::ApprovalBySamePerson
        | Code::ApprovalMissing
        | Code::ApprovalsRequired
        | Code::ReviewClaimed
        | Code::ReviewNotClaimed
        | Code::ConnectionNotHeld
        | Code::ConnectionNotAccepted
        | Code::RevocationNotScheduled
        | Code::RevocationByAgreement
        | Code::ReviewRulesChanged
        | Code::EndpointAmbiguous
        | Code::InventoryMissing
        | Code::ConsumerExists
        | Code::ConsumerChanged
        | Code::ConsumerClosed
        | Code::ConsumerHasAccounts
        | Code::AccountTaken
        | Code::ConsumerDenied
        | Code::AccountDenied
        | Code::DenialLifted
        | Code::DenialOfBlock
        | Code::AlreadyBlocked
        | Code::NotBlocked
        | Code::RejudgementNotPreviewed
        | Code::RejudgementCancelled
        | Code::PreviewChanged
        | Code::AccessRequestExists
        | Code::AccessRequestAnswered
        | Code::AccessRequestNotApproved
        | Code::AccessEnding
        | Code::AccessRemovalOver
        | Code::QuotaExceeded
        | Code::PolicyChanged
        | Code::PolicySettled
        | Code::PolicyNotTested
        | Code::PolicyNotActive
        | Code::DryRunOpen
        | Code::DryRunMissing
        | Code::DryRunOutdated
        | Code::IdempotencyInProgress
        | Code::ServiceTokenExists
        | Code::ServiceTokenEnded
        | Code::ListingExists
        | Code::ListingChanged
        | Code::ListingStepImpossible
        | Code::ListingFrozen
        | Code::PlanBound
        | Code::ListingNotReady
        | Code::ReviewBySamePerson
        | Code::ServiceListed
        | Code::ServiceSold
        | Code::PrincipalsOfAgreements
        | Code::ListingInUse
        | Code::ListingNotSelling
        | Code::OfferExists
        | Code::OfferEnded
        | Code::AgreementExists
        | Code::AgreementOverlaps
        | Code::TrialTaken
        | Code::BuyerNotAllowed
        | Code::OfferNotOpen
        | Code::OfferNotForBuyer
        | Code::EventDiffers
        | Code::AgreementOver
        | Code::AgreementStepImpossible
        | Code::AgreementRenewed
        | Code::AgreementChanged
        | Code::RenewalPending
        | Code::AgreementForeign
        | Code::AccountAttached
        | Code::BuyerStays
        | Code::AccountNotAttached
        | Code::AgreementOfOtherListing
        | Code::AgreementNotInForce
        | Code::UsageEventReused
        | Code::UsageOutsideAgreement
        | Code::UsageBelowZero
        | Code::PolicyCutsTooMuch => StatusCode::CONFLICT,
        Code::PolicyInvalid | Code::ListingIncomplete | Code::IdempotencyKeyReused => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        Code::EventsGone => StatusCode::GONE,
        Code::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
        Code::PreconditionRequired => StatusCode::PRECONDITION_REQUIRED,
        Code::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::UriTooLong => StatusCode::URI_TOO_LONG,
        Code::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Code::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Code::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Code::SnsTopicNotAllowed | Code::SnsSignatureInvalid | Code::SnsMessageTooOld => {
            StatusCode::FORBIDDEN
        }
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        Code::Unavailable
        | Code::IssuerUnavailable
        | Code::Overloaded
        | Code::Timeout
        | Code::TooManyStreams => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// After how many seconds what time can mend may be tried again. A limit that knows better says it itself.
fn come_again(status: StatusCode) -> Option<u32> {
    (status == StatusCode::SERVICE_UNAVAILABLE).then_some(2)
}

/// A refusal that is ready to be sent. Handlers return it as the error of their result.
#[derive(Debug)]
pub struct Problem {
    code: Code,
    detail: String,
    field: Option<String>,
    diagnostics: Vec<DiagnosticView>,
    faults: Option<Box<Faults>>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// More that is wrong than one sentence has room for.
#[derive(Debug)]
struct Faults {
    wrongs: Vec<FieldProblem>,
    checks: Vec<Readiness>,
}

impl Problem {
    /// Refuses with a sentence that the caller will read; faults show the fixed sentence instead.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            field: None,
            diagnostics: Vec::new(),
            faults: None,
            headers: Vec::new(),
        }
    }

    /// Names the part of the request to blame.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Adds a response header that belongs to this refusal, `Allow` for example.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The reason, for programs.
    pub fn code(&self) -> Code {
        self.code
    }

    fn document(&self) -> ProblemDocument {
        let status = status(self.code);
        // Being busy is no fault, and says nothing of what is inside.
        let busy = [Code::Overloaded, Code::TooManyStreams].contains(&self.code);
        let fault = status.is_server_error() && !busy;
        let detail = if fault {
            FAULT.to_owned()
        } else {
            self.detail.clone()
        };
        let faults = self.faults.as_deref().filter(|_| !fault);
        let blamed = self.field.iter().map(|field| FieldProblem {
            field: field.clone(),
            detail: detail.clone(),
        });
        let blamed = blamed.chain(faults.iter().flat_map(|all| all.wrongs.iter().cloned()));
        ProblemDocument {
            r#type: format!("urn:portcullis:error:{}", self.code.slug()),
            title: self.code.title(),
            status: status.as_u16(),
            code: self.code.slug(),
            request_id: request_id::current().map(|id| id.as_str().to_owned()),
            errors: blamed.filter(|_| !fault).collect(),
            diagnostics: self.diagnostics.clone(),
            checks: faults.map_or_else(Vec::new, |all| all.checks.clone()),
            detail,
        }
    }
}

/// Makes a sentence of a clause: use cases speak in clauses, as every error here does.
fn sentence(clause: &str) -> String {
    // An identifier at the beginning stays as it is.
    let is_word = clause
        .split(' ')
        .next()
        .is_some_and(|w| w.bytes().all(|b| b.is_ascii_lowercase()));
    let mut rest = clause.chars();
    let mut text = match rest.next() {
        Some(first) if is_word => first.to_uppercase().chain(rest).collect(),
        _ => clause.to_owned(),
    };
    if !text.ends_with(['.', '!', '?']) {
        text.push('.');
    }
    text
}

impl From<AppError> for Problem {
    fn from(error: AppError) -> Self {
        if status(error.code()).is_server_error() {
            tracing::error!(
                error.code = error.code().slug(),
                error.chain = chain(&error),
                "a request failed on our side"
            );
        }
        Self {
            code: error.code(),
            detail: sentence(error.detail()),
            field: error.blamed_field().map(str::to_owned),
            diagnostics: error.found().iter().cloned().map(Into::into).collect(),
            faults: Some(Box::new(Faults {
                wrongs: error.wrongs().iter().map(FieldProblem::of).collect(),
                checks: error.unready_checks().to_vec(),
            })),
            headers: Vec::new(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        status(self.code)
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        let mut response = HttpResponse::build(status(self.code));
        response.insert_header(("content-type", CONTENT_TYPE));
        response.insert_header(("cache-control", "no-store"));
        if let Some(seconds) = come_again(status(self.code)) {
            response.insert_header((RETRY_AFTER, seconds));
        }
        for (name, value) in &self.headers {
            response.insert_header((name.clone(), value.clone()));
        }
        response.json(self.document())
    }
}

/// A refusal as RFC 9457 describes it, with a code to match on.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemDocument {
    /// The kind of refusal as a URI: `urn:portcullis:error:` and the code.
    #[schema(example = "urn:portcullis:error:connection_already_decided")]
    r#type: String,
    /// The kind of refusal in words; the same for every occurrence.
    #[schema(example = "The connection is already decided")]
    title: &'static str,
    /// The HTTP status, repeated.
    #[schema(example = 409, minimum = 400, maximum = 599)]
    status: u16,
    /// What happened this time.
    detail: String,
    /// The code to match on; `docs/errors.md` explains each.
    #[schema(schema_with = code_schema)]
    code: &'static str,
    /// The id of this request, to quote in a report; also in the `X-Request-Id` header.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    /// The parts of the request to blame, where they can be named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<FieldProblem>,
    /// What is wrong with a policy text, in its order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    diagnostics: Vec<DiagnosticView>,
    /// The readiness checks of a listing that do not pass.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    checks: Vec<Readiness>,
}

/// One part of a request and what is wrong with it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct FieldProblem {
    /// The path to the part, for example `load_balancer_arns[0]`.
    #[schema(example = "load_balancer_arns[0]")]
    field: String,
    /// What is wrong with it.
    detail: String,
}

impl FieldProblem {
    fn of(wrong: &Wrong) -> Self {
        Self {
            field: wrong.field.clone(),
            detail: sentence(&wrong.detail),
        }
    }
}

/// One thing that is wrong with a policy text, or hardly meant.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Diagnostic)]
pub(super) struct DiagnosticView {
    /// The line, from 1.
    #[schema(minimum = 1)]
    line: usize,
    /// The character in the line, from 1.
    #[schema(minimum = 1)]
    column: usize,
    /// What is wrong.
    message: String,
    /// What may help.
    help: Option<String>,
}

impl From<Finding> for DiagnosticView {
    fn from(finding: Finding) -> Self {
        Self {
            line: finding.line,
            column: finding.column,
            message: finding.message,
            help: finding.help,
        }
    }
}

fn code_schema() -> utoipa::openapi::schema::Object {
    utoipa::openapi::schema::ObjectBuilder::new()
        .schema_type(utoipa::openapi::schema::Type::String)
        .description(Some(
            "The code to match on; `docs/errors.md` explains each.",
        ))
        .enum_values(Some(Code::ALL.iter().map(|code| code.slug())))
        .build()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_has_exactly_one_heading_in_the_error_guide() {
        let guide = include_str!("../../docs/errors.md");
        let headings: Vec<_> = guide
            .lines()
            .filter_map(|line| line.strip_prefix("## "))
            .map(str::trim)
            .collect();
        let distinct: BTreeSet<_> = headings.iter().copied().collect();
        assert_eq!(distinct.len(), headings.len(), "a heading appears twice");
        let codes: BTreeSet<_> = Code::ALL.iter().map(|code| code.slug()).collect();
        assert_eq!(distinct, codes);
    }

    #[test]
    fn every_code_is_refused_with_an_error_status() {
        for code in Code::ALL {
            assert!(status(*code).as_u16() >= 400, "{code}");
        }
    }

    #[test]
    fn a_fault_shows_neither_its_sentence_nor_its_field_nor_its_cause() {
        let cause = std::io::Error::other("password authentication failed for user app");
        let problem = Problem::from(AppError::internal(cause).field("secret_column"));
        let body = serde_json::to_string(&problem.document()).expect("JSON");
        assert!(body.contains(FAULT), "{body}");
        for secret in ["password", "secret_column", "unexpected fault"] {
            assert!(!body.contains(secret), "{body}");
        }
    }

    #[test]
    fn a_refusal_names_the_field_to_blame() {
        let error = AppError::new(Code::InvalidRequest, "This is not an ARN.").field("arns[0]");
        let body = serde_json::to_value(Problem::from(error).document()).expect("JSON");
        assert_eq!(body["detail"], "This is not an ARN.");
        assert_eq!(body["errors"][0]["field"], "arns[0]");
        assert_eq!(body["type"], "urn:portcullis:error:invalid_request");
    }

    #[test]
    fn the_chain_names_every_cause_once() {
        let error = AppError::unavailable(std::io::Error::other("refused"));
        assert_eq!(
            chain(&error),
            "unavailable: a needed part is out of reach: refused"
        );
    }
}
