//! The control API's access keys: whose signatures are to be checked, and with which secret.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use privatelink::AccountId;
use serde::Deserialize;

use super::control::{done, problem};
use super::object::Object;
use crate::Simulator;

/// An access key with its secret.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewKey {
    access_key: String,
    secret: String,
    account: AccountId,
    /// Who it is, as `GetCallerIdentity` says; the account's root when it is missing.
    arn: Option<String>,
}

pub(super) async fn register(
    simulator: web::Data<Simulator>,
    key: web::Json<Object<NewKey>>,
) -> HttpResponse {
    let key = key.into_inner().0;
    let plain = |c: char| c.is_ascii_alphanumeric();
    if key.access_key.is_empty() || !key.access_key.chars().all(plain) || key.secret.is_empty() {
        let detail = "an access key consists of letters and digits, and a secret is not empty";
        return problem(StatusCode::BAD_REQUEST, "InvalidKey", detail);
    }
    done(simulator.with_world(|world| {
        world.register_key(&key.access_key, &key.secret, &key.account, key.arn);
    }))
}
