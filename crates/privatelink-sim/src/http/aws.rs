//! One AWS request: parse, find out who and what, do it, frame the answer.

use actix_web::http::StatusCode;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use privatelink::AccountId;

use super::credential::{self, Credential};
use super::{cut, signature, sqs};
use crate::api::{Api, Call};
use crate::calls::Ended;
use crate::simulator::Failure;
use crate::wire::form::{self, Node};
use crate::wire::params::Params;
use crate::wire::{self, frame};
use crate::world::identity::Identity;
use crate::world::ids::mix;
use crate::{AwsError, Simulator};

pub(super) async fn post(
    request: HttpRequest,
    simulator: web::Data<Simulator>,
    body: Result<web::Bytes, actix_web::Error>,
) -> HttpResponse {
    match body {
        Ok(body) => {
            if let Some(action) = sqs::action(&request) {
                return sqs::respond(&request, &simulator, action, &body).await;
            }
            // A presigned POST has its signature in the query and its parameters in the body.
            let query = request.query_string().as_bytes();
            let all = [query, &b"&"[..], &body[..]].concat();
            respond(&request, &simulator, &all, &body).await
        }
        Err(error) => {
            let status = error.as_response_error().status_code().as_u16();
            let (code, message) = if status == 413 {
                (
                    "RequestEntityTooLarge",
                    "The request is larger than the simulator takes",
                )
            } else {
                (
                    "MalformedQueryString",
                    "The request's body could not be read",
                )
            };
            let error = AwsError::with_status(status, code, message);
            match sqs::action(&request) {
                Some(_) => sqs::refuse(&request_id(&simulator), &error),
                None => refuse(Api::Ec2, &request_id(&simulator), &error),
            }
        }
    }
}

pub(super) async fn get(request: HttpRequest, simulator: web::Data<Simulator>) -> HttpResponse {
    let query = request.query_string().as_bytes();
    respond(&request, &simulator, query, b"").await
}

/// Any other path or method: mostly a service that is not simulated, which the refusal then names.
pub(super) async fn elsewhere(
    request: HttpRequest,
    simulator: web::Data<Simulator>,
) -> HttpResponse {
    let form = Node::default();
    let error = match credential::read(&request, &form) {
        Err(error) if error.code == "InvalidAction" => error,
        _ => AwsError::with_status(
            404,
            "InvalidAction",
            "AWS requests go to POST /, the control API is below /_sim",
        ),
    };
    refuse_stranger(&request, &form, &request_id(&simulator), &error)
}

/// Refuses a request whose service is not known, in the protocol that it seems to speak.
fn refuse_stranger(
    request: &HttpRequest,
    form: &Node,
    request_id: &str,
    error: &AwsError,
) -> HttpResponse {
    if request.content_type().contains("json") {
        sqs::refuse(request_id, error)
    } else {
        refuse(credential::guess(form), request_id, error)
    }
}

async fn respond(
    request: &HttpRequest,
    simulator: &Simulator,
    parameters: &[u8],
    payload: &[u8],
) -> HttpResponse {
    let request_id = request_id(simulator);
    let (form, malformed) = match form::parse(parameters) {
        Ok(form) => (form, None),
        Err(error) => (Node::default(), Some(error)),
    };
    // Whose protocol it is comes first: the body of a service that is not simulated says nothing here.
    let credential = match credential::read(request, &form) {
        Ok(credential) => credential,
        Err(error) if error.code == "MissingAuthenticationToken" => {
            match credential::of_link(&form) {
                Some(credential) => credential,
                None => return refuse_stranger(request, &form, &request_id, &error),
            }
        }
        Err(error) => return refuse_stranger(request, &form, &request_id, &error),
    };
    let api = credential.api;
    if let Some(error) = malformed {
        return refuse(api, &request_id, &error);
    }
    if let Err(error) = signature::check(request, simulator, &credential, payload) {
        return refuse(api, &request_id, &error);
    }
    let (action, ended) = match act(request, simulator, &credential, &form).await {
        Ok(acted) => acted,
        Err(error) => return refuse(api, &request_id, &error),
    };
    let whole = match ended.result {
        Ok(inside) => frame::success(api, &action, &request_id, &inside),
        Err(Failure::Refused(error)) => return refuse(api, &request_id, &error),
        Err(Failure::Broken(_)) => String::new(),
    };
    if let Some(how) = ended.broken {
        return cut::broken(request, how, XML, whole);
    }
    HttpResponse::Ok()
        .content_type(XML)
        .insert_header(("x-amzn-requestid", request_id.as_str()))
        .body(whole)
}

const XML: &str = "text/xml;charset=UTF-8";

async fn act(
    request: &HttpRequest,
    simulator: &Simulator,
    credential: &Credential,
    form: &Node,
) -> Result<(String, Ended<String>), AwsError> {
    let value = |name: &str| form.children.get(name).and_then(|node| node.value.clone());
    let action = value("Action").ok_or_else(|| {
        AwsError::new(
            "MissingAction",
            "The request must contain the parameter Action",
        )
    })?;
    // EC2 has had many versions and takes none for granted; an action that it does not have comes first.
    let versioned = value("Version").is_some() || credential.api != Api::Ec2;
    if !versioned && wire::knows(Api::Ec2, &action) {
        return Err(AwsError::missing("Version"));
    }
    if let Some(version) = value("Version").filter(|v| v != credential.api.version()) {
        let shown: String = version.chars().take(32).collect();
        let message = format!(
            "The version '{shown}' of {} is not modelled by the simulator",
            credential.api.scope_name()
        );
        return Err(AwsError::new("NoSuchVersion", message));
    }
    let (account, identity) = who(simulator, credential)?;
    let call = Call {
        api: credential.api,
        action: action.clone(),
        account,
        region: credential.region.clone(),
        ids: ids(form),
        unfiltered: !["Filter", "MaxResults", "NextToken"]
            .iter()
            .any(|name| form.children.contains_key(*name)),
    };
    if credential.api == Api::Sqs {
        let ended = sqs::query(request, simulator, (call, identity), form).await?;
        return Ok((action, ended));
    }
    let ended = simulator
        .call(call, identity, |world, me| {
            let params = Params::new(form).asked_by(me);
            params.ignore(&PRESIGNED);
            wire::answer(credential.api, &action, world, me, &params)
        })
        .await;
    Ok((action, ended))
}

/// The account and the identity behind a credential, in a Region that there is.
pub(super) fn who(
    simulator: &Simulator,
    credential: &Credential,
) -> Result<(AccountId, Identity), AwsError> {
    let world = simulator.world();
    if !world.regions().contains(&credential.region) {
        let message = "Credential should be scoped to a valid region";
        return Err(AwsError::with_status(401, "AuthFailure", message));
    }
    if credential.access_key.is_empty() {
        let nobody = world.who("", &credential.region, simulator.clock().now())?;
        return Ok((nobody.0, Identity::anonymous()));
    }
    world.who(
        &credential.access_key,
        &credential.region,
        simulator.clock().now(),
    )
}

/// What a presigned URL carries besides the request.
const PRESIGNED: [&str; 7] = [
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
    "X-Amz-Security-Token",
];

/// The ids of endpoints and services anywhere in a request, for the call log.
fn ids(form: &Node) -> Vec<String> {
    let mut ids = Vec::new();
    let mut nodes = vec![form];
    while let Some(node) = nodes.pop() {
        ids.extend(
            node.value
                .iter()
                .filter(|value| value.starts_with("vpce-"))
                .cloned(),
        );
        nodes.extend(node.children.values().rev());
    }
    ids
}

fn refuse(api: Api, request_id: &str, error: &AwsError) -> HttpResponse {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    HttpResponse::build(status)
        .content_type(XML)
        .insert_header(("x-amzn-requestid", request_id))
        .body(frame::error(api, request_id, error))
}

/// A request id in AWS's form. Each request is counted, so they differ; the same seed and the same requests give the same
/// ones again.
pub(super) fn request_id(simulator: &Simulator) -> String {
    let (seed, number) = simulator.next_request();
    let a = mix(seed ^ mix(number));
    let b = mix(a);
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        a >> 32,
        (a >> 16) & 0xffff,
        a & 0xfff,
        b >> 52,
        b & 0xffff_ffff_ffff
    )
}
