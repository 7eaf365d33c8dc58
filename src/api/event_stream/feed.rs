//! What all event streams of a process share: where the feed ends, and its pages as they are sent. The database is asked once, however many listen.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use actix_web::web::Bytes;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, watch};

use crate::app::error::AppError;
use crate::app::read_events::{between, bounds};
use crate::app::{AppContext, code::Code};
use crate::domain::event::{Bounds, Event};

/// How often the end of the feed is looked for while somebody listens.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How many events a page has. Pages begin at fixed positions, so that all who catch up read the same ones.
const PAGE: i64 = 256;
/// How many pages are kept: those that were wanted last.
const MOST_PAGES: usize = 32;

/// An event and its text, as every stream sends it.
#[derive(Debug)]
pub(crate) struct Line {
    /// What it says.
    pub(crate) event: Event,
    /// The text.
    pub(crate) text: Bytes,
}

/// Why no further stream is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoStream;

#[derive(Debug, Default)]
struct Page {
    /// The position up to which it was read.
    read: i64,
    /// When it was wanted last, counted in reads.
    wanted: u64,
    lines: Vec<Arc<Line>>,
}

/// The feed as a process's streams read it. Cloning shares it.
#[derive(Clone)]
pub struct EventFeed(Arc<Inner>);

struct Inner {
    end: watch::Sender<Option<Bounds>>,
    looking: AtomicBool,
    pages: Mutex<BTreeMap<i64, Page>>,
    asked: AtomicU64,
    streams: Arc<Semaphore>,
    /// How many streams each caller has.
    callers: std::sync::Mutex<HashMap<String, usize>>,
    most_of_one: usize,
    closed: watch::Sender<bool>,
    text: fn(&Event) -> Bytes,
    /// Outlives any one of the server's threads.
    runtime: Handle,
    reads: Counter,
}

/// The most streams that one caller may have, so that there is room for others.
fn most_of_one(most: usize) -> usize {
    most - most / 4
}

/// A place among the streams, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    feed: EventFeed,
    caller: String,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut callers = self.feed.callers();
        if let Some(has) = callers.get_mut(&self.caller) {
            *has -= 1;
            if *has == 0 {
                callers.remove(&self.caller);
            }
        }
    }
}

impl std::fmt::Debug for EventFeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventFeed").finish_non_exhaustive()
    }
}

impl EventFeed {
    /// A feed for at most so many streams at once. `text` is how an event is sent. Must be called within a runtime.
    pub fn new(most_streams: usize, text: fn(&Event) -> Bytes) -> Self {
        Self(Arc::new(Inner {
            end: watch::Sender::new(None),
            looking: AtomicBool::new(false),
            pages: Mutex::default(),
            asked: AtomicU64::new(0),
            streams: Arc::new(Semaphore::new(most_streams)),
            callers: std::sync::Mutex::default(),
            most_of_one: most_of_one(most_streams),
            closed: watch::Sender::new(false),
            text,
            runtime: Handle::current(),
            reads: Counter::default(),
        }))
    }

    /// Adds its metric to a registry.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "portcullis_event_feed_reads",
            "Times that event streams asked the database, all of them together",
            self.0.reads.clone(),
        );
    }

    /// Ends every stream: the server is about to stop.
    pub fn close(&self) {
        self.0.closed.send_replace(true);
    }

    /// Hears when streams are to end.
    pub(crate) fn closing(&self) -> watch::Receiver<bool> {
        self.0.closed.subscribe()
    }

    /// A place for one more stream of a caller.
    pub(crate) fn place(&self, caller: &str) -> Result<Place, NoStream> {
        let streams = Arc::clone(&self.0.streams);
        let permit = streams.try_acquire_owned().map_err(|_| NoStream)?;
        let mut callers = self.callers();
        let has = callers.entry(caller.to_owned()).or_default();
        if *has >= self.0.most_of_one {
            return Err(NoStream);
        }
        *has += 1;
        drop(callers);
        Ok(Place {
            feed: self.clone(),
            caller: caller.to_owned(),
            _permit: permit,
        })
    }

    fn callers(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.0
            .callers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Hears how the feed grows. As long as somebody does, one task of the process asks the database.
    pub(crate) fn listen(&self, ctx: &AppContext) -> watch::Receiver<Option<Bounds>> {
        let receiver = self.0.end.subscribe();
        if !self.0.looking.swap(true, Ordering::SeqCst) {
            self.0.runtime.spawn(look(self.clone(), ctx.clone()));
        }
        receiver
    }

    /// Events after a position, up to the end of its page. `last` is where the feed is known to end.
    pub(crate) async fn read(
        &self,
        ctx: &AppContext,
        after: i64,
        last: i64,
    ) -> Result<Vec<Arc<Line>>, AppError> {
        let number = after / PAGE;
        let until = last.min((number + 1) * PAGE);
        // Held over the read, so that a thousand who want the same page read it once.
        let mut pages = self.0.pages.lock().await;
        let page = pages.entry(number).or_insert_with(|| Page {
            read: number * PAGE,
            ..Page::default()
        });
        page.wanted = self.0.asked.fetch_add(1, Ordering::Relaxed);
        if page.read < until {
            self.0.reads.inc();
            let events = between(ctx, page.read, until, PAGE).await?;
            let lines = events.into_iter().map(|event| {
                let text = (self.0.text)(&event);
                Arc::new(Line { event, text })
            });
            page.lines.extend(lines);
            page.read = until;
        }
        let wanted = |line: &&Arc<Line>| (after + 1..=until).contains(&line.event.position);
        let lines: Vec<_> = page.lines.iter().filter(wanted).cloned().collect();
        while pages.len() > MOST_PAGES {
            // Those who come back after an outage read the same old pages, one soon after the other.
            let idle = pages.iter().min_by_key(|(_, page)| page.wanted);
            let idle = idle.map_or(number, |(number, _)| *number);
            pages.remove(&idle);
        }
        drop(pages);
        if i64::try_from(lines.len()).unwrap_or(i64::MAX) < until - after {
            return Err(AppError::new(
                Code::EventsGone,
                "events that were to be sent are not kept any more",
            ));
        }
        Ok(lines)
    }
}

/// Looks where the feed ends until nobody wants to know.
async fn look(feed: EventFeed, ctx: AppContext) {
    loop {
        feed.0.reads.inc();
        match bounds(&ctx).await {
            Ok(now) => {
                let ended_later = |known: Bounds| known.last > now.last;
                if feed.0.end.borrow().is_some_and(ended_later) {
                    // The database was restored: positions come again, with other events.
                    feed.0.pages.lock().await.clear();
                }
                feed.0.end.send_if_modified(|known| {
                    let grown = *known != Some(now);
                    *known = Some(now);
                    grown
                });
            }
            Err(error) => tracing::warn!(%error, "the feed of events cannot be read"),
        }
        tokio::time::sleep(LOOK_EVERY).await;
        if feed.0.end.receiver_count() == 0 {
            // While nobody looks, the database may be exchanged unseen: nothing is believed of it afterwards.
            feed.0.end.send_replace(None);
            feed.0.pages.lock().await.clear();
            feed.0.looking.store(false, Ordering::SeqCst);
            // Somebody may have come in between, and relied on this task.
            if feed.0.end.receiver_count() == 0 || feed.0.looking.swap(true, Ordering::SeqCst) {
                return;
            }
        }
    }
}
