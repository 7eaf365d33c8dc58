//! The connection under a request: answers that do not arrive or not whole, for the faults that ask for it, and seeing that
//! the client has closed it.

use std::any::Any;
use std::cell::RefCell;
use std::io::{self, ErrorKind};
use std::net::{Shutdown, TcpStream};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream as ServedStream;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use socket2::SockRef;

use crate::effects::Break;

/// A second handle on the connection's socket, until it is given up.
struct Socket(RefCell<Option<TcpStream>>);

impl Socket {
    fn new(stream: TcpStream) -> Self {
        Self(RefCell::new(Some(stream)))
    }
}

/// Keeps a second handle on each connection: the server owns the first one.
#[cfg(unix)]
pub(super) fn remember(connection: &dyn Any, extensions: &mut Extensions) {
    use std::os::fd::AsFd;
    if let Some(stream) = connection.downcast_ref::<ServedStream>()
        && let Ok(socket) = stream.as_fd().try_clone_to_owned()
    {
        extensions.insert(Socket::new(TcpStream::from(socket)));
    }
}

/// Keeps a second handle on each connection: the server owns the first one.
#[cfg(windows)]
pub(super) fn remember(connection: &dyn Any, extensions: &mut Extensions) {
    use std::os::windows::io::AsSocket;
    if let Some(stream) = connection.downcast_ref::<ServedStream>()
        && let Ok(socket) = stream.as_socket().try_clone_to_owned()
    {
        extensions.insert(Socket::new(TcpStream::from(socket)));
    }
}

/// What is left of an answer that breaks in this way.
pub(super) fn broken(
    request: &HttpRequest,
    how: Break,
    content_type: &str,
    whole: String,
) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.content_type(content_type);
    match how {
        Break::Garbled => return response.body("%% neither XML nor JSON <{&"),
        Break::Dropped => close(request),
        Break::Reset => reset(request),
        Break::Truncated => return response.body(Torn::half(whole)),
    }
    response.body(Torn::nothing())
}

/// Closes the connection of a request now: whatever is answered afterwards reaches nobody.
fn close(request: &HttpRequest) {
    with_socket(request, |socket| {
        if let Some(socket) = socket.take()
            && let Err(error) = socket.shutdown(Shutdown::Both)
        {
            tracing::debug!(%error, "the connection was closed already");
        }
    });
}

/// Makes the connection of a request end in a reset: it does so when the last handle is closed with no time to linger.
fn reset(request: &HttpRequest) {
    with_socket(request, |socket| {
        if let Some(socket) = socket.take()
            && let Err(error) = SockRef::from(&socket).set_linger(Some(Duration::ZERO))
        {
            tracing::debug!(%error, "the connection was closed already");
        }
    });
}

/// Whether the client of a request has closed its connection: an answer would reach nobody.
pub(super) fn gone(request: &HttpRequest) -> bool {
    with_socket(request, |socket| {
        let Some(socket) = socket else {
            return false;
        };
        match socket.peek(&mut [0]) {
            Ok(read) => read == 0,
            Err(error) => error.kind() != ErrorKind::WouldBlock,
        }
    })
    .unwrap_or(false)
}

fn with_socket<T>(
    request: &HttpRequest,
    act: impl FnOnce(&mut Option<TcpStream>) -> T,
) -> Option<T> {
    let socket = request.conn_data::<Socket>()?;
    Some(act(&mut socket.0.borrow_mut()))
}

/// A body that ends too early. The server closes the connection of a body that fails, and what it has not sent by then,
/// the head included, is never sent.
struct Torn {
    part: Option<Bytes>,
    promised: u64,
}

impl Torn {
    /// Not a byte of an answer.
    fn nothing() -> Self {
        Self {
            part: None,
            promised: 1,
        }
    }

    /// The first half of this answer, under the length of the whole.
    fn half(whole: String) -> Self {
        let promised = u64::try_from(whole.len()).unwrap_or(u64::MAX);
        let mut part = Bytes::from(whole);
        part.truncate(part.len() / 2);
        Self {
            part: Some(part),
            promised,
        }
    }
}

impl MessageBody for Torn {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.promised)
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        match self.part.take() {
            Some(part) if !part.is_empty() => {
                // Asked again at once, this says that the rest is not there yet: the server sends what it has.
                self.part = Some(Bytes::new());
                Poll::Ready(Some(Ok(part)))
            }
            Some(_) => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
            None => Poll::Ready(Some(Err(ErrorKind::ConnectionAborted.into()))),
        }
    }
}
