//! A whole body, with a size limit and a time limit.
//!
//! Reading stops where the limit is passed. The server then lingers on the connection for a while, so
//! that a client that is busy sending hears the refusal instead of a reset.

use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::web::{Bytes, BytesMut};
use futures_util::StreamExt;

use super::sentence;
use crate::api::problem::Problem;
use crate::app::code::Code;

/// The largest body we read, in bytes.
pub const BODY_LIMIT: usize = 64 * 1024;

/// The longest we wait for a whole body.
const BODY_TIMEOUT: Duration = Duration::from_secs(20);

/// Reads a body to its end. Refuses with `payload_too_large` (413) or `request_timeout` (408).
pub(crate) async fn whole_body(payload: Payload) -> Result<Bytes, Problem> {
    let read = tokio::time::timeout(BODY_TIMEOUT, read(payload)).await;
    read.map_err(|_| {
        let seconds = BODY_TIMEOUT.as_secs();
        Problem::new(
            Code::RequestTimeout,
            format!("The request body did not arrive within {seconds} seconds."),
        )
    })?
}

async fn read(mut payload: Payload) -> Result<Bytes, Problem> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| {
            let reason = sentence(&error);
            Problem::new(
                Code::InvalidJson,
                format!("The request body broke off: {reason}"),
            )
        })?;
        if body.len().saturating_add(chunk.len()) > BODY_LIMIT {
            return Err(Problem::new(
                Code::PayloadTooLarge,
                format!("The request body may have at most {BODY_LIMIT} bytes."),
            ));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}
