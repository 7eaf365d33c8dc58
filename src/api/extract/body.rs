//! A whole body, with a size limit and a time limit.
//!
//! Reading stops where the limit is passed. The server then lingers on the connection for a while, so
//! that a client that is busy sending hears the refusal instead of a reset.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::web::{self, Bytes, BytesMut};
use futures_util::StreamExt;

use super::sentence;
use crate::api::edge::Edge;
use crate::api::problem::Problem;
use crate::app::code::Code;
use crate::app::error::AppError;

/// How large a body may be, and how long it may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimits {
    bytes: usize,
    time: Duration,
}

impl BodyLimits {
    /// Those of the application that a request came to.
    pub(crate) fn of(request: &HttpRequest) -> Result<Self, Problem> {
        let edge = request
            .app_data::<web::Data<Edge>>()
            .ok_or_else(|| Problem::from(AppError::internal("the application has no limits")))?;
        let settings = &edge.limits().settings;
        Ok(Self {
            bytes: settings.max_body_bytes,
            time: settings.body_timeout,
        })
    }
}

/// Reads a body to its end. Refuses with `payload_too_large` (413) or `request_timeout` (408).
pub(crate) async fn whole_body(payload: Payload, limits: BodyLimits) -> Result<Bytes, Problem> {
    let read = tokio::time::timeout(limits.time, read(payload, limits.bytes)).await;
    read.map_err(|_| {
        let seconds = limits.time.as_secs_f64();
        Problem::new(
            Code::RequestTimeout,
            format!("The request body did not arrive within {seconds} seconds."),
        )
    })?
}

async fn read(mut payload: Payload, most: usize) -> Result<Bytes, Problem> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| {
            let reason = sentence(&error);
            Problem::new(
                Code::InvalidJson,
                format!("The request body broke off: {reason}"),
            )
        })?;
        if body.len().saturating_add(chunk.len()) > most {
            return Err(Problem::new(
                Code::PayloadTooLarge,
                format!("The request body may have at most {most} bytes."),
            ));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}
