//! The lines between a replica and what it needs: one to the database, one to AWS, both of which can fail while everything at
//! either end is well.

use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::Result;

/// How a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Everything passes.
    Whole,
    /// Nothing passes and nobody is told; what is on its way arrives when the line is whole again, however late that is.
    Silent,
    /// Every connection is broken off, and so is each new one.
    Cut,
}

/// The far end.
#[derive(Debug, Clone)]
pub(crate) enum End {
    /// A port of this machine.
    Port(SocketAddr),
    /// A socket in the file system.
    Socket(PathBuf),
}

/// A line. It ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Line {
    near: SocketAddr,
    end: watch::Sender<End>,
    state: watch::Sender<State>,
    serving: JoinHandle<()>,
}

impl Line {
    /// A whole line to an end, which need not be there yet.
    pub(crate) async fn to(end: End) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let near = listener.local_addr()?;
        let (state, seen) = watch::channel(State::Whole);
        let (end, leads_to) = watch::channel(end);
        let serving = tokio::spawn(async move {
            while let Ok((caller, _)) = listener.accept().await {
                let end = leads_to.borrow().clone();
                tokio::spawn(connect(caller, end, seen.clone()));
            }
        });
        Ok(Self {
            near,
            end,
            state,
            serving,
        })
    }

    /// Where the replica finds it.
    pub(crate) fn near(&self) -> SocketAddr {
        self.near
    }

    /// Leads to another end from now on. Connections to the old one break.
    pub(crate) fn lead_to(&self, end: End) {
        self.end.send_replace(end);
        self.state.send_replace(State::Cut);
        self.state.send_replace(State::Whole);
    }

    pub(crate) fn set(&self, state: State) {
        self.state.send_replace(state);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.serving.abort();
        self.state.send_replace(State::Cut);
    }
}

/// One connection, to its end. That it breaks is what lines are for.
async fn connect(caller: TcpStream, end: End, state: watch::Receiver<State>) {
    if *state.borrow() == State::Cut {
        return;
    }
    let passed = match end {
        End::Port(port) => match TcpStream::connect(port).await {
            Ok(far) => both_ways(caller, far, state).await,
            Err(error) => Err(error),
        },
        End::Socket(path) => match UnixStream::connect(path).await {
            Ok(far) => both_ways(caller, far, state).await,
            Err(error) => Err(error),
        },
    };
    // Either end learns of it by the end of its connection.
    drop(passed);
}

async fn both_ways<C>(
    caller: TcpStream,
    far: C,
    state: watch::Receiver<State>,
) -> std::io::Result<()>
where
    C: AsyncRead + AsyncWrite,
{
    let (asked, answer) = tokio::io::split(caller);
    let (said, ask) = tokio::io::split(far);
    let there = pass(asked, ask, state.clone());
    let back = pass(said, answer, state);
    tokio::try_join!(there, back).map(drop)
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut state: watch::Receiver<State>,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 16 * 1_024];
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => read?,
            _ = state.wait_for(|state| *state == State::Cut) => return Err(broken()),
        };
        let now = state.wait_for(|state| *state != State::Silent).await;
        if now.map_or(State::Cut, |now| *now) == State::Cut {
            return Err(broken());
        }
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(buffer.get(..read).unwrap_or_default()).await?;
    }
}

fn broken() -> std::io::Error {
    std::io::ErrorKind::ConnectionReset.into()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// An end that says everything back.
    async fn echo() -> End {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = tokio::io::split(stream);
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                });
            }
        });
        End::Port(at)
    }

    async fn said_back(stream: &mut TcpStream) -> std::io::Result<u8> {
        stream.write_all(&[7]).await?;
        stream.read_u8().await
    }

    #[tokio::test]
    async fn a_silent_line_is_late_and_a_cut_one_breaks() {
        let line = Line::to(echo().await).await.unwrap();
        let mut stream = TcpStream::connect(line.near()).await.unwrap();
        assert_eq!(said_back(&mut stream).await.unwrap(), 7);

        line.set(State::Silent);
        stream.write_all(&[8]).await.unwrap();
        let early = tokio::time::timeout(Duration::from_millis(100), stream.read_u8()).await;
        assert!(early.is_err(), "nothing passes");
        line.set(State::Whole);
        assert_eq!(stream.read_u8().await.unwrap(), 8, "late, and not lost");

        line.set(State::Cut);
        assert!(said_back(&mut stream).await.is_err());
        let mut again = TcpStream::connect(line.near()).await.unwrap();
        assert!(said_back(&mut again).await.is_err());
        line.set(State::Whole);
        let mut again = TcpStream::connect(line.near()).await.unwrap();
        assert_eq!(said_back(&mut again).await.unwrap(), 7);
    }
}
