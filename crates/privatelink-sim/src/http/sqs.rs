//! One SQS request over HTTP: JSON in, JSON out, and the one action that waits.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};

use super::aws::{request_id, who};
use super::{credential, cut, signature};
use crate::api::{Api, Call};
use crate::calls::Ended;
use crate::simulator::Failure;
use crate::wire::form::Node;
use crate::wire::sqs::{self, Request, query};
use crate::world::identity::Identity;
use crate::{AwsError, Simulator};

/// The action in the header of an AWS JSON request to SQS.
pub(super) fn action(request: &HttpRequest) -> Option<String> {
    let target = request.headers().get("x-amz-target")?.to_str().ok()?;
    target.strip_prefix(sqs::TARGET).map(str::to_owned)
}

pub(super) async fn respond(
    request: &HttpRequest,
    simulator: &Simulator,
    action: String,
    body: &[u8],
) -> HttpResponse {
    let request_id = request_id(simulator);
    let ended = match act(request, simulator, action, body).await {
        Ok(ended) => ended,
        Err(error) => return refuse(&request_id, &error),
    };
    let whole = match ended.result {
        Ok(answer) => answer.to_string(),
        Err(Failure::Refused(error)) => return refuse(&request_id, &error),
        Err(Failure::Broken(_)) => String::new(),
    };
    if let Some(how) = ended.broken {
        return cut::broken(request, how, JSON, whole);
    }
    HttpResponse::Ok()
        .content_type(JSON)
        .insert_header(("x-amzn-requestid", request_id))
        .body(whole)
}

const JSON: &str = "application/x-amz-json-1.0";

async fn act(
    request: &HttpRequest,
    simulator: &Simulator,
    action: String,
    body: &[u8],
) -> Result<Ended<Value>, AwsError> {
    let credential = credential::read(request, &Node::default())?;
    if credential.api != Api::Sqs {
        let message = "Credential should be scoped to correct service: 'sqs'.";
        let code = "InvalidSignatureException";
        return Err(AwsError::with_status(403, code, message));
    }
    signature::check(request, simulator, &credential, body)?;
    let (account, identity) = who(simulator, &credential)?;
    let body: Option<Value> = serde_json::from_slice(body).ok();
    let body = body.filter(Value::is_object).ok_or_else(|| {
        let message = "The request's body is not a JSON object";
        AwsError::new("SerializationException", message)
    })?;
    let call = Call {
        api: Api::Sqs,
        action,
        account,
        region: credential.region.clone(),
        ids: Vec::new(),
        unfiltered: false,
    };
    Ok(perform(request, simulator, call, identity, &body).await)
}

/// One request in the older protocol, for the queue whose URL it was posted to.
pub(super) async fn query(
    request: &HttpRequest,
    simulator: &Simulator,
    (call, identity): (Call, Identity),
    form: &Node,
) -> Result<Ended<String>, AwsError> {
    let path = request.path();
    let url = (path.len() > 1).then(|| format!("{}{path}", base(request)));
    let action = call.action.clone();
    let body = query::read(&action, form, url.as_deref());
    let body = body.map_err(|error| query::code(&error))?;
    let ended = perform(request, simulator, call, identity, &body).await;
    let result = match ended.result {
        Ok(answer) => Ok(query::write(&action, &answer)),
        Err(Failure::Refused(error)) => Err(Failure::Refused(query::code(&error))),
        Err(Failure::Broken(how)) => Err(Failure::Broken(how)),
    };
    Ok(Ended {
        result,
        broken: ended.broken,
    })
}

fn base(request: &HttpRequest) -> String {
    let connection = request.connection_info();
    format!("{}://{}", connection.scheme(), connection.host())
}

async fn perform(
    request: &HttpRequest,
    simulator: &Simulator,
    call: Call,
    identity: Identity,
    body: &Value,
) -> Ended<Value> {
    let base = base(request);
    let asked = Request { body, base: &base };
    let action = call.action.clone();
    let mut waits = false;
    simulator
        .call_waiting(call, identity, |world, me| {
            // A client that gave up while it waited must not take a message with it.
            if std::mem::replace(&mut waits, true) && cut::gone(request) {
                let message = "The client closed its connection while it waited.";
                return Err(AwsError::with_status(499, "ClientClosedRequest", message));
            }
            sqs::answer(&action, world, me, &asked)
        })
        .await
}

/// An error as AWS JSON writes it, with the header that carries the code of SQS's older protocol.
pub(super) fn refuse(request_id: &str, error: &AwsError) -> HttpResponse {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    HttpResponse::build(status)
        .content_type(JSON)
        .insert_header(("x-amzn-requestid", request_id))
        .insert_header(("x-amzn-query-error", sqs::query_error(error)))
        .body(json!({"__type": sqs::error_type(&error.code), "message": error.message}).to_string())
}
