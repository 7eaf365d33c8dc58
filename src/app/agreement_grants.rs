//! Principals follow agreements: they are added in every Region of the plan, and removed with the last agreement that stands on them.

use std::collections::{BTreeSet, HashSet};

use chrono::{DateTime, Utc};
use serde_json::json;

use super::admission::may_change;
use super::agreement_doors::Wishes;
use super::agreement_standing::Steps;
use super::change_principals::record;
use super::{AppError, PgConnection, agreement_standing, drain_service};
use crate::domain::actor::Actor;
use crate::domain::ids::{AgreementId, EndpointServiceId};
use crate::store::agreement_grants::{self, Grant};

/// Adds principals and takes others away, one change for each service. Answers the agreements for which a service cannot be changed now.
pub(super) async fn give_and_take(
    conn: &mut PgConnection,
    actor: &Actor,
    Wishes { add, end }: Wishes,
    steps: &mut Steps<'_>,
    at: DateTime<Utc>,
) -> Result<HashSet<AgreementId>, AppError> {
    let both = || add.iter().chain(&end);
    let services: BTreeSet<EndpointServiceId> = both().map(|grant| grant.service).collect();
    if services.is_empty() {
        return Ok(HashSet::new());
    }
    let accounts: BTreeSet<String> = both().map(|grant| grant.account.to_string()).collect();
    let accounts: Vec<String> = accounts.into_iter().collect();
    let ids: Vec<EndpointServiceId> = services.iter().copied().collect();
    let standing = agreement_grants::of_accounts(conn, &ids, &accounts).await?;
    let requested = agreement_grants::requested(conn, &ids, &accounts).await?;
    let (mut unmet, mut given, mut ended) = (HashSet::new(), Vec::new(), Vec::new());
    for service in services {
        let before = drain_service::read(conn, service).await?;
        let here = |all: &[Grant]| -> Vec<Grant> {
            let all = all.iter().filter(|grant| grant.service == service);
            all.cloned().collect()
        };
        let (adds, ends) = (here(&add), here(&end));
        if may_change(&before).is_err() {
            // While it is drained nobody comes in and nothing of it can be changed. Where it has ended there is nothing left to take away.
            if before.lifecycle.state.is_looked_after().is_ok() {
                unmet.extend(adds.iter().chain(&ends).map(|grant| grant.agreement));
            } else {
                ended.extend(ends);
            }
            continue;
        }
        let standing = here(&standing);
        let is_requested = |principal: &str| requested.contains(&(service, principal.to_owned()));
        let change = change(
            &before.allowed_principals,
            adds,
            &ends,
            &standing,
            is_requested,
        );
        if change.principals != before.allowed_principals {
            let reason = "principals follow agreements";
            let (opens, principals) = (before.open_to_everybody, change.principals);
            if !record(conn, actor, &before, principals, opens, reason, at).await? {
                return Err(AppError::internal("a service changed under its own lock"));
            }
        }
        for grant in &change.given {
            steps.add(
                grant.agreement,
                "agreement.grant",
                said(grant, "added", grant.added),
            );
        }
        for grant in &ends {
            let removed = change.goes.contains(&grant.principal);
            steps.add(
                grant.agreement,
                "agreement.revoke_principal",
                said(grant, "removed", removed),
            );
        }
        given.extend(change.given);
        ended.extend(ends);
    }
    agreement_grants::end(conn, &ended, at).await?;
    agreement_grants::give(conn, &given, at).await?;
    Ok(unmet)
}

fn said(grant: &Grant, key: &str, value: bool) -> agreement_standing::Change {
    let after = json!({
        "endpoint_service_id": grant.service, "account_id": grant.account, "principal": grant.principal, key: value,
    });
    (None, Some(after))
}

/// How the principals of one service change.
struct Change {
    principals: Vec<String>,
    /// What is given, each with whether its principal is there because of agreements alone.
    given: Vec<Grant>,
    /// Principals that go.
    goes: HashSet<String>,
}

/// Finds how the principals of a service change. One goes only if it came because of agreements and nothing else stands on it.
fn change(
    before: &[String],
    mut given: Vec<Grant>,
    ends: &[Grant],
    standing: &[Grant],
    is_requested: impl Fn(&str) -> bool,
) -> Change {
    let there: HashSet<&str> = before.iter().map(String::as_str).collect();
    let by_agreement: HashSet<&str> = standing
        .iter()
        .filter(|grant| grant.added)
        .map(|grant| grant.principal.as_str())
        .collect();
    let mut new = HashSet::new();
    let mut principals = before.to_vec();
    for grant in &mut given {
        let is_there = there.contains(grant.principal.as_str());
        grant.added = !is_there || by_agreement.contains(grant.principal.as_str());
        if !is_there && new.insert(grant.principal.clone()) {
            principals.push(grant.principal.clone());
        }
    }
    let ending: HashSet<&Grant> = ends.iter().collect();
    let left = standing.iter().filter(|grant| !ending.contains(grant));
    let stays: HashSet<&str> = left
        .chain(&given)
        .map(|grant| grant.principal.as_str())
        .collect();
    let going = ends.iter().filter(|grant| {
        grant.added && !stays.contains(grant.principal.as_str()) && !is_requested(&grant.principal)
    });
    let goes: HashSet<String> = going.map(|grant| grant.principal.clone()).collect();
    principals.retain(|principal| !goes.contains(principal));
    Change {
        principals,
        given,
        goes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "arn:aws:iam::210987654321:root";

    fn grant(agreement: u128, added: bool) -> Grant {
        Grant {
            agreement: uuid::Uuid::from_u128(agreement).into(),
            service: uuid::Uuid::from_u128(1).into(),
            account: "210987654321".parse().unwrap(),
            principal: ROOT.to_owned(),
            added,
        }
    }

    #[test]
    fn what_came_with_an_agreement_goes_with_it() {
        let come = change(&[], vec![grant(1, false)], &[], &[], |_| false);
        assert_eq!(come.principals, [ROOT]);
        assert!(come.given[0].added);
        let own = grant(1, true);
        let gone = change(
            &come.principals,
            Vec::new(),
            std::slice::from_ref(&own),
            std::slice::from_ref(&own),
            |_| false,
        );
        assert_eq!((gone.principals.len(), gone.goes.len()), (0, 1));
    }

    #[test]
    fn what_was_there_before_or_stands_on_more_stays() {
        let there = [ROOT.to_owned()];
        let come = change(&there, vec![grant(1, false)], &[], &[], |_| false);
        assert!(!come.given[0].added, "somebody else had let it in");
        for (standing, requested) in [
            (vec![grant(1, true), grant(2, true)], false),
            (vec![grant(1, true)], true),
        ] {
            let stays = change(&there, Vec::new(), &[grant(1, true)], &standing, |_| {
                requested
            });
            assert_eq!(stays.principals, there);
        }
        let foreign = change(
            &there,
            Vec::new(),
            &[grant(1, false)],
            &[grant(1, false)],
            |_| false,
        );
        assert_eq!(foreign.principals, there);
    }

    #[test]
    fn a_renewal_takes_over_what_its_predecessor_brought() {
        let there = [ROOT.to_owned()];
        let both = change(
            &there,
            vec![grant(2, false)],
            &[grant(1, true)],
            &[grant(1, true)],
            |_| false,
        );
        assert_eq!(both.principals, there);
        assert!(both.given[0].added, "it goes with the last of them");
    }
}
