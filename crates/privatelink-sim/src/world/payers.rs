//! Who pays for endpoints: the owner of a service for all of them, or a choice per endpoint.

use std::collections::BTreeMap;

use privatelink::VpcEndpointId;

use super::endpoints::{no_endpoint, parse_endpoint};
use super::{Caller, World};
use crate::AwsError;

/// What is paid for, and by whom.
pub type Payers = BTreeMap<String, String>;

impl World {
    /// Makes the owner of a service pay. There is no way back.
    pub fn modify_service_payer(
        &mut self,
        caller: &Caller,
        service: &str,
        payer: &str,
    ) -> Result<(), AwsError> {
        if payer != "ServiceOwner" {
            return Err(AwsError::bad_value("PayerResponsibility", payer));
        }
        self.own_service_mut(caller, service)?.service_owner_pays = true;
        Ok(())
    }

    /// Says who pays for one endpoint: by the owner of its service, who names the service, or by its consumer.
    pub fn modify_endpoint_payer(
        &mut self,
        caller: &Caller,
        service: Option<&str>,
        endpoint: &str,
        (scope, payer): (&str, &str),
    ) -> Result<Payers, AwsError> {
        match (scope, payer) {
            ("vpc-endpoint-charges", "vpc-endpoint-account" | "vpc-endpoint-service-account")
            | ("resource-gateway-charges", "vpc-endpoint-account" | "resource-gateway-account") => {
            }
            ("vpc-endpoint-charges" | "resource-gateway-charges", other) => {
                return Err(AwsError::bad_value("PayerResponsibility", other));
            }
            (other, _) => return Err(AwsError::bad_value("Scope", other)),
        }
        let reversible = self.behavior.endpoint_payer_reversible;
        let id: VpcEndpointId = parse_endpoint(endpoint)?;
        let lattice = self.place(caller).lattice_endpoints.get_mut(&id);
        if let (None, Some(row)) = (service, lattice) {
            if row.life.state_at(caller.now).is_none() {
                return Err(no_endpoint(endpoint));
            }
            return choose(&mut row.payers, endpoint, (scope, payer), reversible);
        }
        let service = match service {
            Some(service) => self.own_service(caller, service)?.id.clone(),
            None => self.endpoint(caller, endpoint)?.endpoint.service,
        };
        let connection = self
            .service_mut(&service)
            .and_then(|service| service.connections.get_mut(&id))
            .filter(|connection| connection.life.state_at(caller.now).is_some())
            .ok_or_else(|| no_endpoint(endpoint))?;
        if scope == "resource-gateway-charges" {
            return Err(AwsError::new(
                "InvalidParameter",
                format!("{endpoint} leads to no resource gateway: there are no {scope}"),
            ));
        }
        choose(&mut connection.payers, endpoint, (scope, payer), reversible)
    }
}

fn choose(
    payers: &mut Payers,
    endpoint: &str,
    (scope, payer): (&str, &str),
    reversible: bool,
) -> Result<Payers, AwsError> {
    let before = payers.get(scope);
    if !reversible && before.is_some_and(|before| before != payer) {
        return Err(AwsError::new(
            "OperationNotPermitted",
            format!("The payer of {scope} for {endpoint} was chosen and cannot be changed"),
        ));
    }
    payers.insert(scope.to_owned(), payer.to_owned());
    Ok(payers.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::testing::{endpoint, shop};

    const CHARGES: &str = "vpc-endpoint-charges";
    const PROVIDER_PAYS: &str = "vpc-endpoint-service-account";

    #[test]
    fn the_owner_of_a_service_pays_from_then_on() {
        let (mut world, provider, consumer, service) = shop(true);
        let id = service.as_str();
        let error = world
            .modify_service_payer(&provider, id, "EndpointOwner")
            .unwrap_err();
        assert_eq!(error.code, "InvalidParameterValue");
        let error = world
            .modify_service_payer(&consumer, id, "ServiceOwner")
            .unwrap_err();
        assert_eq!(error.code, "InvalidVpcEndpointServiceId.NotFound");
        for _ in 0..2 {
            world
                .modify_service_payer(&provider, id, "ServiceOwner")
                .unwrap();
        }
        assert!(world.own_service(&provider, id).unwrap().service_owner_pays);
    }

    #[test]
    fn a_choice_for_an_endpoint_stays_unless_the_switch_allows_another() {
        let (mut world, provider, consumer, service) = shop(true);
        let id = endpoint(&mut world, &consumer, &service);
        let choose = |world: &mut World, payer: &str| {
            world.modify_endpoint_payer(&provider, Some(service.as_str()), &id, (CHARGES, payer))
        };
        let payers = choose(&mut world, PROVIDER_PAYS).unwrap();
        assert_eq!(payers[CHARGES], PROVIDER_PAYS);
        let error = choose(&mut world, "vpc-endpoint-account").unwrap_err();
        assert_eq!(error.code, "OperationNotPermitted");
        world.behavior.endpoint_payer_reversible = true;
        choose(&mut world, "vpc-endpoint-account").unwrap();
    }

    #[test]
    fn only_what_exists_and_makes_sense_can_be_paid_for() {
        let (mut world, provider, consumer, service) = shop(true);
        let id = endpoint(&mut world, &consumer, &service);
        for (service, endpoint, scope, payer, code) in [
            (
                None,
                id.as_str(),
                "everything",
                PROVIDER_PAYS,
                "InvalidParameterValue",
            ),
            (
                None,
                &id,
                CHARGES,
                "resource-gateway-account",
                "InvalidParameterValue",
            ),
            (
                None,
                &id,
                CHARGES,
                PROVIDER_PAYS,
                "InvalidVpcEndpointId.NotFound",
            ),
            (
                Some(service.as_str()),
                "vpce-0123456789abcdef0",
                CHARGES,
                PROVIDER_PAYS,
                "InvalidVpcEndpointId.NotFound",
            ),
            (
                Some(service.as_str()),
                &id,
                "resource-gateway-charges",
                "resource-gateway-account",
                "InvalidParameter",
            ),
            (
                Some(service.as_str()),
                "nonsense",
                CHARGES,
                PROVIDER_PAYS,
                "InvalidVpcEndpointId.Malformed",
            ),
        ] {
            let error = world
                .modify_endpoint_payer(&provider, service, endpoint, (scope, payer))
                .unwrap_err();
            assert_eq!(error.code, code, "{scope} {payer} {endpoint}");
        }
        world
            .modify_endpoint_payer(&consumer, None, &id, (CHARGES, "vpc-endpoint-account"))
            .unwrap();
    }
}
