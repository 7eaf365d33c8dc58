//! Tells the connection when something is asked on it, when the answer begins and when it is all handed over.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::Error;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::web::Bytes;

use crate::api::connections::{Asked, Connection};
use crate::api::limits::is_stream;

/// Follows a request to the end of its answer.
pub(crate) async fn follow(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<Followed>, Error> {
    let asked = request.conn_data::<Connection>().map(Connection::asked);
    let stream = is_stream(request.path());
    let response = next.call(request).await?;
    if let Some(asked) = asked.as_ref().filter(|_| !stream) {
        asked.answered();
    }
    Ok(response.map_body(|_, body| Followed {
        body: body.boxed(),
        _asked: asked,
    }))
}

/// The body of an answer, with a word for the connection when it is gone.
pub(crate) struct Followed {
    body: BoxBody,
    _asked: Option<Asked>,
}

impl MessageBody for Followed {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
}
