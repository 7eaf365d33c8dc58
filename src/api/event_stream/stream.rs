//! One client's stream: what it has not been told, as long as it listens.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{Bytes, BytesMut};
use futures_util::{Stream, stream};
use tokio::sync::watch;
use tokio::time::Instant;

use super::feed::{EventFeed, Place};
use crate::app::AppContext;
use crate::app::error::AppError;
use crate::app::read_events::Filter;
use crate::domain::audit_entry::Subject;
use crate::domain::event::{Bounds, Event};
use crate::domain::ids::ServiceTokenId;

/// How often a stream without events shows that it lives.
const BEAT: Duration = Duration::from_secs(15);
/// What a client is asked to wait before it connects again, in milliseconds.
const RETRY: &str = "retry: 1000\n\n";

struct Client {
    ctx: Arc<AppContext>,
    feed: EventFeed,
    filter: Filter,
    /// The position up to which it has been told, or which it need not be told.
    position: i64,
    /// The last position that it was sent.
    sent: i64,
    end: watch::Receiver<Option<Bounds>>,
    closing: watch::Receiver<bool>,
    until: Instant,
    token: Option<Shown>,
    greeted: bool,
    _place: Place,
}

/// The service token that a stream was begun with.
#[derive(Debug)]
struct Shown {
    id: ServiceTokenId,
    /// What was done to it up to here, it has outlived.
    since: i64,
}

impl Shown {
    /// Whether an event ends what was begun with the token. That it was revoked, the feed tells of itself: nothing has to be asked for every stream.
    fn ended_by(&self, event: &Event) -> bool {
        event.subject == Subject::ServiceToken(self.id)
            && event.position > self.since
            && ["service_token.revoke", "service_token.rotate"].contains(&event.kind.as_str())
    }
}

/// Who listens to a stream, until when at the latest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Listener {
    /// How long it may last; the client then connects again, and proves anew who it is.
    pub(crate) life: Duration,
    /// The service token that it was begun with. It ends as soon as that is revoked or gets another secret.
    pub(crate) token: Option<ServiceTokenId>,
    /// Where the feed ended when the client had proven who it is.
    pub(crate) since: i64,
}

/// The stream of a client that has read up to a position.
pub(crate) fn stream(
    feed: EventFeed,
    ctx: Arc<AppContext>,
    filter: Filter,
    position: i64,
    listener: Listener,
    place: Place,
) -> impl Stream<Item = Result<Bytes, AppError>> {
    let client = Client {
        end: feed.listen(&ctx),
        closing: feed.closing(),
        ctx,
        feed,
        filter,
        position,
        sent: position,
        until: Instant::now() + listener.life,
        token: listener.token.map(|id| Shown {
            id,
            since: listener.since,
        }),
        greeted: false,
        _place: place,
    };
    stream::unfold(Some(client), |client| async {
        let mut client = client?;
        match client.next().await {
            Ok(Some(chunk)) => Some((Ok(chunk), Some(client))),
            Ok(None) => None,
            // The connection is cut, and the client comes again: it is then told why there is no going on.
            Err(error) => Some((Err(error), None)),
        }
    })
}

impl Client {
    /// The next piece of text; `None` at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, AppError> {
        if !self.greeted {
            self.greeted = true;
            return Ok(Some(Bytes::from_static(RETRY.as_bytes())));
        }
        let beat = Instant::now() + BEAT;
        loop {
            if *self.closing.borrow() || Instant::now() >= self.until {
                return Ok(None);
            }
            let last = self.end.borrow_and_update().map(|bounds| bounds.last);
            match last {
                Some(last) if last > self.position => {
                    if let Some(chunk) = self.read(last).await? {
                        return Ok(Some(chunk));
                    }
                    continue;
                }
                // The database was restored to an older state: positions come again, with other events.
                Some(last) if last < self.position => return Ok(None),
                _ => {}
            }
            tokio::select! {
                changed = self.end.changed() => if changed.is_err() { return Ok(None) },
                _ = self.closing.changed() => return Ok(None),
                () = tokio::time::sleep_until(self.until) => return Ok(None),
                () = tokio::time::sleep_until(beat) => {
                    return Ok(Some(self.beat()));
                }
            }
        }
    }

    /// Reads on by a page; nothing where the filter keeps all of it back.
    async fn read(&mut self, last: i64) -> Result<Option<Bytes>, AppError> {
        let lines = self.feed.read(&self.ctx, self.position, last).await?;
        let mut chunk = BytesMut::new();
        for line in &lines {
            self.position = line.event.position;
            if self
                .token
                .as_ref()
                .is_some_and(|token| token.ended_by(&line.event))
            {
                self.until = Instant::now();
                break;
            }
            if self.filter.lets_through(&line.event) {
                self.sent = line.event.position;
                chunk.extend_from_slice(&line.text);
            }
        }
        Ok((!chunk.is_empty()).then(|| chunk.freeze()))
    }

    /// Shows that the stream lives, and up to where the client need not ask again.
    fn beat(&mut self) -> Bytes {
        if self.sent == self.position {
            return Bytes::from_static(b": still here\n\n");
        }
        self.sent = self.position;
        Bytes::from(format!(": still here\nid: {}\n\n", self.position))
    }
}
