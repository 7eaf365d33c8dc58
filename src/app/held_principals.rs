//! What agreements in force ask of whoever takes a principal out of a service by hand: that they say so, because an account that has paid is not let in any more.
//!
//! It is asked of services that the caller has locked. The worker gives principals under the same lock (`agreement_grants`), so no agreement comes to hold one in between.

use serde_json::{Value, json};

use super::code::Code;
use super::{AppError, PgConnection};
use crate::domain::endpoint_service::RegisteredService;
use crate::domain::ids::{AgreementId, EndpointServiceId};
use crate::store::agreement_grants::{self, Held};

/// What a request says if it is meant.
const CONFIRM: &str = "confirm_principals_of_agreements";
/// The most principals that a refusal names.
const MOST_NAMED: usize = 10;
/// The most agreements that it names of each.
const MOST_OF_EACH: usize = 3;
/// The most agreements that an audit entry names.
const MOST_ON_RECORD: usize = 200;

/// Refuses to take principals away that agreements in force stand on, unless the request says that it is meant. Answers what they stand on.
pub(super) async fn confirm(
    conn: &mut PgConnection,
    going: &[(EndpointServiceId, String)],
    confirmed: bool,
) -> Result<Vec<Held>, AppError> {
    if going.is_empty() {
        return Ok(Vec::new());
    }
    let held = agreement_grants::holding(conn, going).await?;
    if held.is_empty() || confirmed {
        return Ok(held);
    }
    Err(AppError::new(Code::PrincipalsOfAgreements, detail(&held)).field(CONFIRM))
}

/// The principals that a service named before and that a change leaves out.
pub(super) fn left_out(
    before: &RegisteredService,
    after: &RegisteredService,
) -> Vec<(EndpointServiceId, String)> {
    let was = before.allowed_principals.iter();
    was.filter(|principal| !after.allowed_principals.contains(principal))
        .map(|principal| (before.id, principal.clone()))
        .collect()
}

/// The agreements for the audit trail; `None` where there are none.
pub(super) fn on_record(held: &[Held]) -> Option<Value> {
    let mut agreements: Vec<AgreementId> = held.iter().map(|one| one.agreement).collect();
    agreements.sort();
    agreements.dedup();
    agreements.truncate(MOST_ON_RECORD);
    (!agreements.is_empty()).then(|| json!(agreements))
}

/// The sentence: which principals of which services, and by which agreements. `held` is sorted.
fn detail(held: &[Held]) -> String {
    let same = |a: &Held, b: &Held| a.service == b.service && a.principal == b.principal;
    let all: Vec<&[Held]> = held.chunk_by(same).collect();
    let named = all.iter().take(MOST_NAMED).map(|of| {
        let ids = of.iter().take(MOST_OF_EACH);
        let ids: Vec<String> = ids.map(|one| one.agreement.to_string()).collect();
        let more = more(of.len(), MOST_OF_EACH);
        let (principal, service) = (&of[0].principal, of[0].service);
        format!("{principal} on {service} ({}{more})", ids.join(", "))
    });
    let named: Vec<String> = named.collect();
    format!(
        "agreements in force let in whom this would take out: {}{}; leave them in, or confirm it with {CONFIRM}",
        named.join(", "),
        more(all.len(), MOST_NAMED),
    )
}

fn more(all: usize, shown: usize) -> String {
    match all.saturating_sub(shown) {
        0 => String::new(),
        rest => format!(" and {rest} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(principal: usize, agreement: u128) -> Held {
        Held {
            service: uuid::Uuid::from_u128(1).into(),
            principal: format!("arn:aws:iam::{principal:012}:root"),
            agreement: uuid::Uuid::from_u128(agreement).into(),
        }
    }

    #[test]
    fn a_refusal_names_principals_and_agreements_and_is_bounded() {
        let one = detail(&[held(1, 1), held(1, 2)]);
        let whole = "arn:aws:iam::000000000001:root on svc_00000000000000000000000000000001 \
                     (agr_00000000000000000000000000000001, agr_00000000000000000000000000000002);";
        assert!(one.contains(whole), "{one}");
        assert!(!one.contains("more"), "{one}");
        let many: Vec<Held> = (0..500)
            .flat_map(|p| (0..5).map(move |a| held(p, a)))
            .collect();
        let many = detail(&many);
        assert!(many.contains("and 2 more)"), "{many}");
        assert!(many.contains(" and 490 more;"), "{many}");
        assert!(many.len() < 4_000, "{}", many.len());
    }

    #[test]
    fn the_record_names_each_agreement_once() {
        assert_eq!(on_record(&[]), None);
        let twice = [held(1, 1), held(2, 1)];
        let id = json!(twice[0].agreement);
        assert_eq!(on_record(&twice), Some(json!([id])));
    }
}
