//! The control API: JSON below `/_sim`. Anybody who can reach the port can use it; the simulator guards nothing.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, Scope, web};
use chrono::{DateTime, Utc};
use privatelink::AccountId;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::object::Object;
use super::{MAX_CONTROL_BODY_BYTES, calls};
use crate::faults::Fault;
use crate::populate::Population;
use crate::simulator::{SimError, Snapshot};
use crate::world::endpoint_changes::{LastError, PlannedFailure};
use crate::{AwsError, Behavior, SimClock, Simulator};

pub(super) type Sim = web::Data<Simulator>;

pub(super) type Asked<T> = web::Json<Object<T>>;

pub(super) fn scope() -> Scope {
    let scope = web::scope("/_sim")
        .app_data(
            web::JsonConfig::default()
                .limit(MAX_CONTROL_BODY_BYTES)
                .content_type_required(false)
                .content_type(|_| true)
                .error_handler(|error, _| {
                    let response = problem(error_status(&error), "InvalidJson", &error.to_string());
                    actix_web::error::InternalError::from_response(error, response).into()
                }),
        )
        .app_data(web::QueryConfig::default().error_handler(|error, _| {
            let response = problem(StatusCode::BAD_REQUEST, "InvalidQuery", &error.to_string());
            actix_web::error::InternalError::from_response(error, response).into()
        }));
    calls::register(scope)
}

/// Every simulated action by service.
pub(super) async fn actions(simulator: Sim) -> HttpResponse {
    HttpResponse::Ok().json(simulator.actions())
}

pub(super) async fn state(simulator: Sim) -> HttpResponse {
    HttpResponse::Ok().json(simulator.summary())
}

pub(super) async fn connections(simulator: Sim) -> HttpResponse {
    HttpResponse::Ok().json(simulator.connections())
}

pub(super) async fn snapshot(simulator: Sim) -> HttpResponse {
    HttpResponse::Ok().json(simulator.snapshot())
}

pub(super) async fn restore(simulator: Sim, snapshot: Asked<Snapshot>) -> HttpResponse {
    match simulator.restore(snapshot.into_inner().0) {
        Err(SimError::Clock(error)) => {
            problem(StatusCode::BAD_REQUEST, "InvalidClock", &error.to_string())
        }
        result => done(result),
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reset {
    /// Missing or null keeps the seed.
    seed: Option<u64>,
}

/// The one call whose body may be left out.
pub(super) async fn reset(simulator: Sim, body: web::Bytes) -> HttpResponse {
    let asked = if body.is_empty() {
        Ok(Object(Reset::default()))
    } else {
        serde_json::from_slice::<Object<Reset>>(&body)
    };
    match asked {
        Ok(Object(Reset { seed })) => done(simulator.reset(seed)),
        Err(error) => problem(StatusCode::BAD_REQUEST, "InvalidJson", &error.to_string()),
    }
}

pub(super) async fn populate(simulator: Sim, wanted: Asked<Population>) -> HttpResponse {
    match simulator.populate(&wanted.into_inner().0) {
        Ok(made) => HttpResponse::Created().json(made),
        Err(error) => {
            let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST);
            problem(status, &error.code, &error.message)
        }
    }
}

#[derive(Serialize)]
struct ClockView {
    now: DateTime<Utc>,
    running: bool,
    speed: f64,
}

fn clock_view(simulator: &Simulator) -> HttpResponse {
    HttpResponse::Ok().json(ClockView {
        now: simulator.clock().now(),
        running: simulator.clock().state().stopped_at.is_none(),
        speed: simulator.clock().speed(),
    })
}

pub(super) async fn clock(simulator: Sim) -> HttpResponse {
    clock_view(&simulator)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClockMove {
    #[serde(default)]
    stop: bool,
    #[serde(default)]
    run: bool,
    set: Option<DateTime<Utc>>,
    advance_ms: Option<u64>,
    speed: Option<f64>,
}

impl ClockMove {
    /// Does all of it, or nothing and says why not.
    fn apply(&self, clock: &SimClock) -> Result<(), String> {
        let asked = [
            self.stop,
            self.run,
            self.set.is_some(),
            self.advance_ms.is_some(),
            self.speed.is_some(),
        ];
        if !asked.contains(&true) {
            return Err("say one of stop, run, set, advance_ms and speed".to_owned());
        }
        if self.stop && self.run {
            return Err("a clock either stops or runs".to_owned());
        }
        if self.set.is_some() && self.advance_ms.is_some() {
            return Err("a clock is either set or advanced".to_owned());
        }
        let step = self.advance_ms.map(Duration::from_millis);
        if step.is_some_and(|step| !clock.can_advance(step)) {
            return Err(
                "advance_ms leads beyond the simulated calendar, which ends with the year 8999"
                    .to_owned(),
            );
        }
        let before = clock.state();
        if self.stop {
            // First of all: a clock that is stopped and set stands at that time, not a moment later.
            clock.stop();
        }
        let moved = self
            .set
            .map_or(Ok(()), |to| clock.set(to))
            .and_then(|()| self.speed.map_or(Ok(()), |speed| clock.set_speed(speed)));
        if let Err(error) = moved {
            clock.restore(before);
            return Err(error.to_string());
        }
        if self.run {
            clock.run();
        }
        if let Some(step) = step {
            clock.advance(step);
        }
        Ok(())
    }
}

pub(super) async fn move_clock(simulator: Sim, to: Asked<ClockMove>) -> HttpResponse {
    if let Err(why) = to.apply(simulator.clock()) {
        return problem(StatusCode::BAD_REQUEST, "InvalidClock", &why);
    }
    // The clock is part of the state file.
    match simulator.with_world(|_| ()) {
        Ok(()) => clock_view(&simulator),
        Err(error) => failed(&error),
    }
}

pub(super) async fn faults(simulator: Sim) -> HttpResponse {
    HttpResponse::Ok().json(simulator.faults().list())
}

pub(super) async fn plan_fault(simulator: Sim, fault: Asked<Fault>) -> HttpResponse {
    let fault = fault.into_inner().0;
    if let Err(why) = fault.check() {
        return problem(StatusCode::BAD_REQUEST, "InvalidFault", &why);
    }
    let id = simulator.faults().plan(fault);
    HttpResponse::Created().json(json!({ "id": id }))
}

pub(super) async fn clear_faults(simulator: Sim) -> HttpResponse {
    simulator.faults().clear();
    HttpResponse::NoContent().finish()
}

pub(super) async fn remove_fault(simulator: Sim, id: web::Path<String>) -> HttpResponse {
    match id.parse() {
        Ok(id) if simulator.faults().remove(id) => HttpResponse::NoContent().finish(),
        _ => problem(
            StatusCode::NOT_FOUND,
            "NotFound",
            "no such fault is planned",
        ),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsQuery {
    #[serde(default)]
    after: u64,
    #[serde(default = "default_limit")]
    limit: usize,
}

fn default_limit() -> usize {
    1_000
}

pub(super) async fn events(simulator: Sim, query: web::Query<EventsQuery>) -> HttpResponse {
    HttpResponse::Ok().json(simulator.calls().since(query.after, query.limit))
}

pub(super) async fn behavior(simulator: Sim) -> HttpResponse {
    HttpResponse::Ok().json(simulator.behavior())
}

pub(super) async fn set_behavior(simulator: Sim, behavior: Asked<Behavior>) -> HttpResponse {
    let behavior = behavior.into_inner().0;
    if let Err(why) = behavior.check() {
        return problem(StatusCode::BAD_REQUEST, "InvalidBehavior", &why);
    }
    done(simulator.set_behavior(behavior))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRole {
    role_arn: String,
    external_id: Option<String>,
}

pub(super) async fn register_role(simulator: Sim, role: Asked<NewRole>) -> HttpResponse {
    let role = role.into_inner().0;
    match simulator.with_world(|world| world.register_role(&role.role_arn, role.external_id)) {
        Ok(Ok(())) => HttpResponse::NoContent().finish(),
        Ok(Err(error)) => refused(&error),
        Err(error) => failed(&error),
    }
}

pub(super) async fn txt_records(simulator: Sim) -> HttpResponse {
    let world = simulator.world();
    let records: Vec<_> = world
        .txt_records()
        .map(|(name, values)| json!({ "name": name, "values": values }))
        .collect();
    HttpResponse::Ok().json(json!({ "records": records }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TxtRecord {
    name: String,
    value: String,
}

pub(super) async fn put_txt(simulator: Sim, record: Asked<TxtRecord>) -> HttpResponse {
    let now = simulator.clock().now();
    done(simulator.with_world(|world| world.put_txt(&record.name, &record.value, now)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TxtRemoval {
    name: String,
    /// Missing or null removes every value of the name.
    value: Option<String>,
}

pub(super) async fn remove_txt(simulator: Sim, removal: Asked<TxtRemoval>) -> HttpResponse {
    let now = simulator.clock().now();
    let TxtRemoval { name, value } = removal.into_inner().0;
    match simulator.with_world(|world| world.remove_txt(&name, value.as_deref(), now)) {
        Ok(true) => HttpResponse::NoContent().finish(),
        Ok(false) => problem(StatusCode::NOT_FOUND, "NotFound", "there is no such record"),
        Err(error) => failed(&error),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EndpointFailures {
    /// Whose endpoints; anybody's when it is missing.
    account: Option<AccountId>,
    #[serde(default = "once")]
    times: u32,
    code: String,
    message: String,
}

fn once() -> u32 {
    1
}

pub(super) async fn fail_endpoints(simulator: Sim, plan: Asked<EndpointFailures>) -> HttpResponse {
    let plan = plan.into_inner().0;
    if plan.times == 0 || !crate::effects::is_code(&plan.code) {
        let why = "times is 1 or more, and code has letters, digits, dots, hyphens and underscores";
        return problem(StatusCode::BAD_REQUEST, "InvalidFailure", why);
    }
    let failure = PlannedFailure {
        account: plan.account,
        times: plan.times,
        error: LastError {
            code: plan.code,
            message: plan.message,
        },
    };
    done(simulator.with_world(|world| world.plan_endpoint_failure(failure)))
}

pub(super) fn done(result: Result<(), SimError>) -> HttpResponse {
    match result {
        Ok(()) => HttpResponse::NoContent().finish(),
        Err(error) => failed(&error),
    }
}

pub(super) fn refused(error: &AwsError) -> HttpResponse {
    problem(StatusCode::BAD_REQUEST, &error.code, &error.message)
}

pub(super) fn failed(error: &SimError) -> HttpResponse {
    tracing::error!(error = %error, "the simulator cannot keep its state");
    problem(
        StatusCode::INTERNAL_SERVER_ERROR,
        "StateFile",
        &error.to_string(),
    )
}

fn error_status(error: &actix_web::error::JsonPayloadError) -> StatusCode {
    use actix_web::ResponseError;
    error.status_code()
}

pub(super) fn problem(status: StatusCode, code: &str, detail: &str) -> HttpResponse {
    HttpResponse::build(status).json(json!({ "code": code, "detail": detail }))
}
