//! The consumer's hands, for tests and demonstrations: what a consumer does with boto3, without boto3.

use privatelink::{AccountId, ConnectionState, Region, VpcEndpointId};

use crate::AwsError;
use crate::api::Api;
use crate::simulator::{Failure, Simulator};
use crate::world::endpoints::NewEndpoint;
use crate::world::select::{Filters, Paging, Tags};
use crate::world::{Caller, World};

/// A consumer's account in one Region. Its calls meet the planned faults and are logged, like calls over HTTP. They cannot
/// wait: one that a slow fault befalls is refused (`UnsupportedOperation`) and not done.
#[derive(Debug, Clone)]
pub struct Consumer {
    simulator: Simulator,
    account: AccountId,
    region: Region,
}

impl Simulator {
    /// The consumer side of an account in a Region.
    pub fn consumer(&self, account: AccountId, region: Region) -> Consumer {
        Consumer {
            simulator: self.clone(),
            account,
            region,
        }
    }
}

impl Consumer {
    /// Creates an interface endpoint in the default VPC, with a subnet in each zone that the service has.
    pub fn create_endpoint(&self, service_name: &str) -> Result<VpcEndpointId, AwsError> {
        self.call("CreateVpcEndpoint", Vec::new(), |world, me| {
            let new = default_endpoint(world, me, service_name)?;
            Ok(world.create_endpoint(me, &new, None)?.endpoint.id)
        })
    }

    /// Deletes an endpoint; its refusal is an error here, although AWS sends it inside an HTTP 200.
    pub fn delete_endpoint(&self, endpoint: &VpcEndpointId) -> Result<(), AwsError> {
        let ids = vec![endpoint.to_string()];
        let refused = self.call("DeleteVpcEndpoints", ids.clone(), |world, me| {
            world.delete_endpoints(me, &ids)
        })?;
        refused
            .into_iter()
            .next()
            .map_or(Ok(()), |item| Err(item.error))
    }

    /// The state of an endpoint as the consumer sees it; `None` when it is not listed (any more).
    pub fn endpoint_state(
        &self,
        endpoint: &VpcEndpointId,
    ) -> Result<Option<ConnectionState>, AwsError> {
        let filters = Filters::one("vpc-endpoint-id", endpoint.as_str());
        let ids = vec![endpoint.to_string()];
        self.call("DescribeVpcEndpoints", ids, |world, me| {
            let found = world.endpoints(me, &[], &filters, &Paging::default())?;
            Ok(found.items.into_iter().next().map(|row| row.state))
        })
    }

    fn call<T>(
        &self,
        action: &str,
        ids: Vec<String>,
        work: impl FnOnce(&mut World, &Caller) -> Result<T, AwsError>,
    ) -> Result<T, AwsError> {
        self.simulator
            .call_now((&self.account, &self.region), Api::Ec2, action, ids, work)
            .map_err(|failure| match failure {
                Failure::Refused(error) => error,
                Failure::Broken(how) => AwsError::with_status(500, how.code(), how.message()),
            })
    }
}

/// An endpoint in the default VPC, with a subnet in each zone that the service has.
pub(crate) fn default_endpoint(
    world: &mut World,
    me: &Caller,
    service_name: &str,
) -> Result<NewEndpoint, AwsError> {
    let zones = world.visible_service(me, service_name)?.zones.clone();
    let place = world.place(me);
    let vpc_id = place
        .vpcs
        .values()
        .find(|vpc| vpc.is_default)
        .map(|vpc| vpc.id.clone())
        .ok_or_else(|| AwsError::new("VPCIdNotSpecified", "No default VPC for this user"))?;
    let subnets = place
        .subnets
        .values()
        .filter(|subnet| subnet.is_default && zones.contains(&subnet.zone))
        .map(|subnet| subnet.id.clone())
        .collect();
    Ok(NewEndpoint {
        vpc_id,
        service_name: service_name.to_owned(),
        subnets,
        tags: Tags::new(),
        ..NewEndpoint::default()
    })
}
