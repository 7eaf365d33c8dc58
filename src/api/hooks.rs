//! What others post to us. No bearer token: each message proves itself by its signature, and the route has limits of its own.

use actix_web::http::header::{CONTENT_LENGTH, HeaderValue, RETRY_AFTER};
use actix_web::web::{Data, Json, Payload};
use actix_web::{HttpRequest, post};
use futures_util::StreamExt as _;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::current_request_id;
use super::problem::{Problem, status};
use super::responses::{FaultProblems, HookProblems};
use crate::app::code::Code;
use crate::app::{AppContext, AppError};
use crate::domain::actor::Actor;
use crate::sns::message::Headers;
use crate::sns::refusal::Refusal;
use crate::sns::{Hook, Outcome};

/// The largest body that is read, in bytes: SNS's longest message is 256 KiB, and its envelope stands around it.
const BODY_LIMIT: usize = (256 + 16) * 1024;

/// When somebody whom we could not serve should come again, in seconds.
const COME_AGAIN: &str = "10";

/// Registers the routes.
pub(super) fn configure(cfg: &mut ServiceConfig) {
    cfg.service(receive_sns_message);
}

/// What became of a message.
#[derive(Debug, Serialize, ToSchema)]
struct HookAnswer {
    /// `stored`, `repeated`, `confirmed` or `ended`.
    #[schema(example = "stored")]
    outcome: &'static str,
}

/// Takes a message that Amazon SNS posts
///
/// For SNS, not for clients. A notification is kept as a hint of what to look at in AWS; nothing else of it is believed. A
/// subscription to a topic that is listened to is confirmed; its end is noted. What is refused with 4xx, SNS never sends again; what is answered with
/// 503, it does.
#[utoipa::path(
    tag = "hooks",
    security(()),
    params(
        ("x-amz-sns-message-type" = String, Header,
            pattern = "^(Notification|SubscriptionConfirmation|UnsubscribeConfirmation)$",
            description = "`Notification`, `SubscriptionConfirmation` or `UnsubscribeConfirmation`.")
    ),
    request_body(
        content = String,
        content_type = "text/plain",
        description = "The signed JSON envelope of SNS. Raw message delivery is refused."
    ),
    responses(
        (status = 200, description = "Taken, or known already.", body = HookAnswer),
        HookProblems,
        FaultProblems
    )
)]
#[post("/hooks/sns")]
async fn receive_sns_message(
    request: HttpRequest,
    payload: Payload,
    ctx: Data<AppContext>,
    hook: Option<Data<Hook>>,
) -> Result<Json<HookAnswer>, Problem> {
    let Some(hook) = hook else {
        return Err(Problem::new(
            Code::NotFound,
            "This process takes no messages of SNS.",
        ));
    };
    let outcome = receive(&request, payload, &ctx, &hook).await?;
    Ok(Json(HookAnswer {
        outcome: outcome.as_str(),
    }))
}

async fn receive(
    request: &HttpRequest,
    payload: Payload,
    ctx: &AppContext,
    hook: &Hook,
) -> Result<Outcome, Problem> {
    let _place = hook.admit().map_err(refusal)?;
    let header = |name: &str| request.headers().get(name)?.to_str().ok();
    let declared = header(CONTENT_LENGTH.as_str()).and_then(|length| length.parse().ok());
    if declared.is_some_and(|length: usize| length > BODY_LIMIT) {
        return Err(too_large());
    }
    let body = tokio::time::timeout(hook.body_timeout, read(payload))
        .await
        .map_err(|_| refusal(Refusal::Busy))??;
    let headers = Headers {
        message_type: header("x-amz-sns-message-type"),
        message_id: header("x-amz-sns-message-id"),
        topic_arn: header("x-amz-sns-topic-arn"),
        raw_delivery: header("x-amz-sns-rawdelivery"),
    };
    let actor = Actor {
        request_id: current_request_id().map(|id| id.as_str().to_owned()),
        ..Actor::aws()
    };
    hook.receive(ctx, &actor, headers, &body)
        .await
        .map_err(refusal)
}

async fn read(mut payload: Payload) -> Result<Vec<u8>, Problem> {
    let mut body = Vec::new();
    while let Some(chunk) = payload.next().await {
        let chunk =
            chunk.map_err(|_| refusal(Refusal::Malformed("the body broke off".to_owned())))?;
        if body.len() + chunk.len() > BODY_LIMIT {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn too_large() -> Problem {
    Problem::new(
        Code::PayloadTooLarge,
        format!("The request body may have at most {BODY_LIMIT} bytes."),
    )
}

/// A refusal on the wire. What time can mend says when to come again.
fn refusal(refusal: Refusal) -> Problem {
    let problem = match refusal {
        // Anybody can bring these about, so they are no fault to be logged each time; they are counted.
        Refusal::Busy | Refusal::NoCertificate(_) | Refusal::NotConfirmed(_) => {
            Problem::new(Code::Unavailable, "SNS may come again.")
        }
        other => Problem::from(AppError::from(other)),
    };
    if status(problem.code()).is_server_error() {
        problem.header(RETRY_AFTER, HeaderValue::from_static(COME_AGAIN))
    } else {
        problem
    }
}
