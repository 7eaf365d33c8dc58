//! What settling a drift of a registered service does: what is desired becomes what AWS shows, or AWS is made to follow again.

use super::admission::may_change;
use super::change_service::differences;
use super::code::Code;
use super::principals::has_everybody;
use super::settle_drift::{Remedy, inapplicable};
use super::{AppError, held_principals, sold_services};
use crate::domain::drift::DriftKind;
use crate::domain::drift_inbox::{Drift, DriftState, DriftVerb, Inapplicable};
use crate::domain::endpoint_service::RegisteredService;
use crate::domain::judgement::Wake;
use crate::domain::principal::normalise;
use crate::domain::service_drift::{adopted, of_service, revertible};
use crate::store::agreement_grants::Held;
use crate::store::audit::{self, Entry, Subject};
use crate::store::judge_wakes;
use crate::store::{PgConnection, drifts, endpoint_services, service_changes};

/// The service of a drift, locked.
pub(super) async fn locked(
    conn: &mut PgConnection,
    drift: &Drift,
) -> Result<RegisteredService, AppError> {
    let id = drift
        .service_id
        .ok_or_else(|| AppError::internal("a drift of a service names none"))?;
    service_changes::lock(conn, id).await?;
    endpoint_services::by_id(conn, id)
        .await?
        .ok_or_else(|| AppError::internal("a drift names a service that is not there"))
}

/// Does what the verb asks for, and closes the drift where it does not merely stay.
pub(super) async fn settle(
    conn: &mut PgConnection,
    remedy: &Remedy<'_>,
    drift: &Drift,
    service: RegisteredService,
) -> Result<(), AppError> {
    match remedy.verb {
        DriftVerb::Ignore => return Ok(()),
        DriftVerb::Adopt => {
            may_change(&service)?;
            adopt(conn, remedy, drift, service).await?;
        }
        DriftVerb::Revert => {
            may_change(&service)?;
            revert(conn, remedy, drift, service).await?;
        }
    }
    let (state, actor) = (remedy.verb.settles_as(), remedy.actor);
    drifts::settle_standing(conn, &[drift.id], state, actor, remedy.reason, remedy.at).await?;
    Ok(())
}

async fn adopt(
    conn: &mut PgConnection,
    remedy: &Remedy<'_>,
    drift: &Drift,
    before: RegisteredService,
) -> Result<(), AppError> {
    let mut after = before.clone();
    if drift.kind == DriftKind::UnknownPrincipal {
        let principal = &drift.subject;
        let known_form = normalise(principal).is_ok_and(|form| form == *principal);
        if !known_form {
            let why = Inapplicable::NotAdoptable(format!(
                "{principal} has a form that cannot be asked for here"
            ));
            return Err(inapplicable(&why));
        }
        // Wanted from now on, and so ours to take away again.
        after.allowed_principals.push(principal.clone());
        after.granted_principals.push(principal.clone());
    } else {
        let (shown, principals) = as_drifted(&before, drift)?;
        after = adopted(before.clone(), shown, principals).map_err(|why| inapplicable(&why))?;
    }
    let asked = has_everybody(&after.allowed_principals);
    // Also where somebody else let everybody in, and nobody here has judged that yet.
    let open = !after.acceptance_required && (asked || shows_everybody(&before));
    if open && !remedy.confirm_open_to_everybody && !before.open_to_everybody {
        let detail = "everybody with an AWS account could connect unasked, and that would be wanted from now on; \
                      confirm it with confirm_open_to_everybody, or revert it";
        return Err(AppError::new(Code::InvalidRequest, detail).field("confirm_open_to_everybody"));
    }
    after.open_to_everybody = !after.acceptance_required && asked;
    sold_services::refuse_everybody(conn, &before, &after.allowed_principals).await?;
    let left_out = held_principals::left_out(&before, &after);
    let confirmed = remedy.confirm_principals_of_agreements;
    let held = held_principals::confirm(conn, &left_out, confirmed).await?;
    if !service_changes::record_adopted(conn, &after).await? {
        return Err(AppError::internal("the service changed under its own lock"));
    }
    audit_change(conn, remedy, &before, &after, &held).await
}

/// Whether AWS lets everybody with an account connect.
fn shows_everybody(service: &RegisteredService) -> bool {
    let observed = service.observed.as_ref();
    let principals = observed.and_then(|seen| seen.principals.as_deref());
    principals.is_some_and(has_everybody)
}

/// AWS is made to follow what is desired, by the ordinary sync. It brings everything back that differs, so a drift that somebody has yet to
/// judge must not go with it unasked.
async fn revert(
    conn: &mut PgConnection,
    remedy: &Remedy<'_>,
    drift: &Drift,
    service: RegisteredService,
) -> Result<(), AppError> {
    if drift.kind == DriftKind::UnknownPrincipal {
        let (place, id) = (service.account_region_id, service.id);
        let others =
            drifts::standing_of_service(conn, place, id, DriftKind::ServiceReconfigured).await?;
        if let Some(other) = others.first() {
            let detail = format!(
                "making AWS follow would also undo what {} is about; settle that by adopting or reverting it first",
                other.id
            );
            return Err(AppError::new(Code::DriftBlocked, detail));
        }
        // Ours to take away, by the word of a person.
        let principal = [drift.subject.clone()];
        if !service_changes::claim(conn, service.id, service.version, &principal, &[]).await? {
            return Err(AppError::internal("the service changed under its own lock"));
        }
    } else {
        let (shown, principals) = as_drifted(&service, drift)?;
        revertible(&service, shown, principals).map_err(|why| inapplicable(&why))?;
    }
    if !service_changes::record_desired(conn, &service, remedy.at).await? {
        return Err(AppError::internal("the service changed under its own lock"));
    }
    audit_change(conn, remedy, &service, &service, &[]).await
}

/// What AWS showed last, as long as it is still what the drift is about: nobody adopts or overwrites what they have not seen.
fn as_drifted<'a>(
    service: &'a RegisteredService,
    drift: &Drift,
) -> Result<(&'a privatelink::EndpointService, &'a [String]), AppError> {
    let moved_on = || {
        let detail = "AWS shows something else by now, and the next look will say what; read the drifts again";
        AppError::new(Code::DriftBlocked, detail)
    };
    let observed = service.observed.as_ref().ok_or_else(moved_on)?;
    let principals = observed.principals.as_deref().ok_or_else(moved_on)?;
    let found = of_service(service, &observed.service, principals);
    let same = found.iter().any(|now| {
        now.kind == drift.kind && (&now.before, &now.after) == (&drift.before, &drift.after)
    });
    if same {
        Ok((&observed.service, principals))
    } else {
        Err(moved_on())
    }
}

async fn audit_change(
    conn: &mut PgConnection,
    remedy: &Remedy<'_>,
    before: &RegisteredService,
    after: &RegisteredService,
    held: &[Held],
) -> Result<(), AppError> {
    let (old, mut new) = differences(before, after);
    if let Some(agreements) = held_principals::on_record(held) {
        new["principals_of_agreements"] = agreements;
    }
    let entry = Entry {
        at: remedy.at,
        actor: remedy.actor,
        action: "endpoint_service.change",
        subject: Subject::EndpointService(before.id),
        before: Some(old),
        after: Some(new),
        reason: Some(remedy.reason),
        decision: None,
    };
    audit::record(conn, entry).await?;
    // Regions and tags are facts that requests are judged by.
    judge_wakes::wake(conn, &Wake::Service(before.id), remedy.at).await?;
    Ok(())
}

/// Closes the drifts that a change of the service settles: AWS is made to follow, so what differed is overruled or agreed with; and
/// principals that are wanted now are not unknown any more.
pub(super) async fn settle_by_change(
    conn: &mut PgConnection,
    actor: &crate::domain::actor::Actor,
    service: &RegisteredService,
    reason: &str,
    at: chrono::DateTime<chrono::Utc>,
) -> Result<(), AppError> {
    let (place, id) = (service.account_region_id, service.id);
    let still_differs = service.observed.as_ref().is_some_and(|observed| {
        let principals = observed.principals.as_deref().unwrap_or_default();
        let found = of_service(service, &observed.service, principals);
        found
            .iter()
            .any(|f| f.kind == DriftKind::ServiceReconfigured)
    });
    let state = if still_differs {
        DriftState::Reverted
    } else {
        DriftState::Adopted
    };
    let reconfigured =
        drifts::standing_of_service(conn, place, id, DriftKind::ServiceReconfigured).await?;
    let ids: Vec<_> = reconfigured.iter().map(|drift| drift.id).collect();
    drifts::settle_standing(conn, &ids, state, actor, reason, at).await?;
    let unknown = drifts::standing_of_service(conn, place, id, DriftKind::UnknownPrincipal).await?;
    let wanted = |drift: &&Drift| service.allowed_principals.contains(&drift.subject);
    let ids: Vec<_> = unknown
        .iter()
        .filter(wanted)
        .map(|drift| drift.id)
        .collect();
    drifts::settle_standing(conn, &ids, DriftState::Adopted, actor, reason, at).await?;
    Ok(())
}
