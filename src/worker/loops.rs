//! The loops of one AccountRegion, as the supervisor runs them: which pass, what wakes it, and how long it rests.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use privatelink::messaging::LONGEST_POLL;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    Place, Shared, access, agreements, blocks, census, dry_runs, expire, findings, hint_follow,
    hint_queue, hint_setup, house, inventory, judge, number_events, rejudgements, seal_audit,
    usage,
};
use super::{observe, runner, sync_connections, sync_services};

/// Starts the loops that belong to no AccountRegion: one of each in a process, and several replicas may run them at once.
pub(super) fn everywhere(shared: &Shared, stop: &CancellationToken) -> JoinSet<()> {
    let mut all = JoinSet::new();
    let with = || (shared.clone(), stop.clone());
    let (shared, stop) = with();
    all.spawn(async move { blocks::run(&shared, &stop).await });
    let (shared, stop) = with();
    all.spawn(async move { judge::run_wakes(&shared, &stop).await });
    let (shared, stop) = with();
    all.spawn(async move { dry_runs::run(&shared, &stop).await });
    let (shared, stop) = with();
    all.spawn(async move { access::run(&shared, &stop).await });
    let (shared, stop) = with();
    all.spawn(async move { agreements::run(&shared, &stop).await });
    let (shared, stop) = with();
    all.spawn(async move { rejudgements::run(&shared, &stop).await });
    let (shared, stop) = with();
    all.spawn(async move { seal_audit::run(&shared, &stop).await });
    let (shared, stop) = with();
    all.spawn(async move { number_events::run(&shared, &stop).await });
    let (shared, stop) = with();
    all.spawn(async move { usage::run(&shared, &stop).await });
    let (shared, stop) = with();
    all.spawn(async move { findings::run(&shared, &stop).await });
    let (shared, stop) = with();
    all.spawn(async move { house::run(&shared, &stop).await });
    all
}

/// Runs the loops. One that ends without having been told to takes the others down with it: the next lease pass starts all anew.
pub(super) async fn work(place: &Arc<Place>, token: &CancellationToken) {
    let mut inner = JoinSet::new();
    inner.spawn(observing(place.clone(), token.clone()));
    inner.spawn(syncing_connections(place.clone(), token.clone()));
    inner.spawn(syncing_services(place.clone(), token.clone()));
    inner.spawn(setting_up_hints(place.clone(), token.clone()));
    inner.spawn(hearing_hints(place.clone(), token.clone()));
    inner.spawn(passing_nudges_on(place.clone(), token.clone()));
    inner.spawn(following_hints(place.clone(), token.clone()));
    inner.spawn(taking_inventory(place.clone(), token.clone()));
    inner.spawn(judging(place.clone(), token.clone()));
    inner.spawn(expiring(place.clone(), token.clone()));
    inner.spawn(counting(place.clone(), token.clone()));
    while inner.join_next().await.is_some() {
        if !token.is_cancelled() {
            break;
        }
    }
}

async fn observing(place: Arc<Place>, stop: CancellationToken) {
    let interval = place.shared.settings.listing_interval;
    let pass = |wait: Duration| {
        let place = place.clone();
        async move {
            let report = observe::run_pass_again_after(&place, wait).await;
            report.map(|r| observe::rest(interval, r.listed))
        }
    };
    // A hint that does not say where to look wants everything listed.
    let nudge = Some(place.hints.list.listen());
    runner::run_with_wait("observe", &place.shared, &stop, nudge, pass).await;
}

async fn syncing_connections(place: Arc<Place>, stop: CancellationToken) {
    let pass = || async {
        sync_connections::run_pass(&place)
            .await
            .map(|r| until(&place, r.next_due))
    };
    let nudge = Some(place.shared.nudge.listen());
    runner::run("sync_connections", &place.shared, &stop, nudge, pass).await;
}

async fn syncing_services(place: Arc<Place>, stop: CancellationToken) {
    let pass = || async {
        sync_services::run_pass(&place)
            .await
            .map(|r| until(&place, r.next_due))
    };
    let nudge = Some(place.shared.nudge.listen());
    runner::run("sync_services", &place.shared, &stop, nudge, pass).await;
}

async fn setting_up_hints(place: Arc<Place>, stop: CancellationToken) {
    let pass = || async {
        hint_setup::run_pass(&place)
            .await
            .map(|r| until(&place, Some(r.next)))
    };
    runner::run("hint_setup", &place.shared, &stop, None, pass).await;
}

async fn hearing_hints(place: Arc<Place>, stop: CancellationToken) {
    let poll = place.shared.settings.poll_interval;
    let pass = || async {
        let began = Instant::now();
        hint_queue::run_pass(&place, LONGEST_POLL)
            .await
            .map(|r| hint_queue::rest(r, began, poll))
    };
    runner::run("hint_queue", &place.shared, &stop, None, pass).await;
}

async fn following_hints(place: Arc<Place>, stop: CancellationToken) {
    let pass = || async {
        hint_follow::run_pass(&place)
            .await
            .map(|r| until(&place, r.next_due))
    };
    let nudge = Some(place.hints.heard.listen());
    runner::run("hint_follow", &place.shared, &stop, nudge, pass).await;
}

/// A hint over HTTP is stored by the API, which knows one nudge for everybody.
async fn passing_nudges_on(place: Arc<Place>, stop: CancellationToken) {
    let mut nudge = place.shared.nudge.listen();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            changed = nudge.changed() => match changed {
                Ok(()) => place.hints.heard.wake(),
                Err(_) => return stop.cancelled().await,
            },
        }
    }
}

async fn taking_inventory(place: Arc<Place>, stop: CancellationToken) {
    let pass = || async {
        inventory::run_pass(&place)
            .await
            .map(|r| until(&place, Some(r.next_due)))
    };
    let nudge = Some(place.shared.nudge.listen());
    runner::run("inventory", &place.shared, &stop, nudge, pass).await;
}

async fn judging(place: Arc<Place>, stop: CancellationToken) {
    let pass = || async {
        judge::run_pass(&place)
            .await
            .map(|r| until(&place, r.next_due))
    };
    let nudge = Some(place.shared.nudge.listen());
    runner::run("judge", &place.shared, &stop, nudge, pass).await;
}

async fn expiring(place: Arc<Place>, stop: CancellationToken) {
    let pass = || async {
        expire::run_pass(&place)
            .await
            .map(|r| expire::rest(&place, r.next_due))
    };
    runner::run("expire", &place.shared, &stop, None, pass).await;
}

async fn counting(place: Arc<Place>, stop: CancellationToken) {
    let pass = || async { census::run_pass(&place).await.map(|()| census::EVERY) };
    runner::run("census", &place.shared, &stop, None, pass).await;
}

/// How long until `due`, but never longer than the poll interval: other processes decide too, and cannot wake this one.
fn until(place: &Place, due: Option<DateTime<Utc>>) -> Duration {
    let poll = place.shared.settings.poll_interval;
    let wait = due.map_or(poll, |at| {
        (at - place.now()).to_std().unwrap_or(Duration::ZERO)
    });
    wait.clamp(Duration::from_millis(5), poll)
}
