//! The feed of events: a list to poll, and a stream.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use actix_web::http::header::{self, ACCEPT, HeaderMap, HeaderValue, RETRY_AFTER};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse, get};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::arguments::Limit;
use crate::api::auth::{Caller, Read};
use crate::api::event_stream::{EventFeed, Listener, NoStream, stream};
use crate::api::extract::ApiQuery;
use crate::api::problem::Problem;
use crate::api::responses::{AuthProblems, FeedProblems, InputProblems};
use crate::app::code::Code;
use crate::app::{AppContext, read_events as app};
use crate::domain::actor::service_token_of;
use crate::domain::audit_entry::{Subject, SubjectKind};
use crate::domain::event::Event;
use crate::domain::ids::{DecisionId, EndpointServiceId};

/// The media type of a stream.
const STREAM: &str = "text/event-stream";
/// Where a client of a broken stream says what it has read.
const LAST_EVENT_ID: &str = "last-event-id";
/// The longest life of a stream: after it, the client proves anew who it is.
const LONGEST_LIFE: Duration = Duration::from_mins(10);

/// That something happened, and to what. What it is like now has to be read.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventView {
    /// Where it stands in the feed: 1, 2, 3 and so on, without gaps.
    #[schema(example = "184", pattern = "^[0-9]+$")]
    id: String,
    /// What happened: the action of the audit trail, as `noun.verb`, or `connection.observed`.
    #[schema(example = "connection.accept")]
    r#type: String,
    /// When.
    at: DateTime<Utc>,
    /// What kind of thing it happened to.
    subject_kind: SubjectKind,
    /// To what.
    #[schema(example = "con_019abc00000070008000000000000001")]
    subject_id: String,
    /// The service that it is about, or whose connection it is about.
    service_id: Option<EndpointServiceId>,
    /// The decision behind it.
    decision_id: Option<DecisionId>,
    /// The request that did it.
    request_id: Option<String>,
    /// Of `connection.observed`: the states that AWS shows.
    observed: Option<ObservedView>,
}

/// What AWS showed before, and shows now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SeenStates)]
pub struct ObservedView {
    /// The state before; null where the connection was not known.
    #[schema(example = "pendingAcceptance")]
    from: Option<String>,
    /// The state now, in AWS's own words; `deleted` where AWS does not show it any more.
    #[schema(example = "available")]
    to: String,
}

impl From<&Event> for EventView {
    fn from(event: &Event) -> Self {
        Self {
            id: event.position.to_string(),
            r#type: event.kind.clone(),
            at: event.at,
            subject_kind: event.subject.kind(),
            subject_id: event.subject.to_string(),
            service_id: event.service,
            decision_id: event.decision,
            request_id: event.request_id.clone(),
            observed: event
                .observed
                .clone()
                .map(|(from, to)| ObservedView { from, to }),
        }
    }
}

/// Events in their order.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventList {
    /// The events, oldest first.
    items: Vec<EventView>,
    /// Where to read on; never null, because the feed has no last page.
    #[schema(pattern = "^[0-9]+$")]
    next_cursor: String,
    /// Whether the feed goes on behind `next_cursor` already. A page looks at 20000 events at most, so with a filter it may be empty and not the last.
    has_more: bool,
}

/// A place in the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cursor {
    /// After this position.
    After(i64),
    /// At the end.
    Latest,
}

/// What is no place in the feed.
#[derive(Debug)]
struct NoCursor;

impl fmt::Display for NoCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a place in the feed is the id of an event, 0 or latest")
    }
}

impl FromStr for Cursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        if text == "latest" {
            return Ok(Self::Latest);
        }
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let position = text.parse().ok().filter(|_| digits);
        position.map(Self::After).ok_or(NoCursor)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// Only this: `connection.accept`, or `connection` for all that happens to connections.
    #[param(example = "connection")]
    r#type: Option<String>,
    /// Only what happened to this, by its id: `con_…`, `svc_…`, `pol_…`.
    #[param(value_type = Option<String>, pattern = "^[a-z]{3}_[0-9a-f]{32}$")]
    #[serde(default, deserialize_with = "subject")]
    subject_id: Option<Subject>,
    /// Only what happened to this service and its connections.
    service_id: Option<EndpointServiceId>,
    /// Where to read on: the `next_cursor` of the page before, the id of an event, or `latest` for the end. A list begins with the oldest event that is
    /// kept, a stream at the end.
    #[param(value_type = Option<String>, pattern = "^([0-9]{1,18}|latest)$", example = "latest")]
    cursor: Option<Cursor>,
    /// How many events a page has, 1 to 200.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 200, default = 50)]
    #[serde(default)]
    limit: Limit,
}

fn subject<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Subject>, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

/// Lists events, or streams them
///
/// Each event says what happened to what; read that to know what it is like now. With `Accept: text/event-stream` the answer is a stream of Server-Sent
/// Events whose `data` are the same objects. It goes on after `Last-Event-ID`, or after `cursor`, with no gap and nothing twice, and ends after ten
/// minutes, with the token, or when a service token is revoked or rotated: connect again then, as browsers do by themselves. An event is in the feed about half a second after it happened.
#[utoipa::path(
    tag = "events",
    params(
        ListQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "Of a stream: the id of the last event that was read; goes before `cursor`.", example = "184")
    ),
    responses(
        (status = 200, description = "A page, or a stream.", content((EventList = "application/json"), (String = "text/event-stream"))),
        AuthProblems, InputProblems, FeedProblems
    )
)]
#[get("/v1/events")]
pub(super) async fn list_events(
    caller: Caller<Read>,
    ApiQuery(query): ApiQuery<ListQuery>,
    request: HttpRequest,
    ctx: Data<AppContext>,
    feed: Data<EventFeed>,
) -> Result<HttpResponse, Problem> {
    let filter = app::Filter {
        kind: query.r#type,
        subject: query.subject_id,
        service: query.service_id,
    };
    if wants_stream(request.headers()) {
        let life = (caller.expires_at - ctx.clock.now()).to_std();
        let life = life.unwrap_or_default().min(LONGEST_LIFE);
        let from = last_event(request.headers())?.or(query.cursor);
        return streamed(&ctx, &feed, filter, from, (&caller.subject, life)).await;
    }
    let after = match query.cursor {
        Some(Cursor::Latest) => Some(app::bounds(&ctx).await?.last),
        Some(Cursor::After(position)) => Some(position),
        None => None,
    };
    let read = app::page(&ctx, &filter, after, query.limit.0).await?;
    Ok(HttpResponse::Ok().json(EventList {
        items: read.events.iter().map(Into::into).collect(),
        next_cursor: read.position.to_string(),
        has_more: read.has_more,
    }))
}

/// Whether the request asks for a stream, and not for JSON just as well.
fn wants_stream(headers: &HeaderMap) -> bool {
    headers
        .get_all(ACCEPT)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|range| range.split(';').next())
        .any(|range| range.trim().eq_ignore_ascii_case(STREAM))
}

/// What a client has read of a stream that broke.
fn last_event(headers: &HeaderMap) -> Result<Option<Cursor>, Problem> {
    let Some(given) = headers.get(LAST_EVENT_ID) else {
        return Ok(None);
    };
    let cursor = given.to_str().ok().and_then(|text| text.parse().ok());
    cursor.map(Some).ok_or_else(|| {
        let detail = format!("Last-Event-ID: {NoCursor}.");
        Problem::new(Code::InvalidRequest, detail).field("Last-Event-ID")
    })
}

async fn streamed(
    ctx: &Data<AppContext>,
    feed: &EventFeed,
    filter: app::Filter,
    from: Option<Cursor>,
    (caller, life): (&str, Duration),
) -> Result<HttpResponse, Problem> {
    let place = feed.place(caller).map_err(|NoStream| {
        let detail = "There are as many event streams as this process serves, or as one caller may have of them.";
        Problem::new(Code::TooManyStreams, detail)
            .header(RETRY_AFTER, HeaderValue::from_static("5"))
    })?;
    let bounds = app::bounds(ctx).await?;
    let position = match from {
        Some(Cursor::After(position)) => position,
        Some(Cursor::Latest) | None => bounds.last,
    };
    app::refuse_gap(bounds, position)?;
    let ctx = ctx.clone().into_inner();
    let listener = Listener {
        life,
        token: service_token_of(caller),
        since: bounds.last,
    };
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, STREAM))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        // Proxies that gather answers would keep events back.
        .insert_header(("x-accel-buffering", "no"))
        .streaming(stream(feed.clone(), ctx, filter, position, listener, place)))
}

/// What a process's streams share.
pub fn feed(most_streams: usize) -> EventFeed {
    EventFeed::new(most_streams, text)
}

/// An event as a stream sends it. No name of an event is given: clients that only listen to messages hear them all.
fn text(event: &Event) -> Bytes {
    let data = serde_json::to_string(&EventView::from(event)).unwrap_or_default();
    Bytes::from(format!("id: {}\ndata: {data}\n\n", event.position))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_the_feed_is_read() {
        assert_eq!("0".parse::<Cursor>().unwrap(), Cursor::After(0));
        assert_eq!("184".parse::<Cursor>().unwrap(), Cursor::After(184));
        assert_eq!("latest".parse::<Cursor>().unwrap(), Cursor::Latest);
        for bad in ["", "-1", "+1", "1.5", "Latest", "9223372036854775808"] {
            assert!(bad.parse::<Cursor>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_stream_is_asked_for_by_name() {
        for (accept, stream) in [
            ("text/event-stream", true),
            ("Text/Event-Stream;q=0.9, */*", true),
            ("application/json", false),
            ("*/*", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(wants_stream(&headers), stream, "{accept}");
        }
        assert!(!wants_stream(&HeaderMap::new()));
    }
}
