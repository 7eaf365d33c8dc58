//! Ends connections that stand still.
//!
//! The server times the first header of a connection and rests between requests, and handlers time bodies. What is left is done here: a later header
//! that trickles in, a body that nobody reads, an answer that the client does not take. Each connection notes what it does;
//! a task looks at all of them, and shuts down the socket of those that have done the same for too long.

use std::any::Any;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use socket2::{SockRef, Socket};

use super::limits::HttpSettings;

/// How often is looked at the latest.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The connections of a server. Cloning shares them.
#[derive(Debug, Clone)]
pub(super) struct Connections {
    all: Arc<Mutex<Vec<Weak<Line>>>>,
    metrics: ConnectionMetrics,
    rest: Duration,
    write: Duration,
}

/// What is shown of connections. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub(super) struct ConnectionMetrics {
    open: Gauge<i64, AtomicI64>,
    cut: Counter,
}

impl ConnectionMetrics {
    /// Adds the metrics to a registry.
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "portcullis_http_connections",
            "Connections that are open",
            self.open.clone(),
        );
        registry.register(
            "portcullis_http_connections_cut",
            "Connections that were ended because they stood still",
            self.cut.clone(),
        );
    }
}

/// A connection, as requests on it know it.
#[derive(Debug)]
pub(super) struct Connection(Arc<Line>);

#[derive(Debug)]
struct Line {
    /// A second handle on the socket: the first one is in the hands of the server.
    socket: Socket,
    state: Mutex<State>,
    open: Gauge<i64, AtomicI64>,
}

#[derive(Debug)]
struct State {
    /// Requests that were read and whose answers are not all handed over.
    asked: usize,
    /// Of these, those whose answers have begun and should end.
    answers: usize,
    /// When any of this changed.
    since: Instant,
}

impl Line {
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state);
        state.since = Instant::now();
    }

    /// Whether it has done the same for too long.
    fn stands_still(&self, now: Instant, rest: Duration, write: Duration) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let limit = match (state.asked, state.answers) {
            (0, _) => rest,
            // The handler is at work and has a deadline of its own.
            (_, 0) => return false,
            _ => write,
        };
        now.saturating_duration_since(state.since) > limit
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.open.dec();
    }
}

/// A request on a connection, until its answer is handed over.
#[derive(Debug)]
pub(super) struct Asked {
    line: Arc<Line>,
    answering: AtomicBool,
}

impl Connection {
    /// Notes that a request was read.
    pub(super) fn asked(&self) -> Asked {
        self.0.change(|state| state.asked += 1);
        Asked {
            line: self.0.clone(),
            answering: AtomicBool::new(false),
        }
    }
}

impl Asked {
    /// Notes that an answer begins that should end in a while.
    pub(super) fn answered(&self) {
        if !self.answering.swap(true, Ordering::Relaxed) {
            self.line.change(|state| state.answers += 1);
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let answering = self.answering.load(Ordering::Relaxed);
        self.line.change(|state| {
            state.asked = state.asked.saturating_sub(1);
            state.answers = state.answers.saturating_sub(usize::from(answering));
        });
    }
}

impl Connections {
    /// Begins to watch, with the limits given; ends when the server does.
    pub(super) fn watch(settings: &HttpSettings, metrics: ConnectionMetrics) -> Self {
        let connections = Self {
            all: Arc::default(),
            metrics,
            rest: settings.keep_alive + settings.header_timeout,
            write: settings.write_timeout,
        };
        let every = (connections.rest.min(connections.write) / 4)
            .clamp(Duration::from_millis(10), LOOK_EVERY);
        let all = Arc::downgrade(&connections.all);
        let (rest, write) = (connections.rest, connections.write);
        let cut = connections.metrics.cut.clone();
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(every);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let Some(all) = all.upgrade() else { return };
                let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                sweep(&mut all, rest, write, &cut);
            }
        });
        connections
    }

    /// Notes a new connection; called by the server with its stream.
    pub(super) fn note(&self, stream: &dyn Any, data: &mut Extensions) {
        let plain = stream.downcast_ref::<TcpStream>();
        let stream = plain.or_else(|| {
            let encrypted = stream.downcast_ref::<TlsStream<TcpStream>>()?;
            Some(encrypted.get_ref().0)
        });
        let Some(stream) = stream else { return };
        let socket = SockRef::from(stream);
        // Ends it when what was sent is not taken for so long, without that anybody has to look.
        #[cfg(target_os = "linux")]
        if let Err(error) = socket.set_tcp_user_timeout(Some(self.write)) {
            tracing::debug!(%error, "a connection has no time-out for what it sends");
        }
        let socket = match socket.try_clone() {
            Ok(socket) => socket,
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be watched");
                return;
            }
        };
        self.metrics.open.inc();
        let line = Arc::new(Line {
            socket,
            state: Mutex::new(State {
                asked: 0,
                answers: 0,
                since: Instant::now(),
            }),
            open: self.metrics.open.clone(),
        });
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(Arc::downgrade(&line));
        data.insert(Connection(line));
    }
}

/// Forgets connections that are gone, and ends those that stand still.
fn sweep(all: &mut Vec<Weak<Line>>, rest: Duration, write: Duration, cut: &Counter) {
    let now = Instant::now();
    all.retain(|line| {
        let Some(line) = line.upgrade() else {
            return false;
        };
        if !line.stands_still(now, rest, write) {
            return true;
        }
        cut.inc();
        if let Err(error) = line.socket.shutdown(std::net::Shutdown::Both) {
            tracing::debug!(%error, "a connection was gone already");
        }
        false
    });
}
