//! What taking access away would do: which principals go and which stay, whose connections lose access and whose keep it, and by what.

use privatelink::AccountId;

use super::admission::may_change;
use super::code::Code;
use super::{AppError, PgConnection, answer_access, ask_access, consumer_accounts, drain_service};
use crate::domain::access_removal::Cause;
use crate::domain::access_request::AccessVerb;
use crate::domain::block::{Extent, account_of};
use crate::domain::ids::{AccessRequestId, AgreementId, EndpointServiceId};
use crate::domain::lifecycle::LifecycleState;
use crate::store::access_reach::{self, Counts, Door, Standing, Touched, Without};
use crate::store::access_request_parts::Stood;
use crate::store::access_requests;
use crate::store::agreement_grants::{self, Grant, Held};

/// How many connections are shown one by one.
const SHOWN: i64 = 20;
/// How many principals are shown that agreements stand on.
const HELD_SHOWN: usize = 20;

/// What a principal of the account stands on, so that it stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeptBy {
    /// Another access request.
    Request(AccessRequestId),
    /// An agreement.
    Agreement(AgreementId),
}

/// A principal of the account that stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The principal.
    pub principal: String,
    /// Because of what.
    pub by: KeptBy,
}

/// A service that is concerned.
#[derive(Debug, Clone)]
pub struct DoorPlan {
    /// The service.
    pub door: Door,
    /// Principals that go.
    pub goes: Vec<String>,
    /// Principals that go if the service's drain is taken back: while it is drained, nobody comes in and what is desired of it cannot be changed.
    pub later: Vec<String>,
    /// Principals that stay.
    pub kept: Vec<Kept>,
}

impl DoorPlan {
    /// Principals that AWS keeps all the same, because it had them before anybody asked for them here.
    pub fn left_in_aws(&self) -> Vec<String> {
        let unknown = self.door.unknown.iter();
        let left = unknown.filter(|p| self.goes.contains(p) || !self.door.principals.contains(p));
        left.cloned().collect()
    }
}

/// What goes.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Who loses access; `None` where the principal is everybody.
    pub account: Option<AccountId>,
    /// The services, in the order of their ids.
    pub doors: Vec<DoorPlan>,
    /// Access requests that do not stand any more, each with its service.
    pub requests: Vec<Stood>,
}

impl Plan {
    /// The services alone.
    pub(super) fn services(&self) -> Vec<EndpointServiceId> {
        self.doors.iter().map(|plan| plan.door.service).collect()
    }

    /// Principals that go now, each with its service.
    pub(super) fn gone(&self) -> Vec<(EndpointServiceId, String)> {
        self.principals(|plan| &plan.goes).collect()
    }

    /// Principals that go, now or when a drain is taken back, each with its service.
    pub(super) fn all_that_go(&self) -> Vec<(EndpointServiceId, String)> {
        let now = self.principals(|plan| &plan.goes);
        now.chain(self.principals(|plan| &plan.later)).collect()
    }

    fn principals<'a>(
        &'a self,
        which: impl Fn(&'a DoorPlan) -> &'a Vec<String> + 'a,
    ) -> impl Iterator<Item = (EndpointServiceId, String)> + 'a {
        self.doors.iter().flat_map(move |plan| {
            let service = plan.door.service;
            which(plan)
                .iter()
                .map(move |principal| (service, principal.clone()))
        })
    }
}

/// What would happen, with the connections.
#[derive(Debug, Clone)]
pub struct Preview {
    /// What goes.
    pub plan: Plan,
    /// How many connections lose access and keep it, by service; services without any are missing.
    pub counts: Vec<Counts>,
    /// The first connections that lose access.
    pub losing: Vec<Touched>,
    /// The first that keep it, and by what.
    pub keeping: Vec<Touched>,
    /// The first principals that go although agreements in force stand on them.
    pub held: Vec<Held>,
}

impl Preview {
    /// The same in two numbers.
    pub fn extent(&self) -> Extent {
        extent(&self.plan, &self.counts)
    }
}

fn extent(plan: &Plan, counts: &[Counts]) -> Extent {
    let goes: usize = plan.doors.iter().map(|plan| plan.goes.len()).sum();
    Extent {
        connections: counts.iter().map(|row| row.losing).sum(),
        principals: i64::try_from(goes).unwrap_or(i64::MAX),
    }
}

/// Finds what goes, as things are. It stays true for as long as the caller holds the account and the services.
pub(super) async fn plan(conn: &mut PgConnection, cause: &Cause) -> Result<Plan, AppError> {
    match cause {
        Cause::Principal { service, principal } => of_principal(conn, *service, principal).await,
        Cause::Account { consumer, account } => {
            consumer_accounts::membership(conn, *consumer, account).await?;
            let standing = access_reach::standing(conn, account).await?;
            let (ends, others): (Vec<_>, Vec<_>) = standing
                .into_iter()
                .partition(|row| row.consumer == Some(*consumer));
            let doors = access_reach::doors(conn, Some(account), &[]).await?;
            let own = |door: &Door| {
                let own = door
                    .named()
                    .filter(|p| account_of(p) == Some(account.as_str()));
                own.cloned().collect()
            };
            // An account that is taken from its consumer goes, whatever it bought: the agreement is told to let it in again, or not.
            Ok(planned(account.clone(), doors, &ends, (&others, &[]), own))
        }
        Cause::AccessRequest(id) => {
            let request = access_requests::by_id(conn, *id).await?;
            let request = request.ok_or_else(|| ask_access::missing(*id))?;
            let revoked = request.state.after(AccessVerb::Revoke);
            revoked.map_err(answer_access::refused)?;
            let standing = access_reach::standing(conn, &request.account).await?;
            let (ends, others): (Vec<_>, Vec<_>) =
                standing.into_iter().partition(|row| row.request == *id);
            let services: Vec<EndpointServiceId> = ends.iter().map(|row| row.service).collect();
            let doors = access_reach::doors(conn, None, &services).await?;
            // What was there before anybody asked for access is somebody else's word.
            let own = |door: &Door| {
                let given = ends
                    .iter()
                    .filter(|row| row.service == door.service && row.added);
                let there = given.filter(|row| door.named().any(|p| *p == row.principal));
                there.map(|row| row.principal.clone()).collect()
            };
            let accounts = [request.account.to_string()];
            let bought = agreement_grants::of_accounts(conn, &services, &accounts).await?;
            Ok(planned(
                request.account,
                doors,
                &ends,
                (&others, &bought),
                own,
            ))
        }
    }
}

async fn of_principal(
    conn: &mut PgConnection,
    service: EndpointServiceId,
    principal: &str,
) -> Result<Plan, AppError> {
    may_change(&drain_service::read(conn, service).await?)?;
    let account = account_of(principal).map(str::parse::<AccountId>);
    let account = account.transpose().map_err(AppError::internal)?;
    let mut doors = access_reach::doors(conn, None, &[service]).await?;
    let door = doors
        .pop()
        .filter(|door| door.named().any(|p| p == principal));
    let door = door.ok_or_else(|| {
        let detail = format!("{service} does not name {principal}");
        AppError::new(Code::PrincipalNotFound, detail)
    })?;
    let requests = match &account {
        Some(account) => access_reach::standing(conn, account).await?,
        None => Vec::new(),
    };
    let requests = requests
        .into_iter()
        .filter(|row| row.service == service && row.principal == principal);
    let plan = DoorPlan {
        door: about(door, account.as_ref()),
        goes: vec![principal.to_owned()],
        later: Vec::new(),
        kept: Vec::new(),
    };
    Ok(Plan {
        account,
        doors: vec![plan],
        requests: requests.map(|row| stood(&row)).collect(),
    })
}

/// Leaves only what is the account's own, or everybody's, of what AWS has on its own account.
fn about(mut door: Door, account: Option<&AccountId>) -> Door {
    if let Some(account) = account {
        door.unknown
            .retain(|p| account_of(p).is_none_or(|owner| owner == account.as_str()));
    }
    door
}

/// Plans each door: what is the account's own goes, except for what another request or an agreement stands on.
fn planned(
    account: AccountId,
    doors: Vec<Door>,
    ends: &[Standing],
    (others, bought): (&[Standing], &[Grant]),
    own: impl Fn(&Door) -> Vec<String>,
) -> Plan {
    let each = |door: Door| {
        let (mut goes, mut kept) = (Vec::new(), Vec::new());
        for principal in own(&door) {
            let stands =
                |row: &&Standing| row.service == door.service && row.principal == principal;
            let is_bought =
                |row: &&Grant| row.service == door.service && row.principal == principal;
            let request = others.iter().find(stands);
            let request = request.map(|row| KeptBy::Request(row.request));
            let agreement = || bought.iter().find(is_bought);
            let agreement = || agreement().map(|row| KeptBy::Agreement(row.agreement));
            match request.or_else(agreement) {
                Some(by) => kept.push(Kept { principal, by }),
                None => goes.push(principal),
            }
        }
        let (goes, later) = if door.lifecycle == LifecycleState::Active {
            (goes, Vec::new())
        } else {
            (Vec::new(), goes)
        };
        DoorPlan {
            door: about(door, Some(&account)),
            goes,
            later,
            kept,
        }
    };
    let doors = doors.into_iter().map(each).collect();
    Plan {
        account: Some(account),
        doors,
        requests: ends.iter().map(stood).collect(),
    }
}

fn stood(row: &Standing) -> Stood {
    Stood {
        request: row.request,
        service: row.service,
    }
}

/// Counts whom a plan concerns.
pub(super) async fn count(
    conn: &mut PgConnection,
    plan: &Plan,
) -> Result<(Vec<Counts>, Extent), AppError> {
    let (services, gone) = (plan.services(), plan.gone());
    let without = Without {
        services: &services,
        account: plan.account.as_ref(),
        gone: &gone,
    };
    let counts = access_reach::counts(conn, without).await?;
    let extent = extent(plan, &counts);
    Ok((counts, extent))
}

/// Finds what goes, and shows the first connections of those that lose access and those that keep it.
pub(super) async fn look(conn: &mut PgConnection, cause: &Cause) -> Result<Preview, AppError> {
    let plan = plan(conn, cause).await?;
    let (counts, _) = count(conn, &plan).await?;
    let (services, gone) = (plan.services(), plan.gone());
    let without = Without {
        services: &services,
        account: plan.account.as_ref(),
        gone: &gone,
    };
    let losing = access_reach::first(conn, without, true, SHOWN).await?;
    let keeping = access_reach::first(conn, without, false, SHOWN).await?;
    let mut held = agreement_grants::holding(conn, &plan.all_that_go()).await?;
    held.truncate(HELD_SHOWN);
    Ok(Preview {
        plan,
        counts,
        losing,
        keeping,
        held,
    })
}
