//! Route tables, with the routes that endpoints put there or are the targets of.

use std::collections::BTreeMap;

use privatelink::ConnectionState;
use serde::{Deserialize, Serialize};

use super::network::{Vpc, all_exist, is_named, no_vpc};
use super::prefix_lists::PrefixList;
use super::select::{Filters, Listed, Paging, Tags};
use super::{Caller, Place, World};
use crate::AwsError;

/// The services that have gateway endpoints.
pub const SERVICES: [&str; 2] = ["dynamodb", "s3"];

/// A route table. Besides the routes it keeps, it shows the local one and those of gateway endpoints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteTable {
    /// `rtb-…`.
    pub id: String,
    /// The VPC it is part of.
    pub vpc_id: String,
    /// Whether it came with the VPC.
    pub is_main: bool,
    /// The Gateway Load Balancer endpoint of each route, by destination: a block or a prefix list.
    #[serde(default)]
    pub routes: BTreeMap<String, String>,
    /// The owner's tags.
    pub tags: Tags,
}

impl RouteTable {
    /// The id of the association that makes a table the main one of its VPC.
    pub fn association_id(&self) -> String {
        self.id.replacen("rtb-", "rtbassoc-", 1)
    }
}

/// A route table with what its listing shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRow {
    /// The table.
    pub table: RouteTable,
    /// The blocks of its VPC.
    pub local: Vec<String>,
    /// The other routes.
    pub routes: Vec<RouteRow>,
}

/// One route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteRow {
    /// A block, or the id of a prefix list.
    pub destination: String,
    /// The endpoint it leads to.
    pub endpoint: String,
    /// `active`, or `blackhole` when it leads nowhere.
    pub state: &'static str,
}

const ACTION: &str = "CreateRouteTable";

impl World {
    /// Makes a route table in a VPC. SDKs send a client token unasked.
    pub fn create_route_table(
        &mut self,
        caller: &Caller,
        vpc_id: &str,
        tags: Tags,
        client_token: Option<&str>,
    ) -> Result<TableRow, AwsError> {
        let request = (vpc_id, &tags);
        if let Some(made) = self.replayed(caller, ACTION, client_token, &request)? {
            let (filters, paging) = (Filters::default(), Paging::default());
            let page = self.route_tables(caller, std::slice::from_ref(&made), &filters, &paging)?;
            return page.items.into_iter().next().ok_or_else(|| no_table(&made));
        }
        let place = self.place(caller);
        let vpc = place.vpcs.get(vpc_id).ok_or_else(|| no_vpc(vpc_id))?;
        let local = local_blocks(vpc);
        let id = self.ids.ec2("rtb-");
        self.remember(caller, ACTION, client_token, &request, &id);
        let table = RouteTable {
            id: id.clone(),
            vpc_id: vpc_id.to_owned(),
            is_main: false,
            routes: BTreeMap::new(),
            tags,
        };
        self.place(caller).route_tables.insert(id, table.clone());
        Ok(TableRow {
            table,
            local,
            routes: Vec::new(),
        })
    }

    /// Lists route tables. An unknown id fails the call.
    pub fn route_tables(
        &mut self,
        caller: &Caller,
        ids: &[String],
        filters: &Filters,
        paging: &Paging,
    ) -> Result<Listed<TableRow>, AwsError> {
        filters.check(&[
            "association.main",
            "association.route-table-association-id",
            "association.route-table-id",
            "owner-id",
            "route-table-id",
            "route.destination-cidr-block",
            "route.destination-ipv6-cidr-block",
            "route.destination-prefix-list-id",
            "route.gateway-id",
            "route.origin",
            "route.state",
            "tag-key",
            "vpc-id",
        ])?;
        let limit = self.behavior.page_size_limit;
        let lists = self.prefix_lists(&caller.region);
        self.place(caller);
        let nowhere = Place::default();
        let world = &*self;
        let place = world
            .existing_place(&caller.account, &caller.region)
            .unwrap_or(&nowhere);
        all_exist(ids, |id| place.route_tables.contains_key(id), no_table)?;
        let after = paging.after("DescribeRouteTables")?;
        let rows = place
            .route_tables
            .iter()
            .filter(|(id, _)| is_named(ids, id, after.as_deref()))
            .map(|(id, table)| (id, world.table_row(caller, place, table, &lists)))
            .filter(|(_, row)| filters.allow(&row.table.tags, |name| field(caller, row, name)));
        Ok(paging.take("DescribeRouteTables", limit, rows))
    }

    fn table_row(
        &self,
        caller: &Caller,
        place: &Place,
        table: &RouteTable,
        lists: &[PrefixList],
    ) -> TableRow {
        let gateways = place
            .gateway_endpoints
            .values()
            .filter(|endpoint| endpoint.routes(&table.id))
            .filter_map(|endpoint| {
                let list = lists.iter().find(|l| l.name == endpoint.service_name)?;
                Some(RouteRow {
                    destination: list.id.clone(),
                    endpoint: endpoint.id.to_string(),
                    state: "active",
                })
            });
        let made = table.routes.iter().map(|(to, endpoint)| RouteRow {
            destination: to.clone(),
            endpoint: endpoint.clone(),
            state: self.route_state(caller, place, endpoint),
        });
        TableRow {
            local: place
                .vpcs
                .get(&table.vpc_id)
                .map(local_blocks)
                .unwrap_or_default(),
            routes: gateways.chain(made).collect(),
            table: table.clone(),
        }
    }

    /// A route leads nowhere when the owner of the service cut the endpoint off, or when the endpoint failed.
    fn route_state(&self, caller: &Caller, place: &Place, endpoint: &str) -> &'static str {
        let endpoint = endpoint
            .parse()
            .ok()
            .and_then(|id| place.endpoints.get(&id));
        let state = endpoint.and_then(|endpoint| {
            let service = self.service(&endpoint.service)?;
            let connection = service.connections.get(&endpoint.id)?;
            connection.life.state_at(caller.seen_at)
        });
        match state {
            Some(ConnectionState::Available | ConnectionState::Pending) => "active",
            _ => "blackhole",
        }
    }
}

fn local_blocks(vpc: &Vpc) -> Vec<String> {
    let blocks = std::iter::once(&vpc.cidr).chain(&vpc.ipv6);
    blocks.cloned().collect()
}

fn field(caller: &Caller, row: &TableRow, name: &str) -> Vec<String> {
    let table = &row.table;
    let destinations = |list: bool| {
        let made = row.routes.iter().map(|route| &route.destination);
        made.filter(move |to| to.starts_with("pl-") == list)
            .cloned()
    };
    let of_main = |value: String| table.is_main.then_some(value).into_iter().collect();
    match name {
        "association.main" => vec![table.is_main.to_string()],
        "association.route-table-id" => of_main(table.id.clone()),
        "association.route-table-association-id" => of_main(table.association_id()),
        "owner-id" => vec![caller.account.to_string()],
        "route-table-id" => vec![table.id.clone()],
        "route.destination-cidr-block" => {
            let blocks = row.local.iter().cloned().chain(destinations(false));
            blocks.filter(|block| !block.contains(':')).collect()
        }
        "route.destination-ipv6-cidr-block" => {
            let blocks = row.local.iter().cloned().chain(destinations(false));
            blocks.filter(|block| block.contains(':')).collect()
        }
        "route.destination-prefix-list-id" => destinations(true).collect(),
        "route.gateway-id" => std::iter::once("local".to_owned())
            .chain(row.routes.iter().map(|route| route.endpoint.clone()))
            .collect(),
        "route.origin" if row.routes.is_empty() => vec!["CreateRouteTable".to_owned()],
        "route.origin" => vec!["CreateRouteTable".to_owned(), "CreateRoute".to_owned()],
        "route.state" => std::iter::once("active".to_owned())
            .chain(row.routes.iter().map(|route| route.state.to_owned()))
            .collect(),
        "vpc-id" => vec![table.vpc_id.clone()],
        _ => Vec::new(),
    }
}

pub(super) fn no_table(id: &str) -> AwsError {
    AwsError::new(
        "InvalidRouteTableID.NotFound",
        format!("The routeTable ID '{id}' does not exist"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::gateway_endpoints::NewGatewayEndpoint;
    use crate::world::testing::{CONSUMER, caller, world};

    #[test]
    fn a_token_makes_one_table() {
        let (mut world, me) = (world(), caller(CONSUMER));
        let vpc = world.place(&me).vpcs.keys().next().unwrap().clone();
        let mut create = |tags: Tags| world.create_route_table(&me, &vpc, tags, Some("t"));
        let first = create(Tags::new()).unwrap();
        assert_eq!(create(Tags::new()).unwrap(), first);
        let other = Tags::from([("a".to_owned(), "b".to_owned())]);
        let error = create(other).unwrap_err();
        assert_eq!(error.code, "IdempotentParameterMismatch");
    }

    #[test]
    fn a_vpc_comes_with_a_main_table_and_gets_routes_from_gateway_endpoints() {
        let (mut world, me) = (world(), caller(CONSUMER));
        let vpc = world.create_vpc(&me, "10.0.0.0/16", Tags::new()).unwrap();
        let made = world
            .create_route_table(&me, &vpc.id, Tags::new(), None)
            .unwrap()
            .table;
        let new = NewGatewayEndpoint {
            vpc_id: vpc.id.clone(),
            service_name: "com.amazonaws.eu-west-1.s3".to_owned(),
            route_tables: vec![made.id.clone()],
            ..NewGatewayEndpoint::default()
        };
        let endpoint = world.create_gateway_endpoint(&me, &new, None).unwrap();
        let filters = Filters::one("vpc-id", &vpc.id);
        let tables = world
            .route_tables(&me, &[], &filters, &Paging::default())
            .unwrap()
            .items;
        assert_eq!(tables.len(), 2);
        let lists = world.prefix_lists(&me.region);
        let s3 = lists.iter().find(|l| l.name == new.service_name).unwrap();
        for row in tables {
            assert_eq!(row.local, ["10.0.0.0/16"]);
            let expected = RouteRow {
                destination: s3.id.clone(),
                endpoint: endpoint.id.to_string(),
                state: "active",
            };
            if row.table.is_main {
                assert!(row.routes.is_empty());
            } else {
                assert_eq!(row.routes, [expected]);
            }
        }
    }
}
