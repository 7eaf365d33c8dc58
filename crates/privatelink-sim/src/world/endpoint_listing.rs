//! `DescribeVpcEndpoints`: one listing over endpoints of every type.

use std::collections::BTreeMap;
use std::ops::Bound;

use privatelink::{ConnectionState, VpcEndpointId};

use super::endpoints::{EndpointRow, LISTING};
use super::gateway_endpoints::GatewayEndpoint;
use super::lattice_endpoints::LatticeEndpoint;
use super::select::{Filters, Listed, Paging};
use super::{Caller, World};
use crate::AwsError;

/// An endpoint of any type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnyEndpoint {
    /// An interface or Gateway Load Balancer endpoint.
    Interface(Box<EndpointRow>),
    /// A gateway endpoint, in this state.
    Gateway(Box<GatewayEndpoint>, ConnectionState),
    /// An endpoint to VPC Lattice, in this state.
    Lattice(Box<LatticeEndpoint>, ConnectionState),
}

impl AnyEndpoint {
    pub(super) fn id(&self) -> &VpcEndpointId {
        match self {
            Self::Interface(row) => &row.endpoint.id,
            Self::Gateway(endpoint, _) => &endpoint.id,
            Self::Lattice(endpoint, _) => &endpoint.id,
        }
    }
}

impl World {
    /// Lists the caller's endpoints of all types, by id. An unknown id fails the call.
    pub fn all_endpoints(
        &mut self,
        caller: &Caller,
        ids: &[String],
        filters: &Filters,
        paging: &Paging,
    ) -> Result<Listed<AnyEndpoint>, AwsError> {
        let (gateways, rest): (Vec<String>, Vec<String>) = ids
            .iter()
            .cloned()
            .partition(|id| self.is_gateway_endpoint(caller, id));
        let (lattices, interfaces): (Vec<String>, Vec<String>) = rest
            .into_iter()
            .partition(|id| self.is_lattice_endpoint(caller, id));
        // Each store gives its own page; the first page of all of them together is the page that is asked for.
        let mut pages = Vec::new();
        if ids.is_empty() || !interfaces.is_empty() {
            let page = self.endpoints(caller, &interfaces, filters, paging)?;
            pages.push(page.map(|row| AnyEndpoint::Interface(Box::new(row))));
        }
        if ids.is_empty() || !gateways.is_empty() {
            pages.push(self.gateway_endpoints(caller, &gateways, filters, paging)?);
        }
        if ids.is_empty() || !lattices.is_empty() {
            pages.push(self.lattice_endpoints(caller, &lattices, filters, paging)?);
        }
        let more = pages.iter_mut().find_map(|page| page.next.take());
        let mut rows: Vec<AnyEndpoint> = pages.into_iter().flat_map(|page| page.items).collect();
        rows.sort_by(|a, b| a.id().cmp(b.id()));
        let rows = rows.into_iter().map(|row| (row.id().to_string(), row));
        let page = paging.take(LISTING, self.behavior.page_size_limit, rows);
        // Exactly a page in all, and more behind it: then all of it is of one store, whose token is the right one.
        Ok(Listed {
            next: page.next.or(more),
            items: page.items,
        })
    }

    fn gateway_endpoints(
        &mut self,
        caller: &Caller,
        ids: &[String],
        filters: &Filters,
        paging: &Paging,
    ) -> Result<Listed<AnyEndpoint>, AwsError> {
        let limit = self.behavior.page_size_limit;
        let region = caller.region.to_string();
        let rows = behind(&self.place(caller).gateway_endpoints, ids, paging)?;
        let rows = rows.filter_map(|(id, row)| {
            let state = row.state_at(caller.seen_at)?;
            let seen = filters.allow(&row.tags, |name| match name {
                "service-name" => vec![row.service_name.clone()],
                "service-region" => vec![region.clone()],
                "vpc-endpoint-id" => vec![row.id.to_string()],
                "vpc-endpoint-state" => vec![state.to_string()],
                "vpc-endpoint-type" => vec!["Gateway".to_owned()],
                "vpc-id" => vec![row.vpc_id.clone()],
                _ => Vec::new(),
            });
            let any = AnyEndpoint::Gateway(Box::new(row.clone()), state);
            seen.then(|| (id.to_string(), any))
        });
        Ok(paging.take(LISTING, limit, rows))
    }

    fn lattice_endpoints(
        &mut self,
        caller: &Caller,
        ids: &[String],
        filters: &Filters,
        paging: &Paging,
    ) -> Result<Listed<AnyEndpoint>, AwsError> {
        let limit = self.behavior.page_size_limit;
        let region = caller.region.to_string();
        let rows = behind(&self.place(caller).lattice_endpoints, ids, paging)?;
        let rows = rows.filter_map(|(id, row)| {
            let state = row.life.state_at(caller.seen_at)?;
            let seen = filters.allow(&row.tags, |name| match name {
                "ip-address-type" => vec![row.ip_address_type.clone()],
                "service-region" => vec![region.clone()],
                "vpc-endpoint-id" => vec![row.id.to_string()],
                // The documented word, and the one that the wire shows for these types.
                "vpc-endpoint-state" => vec![state.to_string(), pascal(&state)],
                "vpc-endpoint-type" => vec![row.kind.as_str().to_owned()],
                "vpc-id" => vec![row.vpc_id.clone()],
                _ => Vec::new(),
            });
            let any = AnyEndpoint::Lattice(Box::new(row.clone()), state);
            seen.then(|| (id.to_string(), any))
        });
        Ok(paging.take(LISTING, limit, rows))
    }
}

/// A state with a capital letter, as the wire shows it for endpoints to VPC Lattice.
pub fn pascal(state: &ConnectionState) -> String {
    let word = state.to_string();
    let mut letters = word.chars();
    let first = letters.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// The rows behind the last page's end that were asked for by id, or all of them.
fn behind<'a, T>(
    rows: &'a BTreeMap<VpcEndpointId, T>,
    ids: &'a [String],
    paging: &Paging,
) -> Result<impl Iterator<Item = (&'a VpcEndpointId, &'a T)>, AwsError> {
    let after: Option<VpcEndpointId> = paging.after(LISTING)?.and_then(|key| key.parse().ok());
    let from = after.map_or(Bound::Unbounded, Bound::Excluded);
    Ok(rows
        .range::<VpcEndpointId, _>((from, Bound::Unbounded))
        .filter(|(id, _)| ids.is_empty() || ids.iter().any(|asked| asked == id.as_str())))
}
