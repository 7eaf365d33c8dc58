//! The connection under a request: closing it without an answer, for the fault that does the work and says nothing, and
//! seeing that the client has closed it.

use std::any::Any;
use std::io::ErrorKind;
use std::net::{Shutdown, TcpStream};

use actix_web::HttpRequest;
use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream as ServedStream;

/// A second handle on the connection's socket.
struct Socket(TcpStream);

/// Keeps a second handle on each connection: the server owns the first one.
#[cfg(unix)]
pub(super) fn remember(connection: &dyn Any, extensions: &mut Extensions) {
    use std::os::fd::AsFd;
    if let Some(stream) = connection.downcast_ref::<ServedStream>()
        && let Ok(socket) = stream.as_fd().try_clone_to_owned()
    {
        extensions.insert(Socket(TcpStream::from(socket)));
    }
}

/// Keeps a second handle on each connection: the server owns the first one.
#[cfg(windows)]
pub(super) fn remember(connection: &dyn Any, extensions: &mut Extensions) {
    use std::os::windows::io::AsSocket;
    if let Some(stream) = connection.downcast_ref::<ServedStream>()
        && let Ok(socket) = stream.as_socket().try_clone_to_owned()
    {
        extensions.insert(Socket(TcpStream::from(socket)));
    }
}

/// Closes the connection of a request now: whatever is answered afterwards reaches nobody.
pub(super) fn cut(request: &HttpRequest) {
    if let Some(Socket(socket)) = request.conn_data::<Socket>()
        && let Err(error) = socket.shutdown(Shutdown::Both)
    {
        tracing::debug!(%error, "the connection was closed already");
    }
}

/// Whether the client of a request has closed its connection: an answer would reach nobody.
pub(super) fn gone(request: &HttpRequest) -> bool {
    let Some(Socket(socket)) = request.conn_data::<Socket>() else {
        return false;
    };
    match socket.peek(&mut [0]) {
        Ok(read) => read == 0,
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    }
}
