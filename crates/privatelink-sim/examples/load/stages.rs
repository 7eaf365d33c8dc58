//! What is measured, in order.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{Server, texts};
use crate::measure::{Work, many, once};
use crate::report::Report;
use crate::{Options, Result};

const PROVIDER: &str = "111111111111";

/// Connections that one populating call makes here, over half as many services as the world shall have.
const HALF: usize = 100_000;
const HALF_SERVICES: usize = 500;

/// One connection of the listing.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    service: String,
    owner: String,
    state: String,
}

/// 1,000 services and 200,000 connections: made, listed, described, accepted, added to, and listed again.
pub(crate) async fn large_world(server: &Server, options: &Options, report: &mut Report) -> Result {
    let empty = server.memory()?;
    populate(server, report, "populate 100,000 connections").await?;
    let half = server.memory()?;
    populate(server, report, "populate 100,000 more").await?;
    let full = server.memory()?;
    report.fact(
        "memory of the first 100,000 connections",
        (half - empty) >> 20,
        "MiB",
    );
    report.fact(
        "memory of the second 100,000 connections",
        (full - half) >> 20,
        "MiB",
    );
    let rows = listing(server, report, "list all, 1,000 a page").await?;
    if rows.len() != 2 * HALF {
        return Err(format!("{} connections are listed", rows.len()).into());
    }
    describe(server, options, report, &rows).await?;
    let accepted = accept(server, options, report, &rows).await?;
    let created = create(server, options, report, &rows).await?;
    let after = listing(server, report, "list all again").await?;
    if after.len() != rows.len() + created {
        return Err(format!("{} connections after {created} creations", after.len()).into());
    }
    for (id, row) in &rows {
        let now = after.get(id).ok_or_else(|| format!("{id} is gone"))?;
        let right = if accepted.contains(id) {
            ["pending", "available"].contains(&now.state.as_str())
        } else {
            now == row
        };
        if !right {
            return Err(format!("{id} was {row:?} and is {now:?}").into());
        }
    }
    report.fact("memory at the end", server.memory()? >> 20, "MiB");
    Ok(())
}

/// The world of 100,000 connections as a snapshot, out and in.
pub(crate) async fn snapshot(server: &Server, report: &mut Report) -> Result {
    server.ask("POST", "/populate", &half()).await?;
    let began = Instant::now();
    let text = server.control("GET", "/snapshot", String::new()).await?;
    let once_only = vec![began.elapsed()];
    report.stage(once("snapshot of 100,000 out", began, once_only));
    report.fact(
        "snapshot of 100,000 connections",
        text.len() as u64 >> 20,
        "MiB",
    );
    let before = server.control("GET", "/state", String::new()).await?;
    let began = Instant::now();
    server.control("PUT", "/snapshot", text).await?;
    let once_only = vec![began.elapsed()];
    report.stage(once("snapshot of 100,000 in", began, once_only));
    let after = server.control("GET", "/state", String::new()).await?;
    let places = |text: &str| -> Result<Value> {
        let mut state: Value = serde_json::from_str(text)?;
        Ok(state["places"].take())
    };
    if places(&before)? != places(&after)? {
        return Err("the snapshot came back differently".into());
    }
    Ok(())
}

fn half() -> Value {
    json!({
        "account": PROVIDER, "region": "eu-west-1", "services": HALF_SERVICES, "consumers": 100, "connections": HALF,
        "states": {"pendingAcceptance": 0.5, "available": 0.4, "rejected": 0.1},
    })
}

async fn populate(server: &Server, report: &mut Report, name: &'static str) -> Result {
    let began = Instant::now();
    let made = server.ask("POST", "/populate", &half()).await?;
    let once_only = vec![began.elapsed()];
    report.stage(once(name, began, once_only));
    let services = made["services"].as_array().map_or(0, Vec::len);
    let connections: u64 = made["connections"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(_, count)| count.as_u64())
        .sum();
    if (services, connections) != (HALF_SERVICES, HALF as u64) {
        return Err(format!("{services} services and {connections} connections were made").into());
    }
    Ok(())
}

/// Every connection there is, by endpoint.
async fn listing(
    server: &Server,
    report: &mut Report,
    name: &'static str,
) -> Result<BTreeMap<String, Row>> {
    let began = Instant::now();
    let (pages, times) = pages(server).await?;
    report.stage(once(name, began, times));
    let mut rows = BTreeMap::new();
    for page in &pages {
        let [endpoints, services, owners, states] = [
            "vpcEndpointId",
            "serviceId",
            "vpcEndpointOwner",
            "vpcEndpointState",
        ]
        .map(|element| texts(page, element));
        for (at, endpoint) in endpoints.iter().enumerate() {
            let row = Row {
                service: services[at].to_owned(),
                owner: owners[at].to_owned(),
                state: states[at].to_owned(),
            };
            if rows.insert((*endpoint).to_owned(), row).is_some() {
                return Err(format!("{endpoint} is listed twice").into());
            }
        }
    }
    Ok(rows)
}

/// A full listing, page by page, and how long each took.
async fn pages(server: &Server) -> Result<(Vec<String>, Vec<Duration>)> {
    let (mut pages, mut times) = (Vec::new(), Vec::new());
    let mut token = String::new();
    loop {
        let sent = Instant::now();
        let form = format!("Action=DescribeVpcEndpointConnections&MaxResults=1000{token}");
        let page = server.ec2(PROVIDER, &form).await?;
        times.push(sent.elapsed());
        let next = texts(&page, "nextToken").first().map(ToString::to_string);
        pages.push(page);
        match next {
            Some(next) => token = format!("&NextToken={next}"),
            None => return Ok((pages, times)),
        }
    }
}

/// Ten rows at a time: the first of a service, also while somebody lists everything, and any ten by their ids.
async fn describe(
    server: &Server,
    options: &Options,
    report: &mut Report,
    rows: &BTreeMap<String, Row>,
) -> Result {
    let services: BTreeSet<String> = rows.values().map(|row| row.service.clone()).collect();
    let services: Vec<String> = services.into_iter().collect();
    let ids: Vec<String> = rows.keys().cloned().collect();
    let first_ten = of_service(services.clone());
    report.stage(many("describe 10 by service", &server.url, options, first_ten).await?);
    let end = Instant::now() + options.time;
    let listings = async {
        while Instant::now() < end {
            pages(server).await?;
        }
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
    };
    let first_ten = of_service(services);
    let name = "describe 10 during full listings";
    let (figures, listed) = tokio::join!(many(name, &server.url, options, first_ten), listings);
    listed?;
    report.stage(figures?);
    let by_id = many("describe 10 by ids", &server.url, options, move |n| {
        // A step that has no divisor in common with the number of rows visits all of them, far from each other.
        let mut wanted: Vec<String> = (0..10)
            .map(|k| ids[(n * 10 + k).wrapping_mul(7_919) % ids.len()].clone())
            .collect();
        let mut form =
            "Action=DescribeVpcEndpointConnections&Filter.1.Name=vpc-endpoint-id".to_owned();
        for (at, id) in wanted.iter().enumerate() {
            let _ = write!(form, "&Filter.1.Value.{}={id}", at + 1);
        }
        wanted.sort_unstable();
        Some(Work {
            account: PROVIDER.to_owned(),
            form,
            right: Box::new(move |answer| {
                let mut found = texts(answer, "vpcEndpointId");
                found.sort_unstable();
                found == wanted
            }),
        })
    });
    report.stage(by_id.await?);
    Ok(())
}

/// The first ten connections of one service after the other.
fn of_service(services: Vec<String>) -> impl Fn(usize) -> Option<Work> + Send + Sync + 'static {
    move |n| {
        let service = services[n % services.len()].clone();
        Some(Work {
            account: PROVIDER.to_owned(),
            form: format!(
                "Action=DescribeVpcEndpointConnections&MaxResults=10&Filter.1.Name=service-id&Filter.1.Value.1={service}"
            ),
            right: Box::new(move |answer| {
                let found = texts(answer, "serviceId");
                found.len() == 10 && found.iter().all(|id| *id == service)
            }),
        })
    }
}

/// Accepts waiting connections one by one; answers with those that were accepted.
async fn accept(
    server: &Server,
    options: &Options,
    report: &mut Report,
    rows: &BTreeMap<String, Row>,
) -> Result<BTreeSet<String>> {
    let waiting: Vec<(String, String)> = rows
        .iter()
        .filter(|(_, row)| row.state == "pendingAcceptance")
        .map(|(id, row)| (row.service.clone(), id.clone()))
        .collect();
    let all = waiting.clone();
    let figures = many("accept 1", &server.url, options, move |n| {
        let (service, endpoint) = waiting.get(n)?;
        Some(Work {
            account: PROVIDER.to_owned(),
            form: format!(
                "Action=AcceptVpcEndpointConnections&ServiceId={service}&VpcEndpointId.1={endpoint}"
            ),
            right: Box::new(|answer| {
                answer.contains("<unsuccessful></unsuccessful>")
                    || answer.contains("<unsuccessful/>")
            }),
        })
    })
    .await?;
    // The numbers are given out without gaps, and each was used.
    let accepted = all.into_iter().take(figures.calls).map(|(_, id)| id);
    report.stage(figures);
    Ok(accepted.collect())
}

/// Creates endpoints in the default VPCs of consumers that already have some; answers with how many.
async fn create(
    server: &Server,
    options: &Options,
    report: &mut Report,
    rows: &BTreeMap<String, Row>,
) -> Result<usize> {
    let pairs: Vec<(String, String)> = rows
        .values()
        .step_by(97)
        .map(|row| (row.owner.clone(), row.service.clone()))
        .collect();
    let mut places: HashMap<String, String> = HashMap::new();
    for (owner, _) in &pairs {
        if !places.contains_key(owner) {
            let vpcs = server.ec2(owner, "Action=DescribeVpcs").await?;
            let subnets = server.ec2(owner, "Action=DescribeSubnets").await?;
            let mut form = format!("&VpcId={}", texts(&vpcs, "vpcId").first().unwrap_or(&""));
            for (at, subnet) in texts(&subnets, "subnetId").iter().enumerate() {
                let _ = write!(form, "&SubnetId.{}={subnet}", at + 1);
            }
            places.insert(owner.clone(), form);
        }
    }
    let figures = many("create 1", &server.url, options, move |n| {
        let (owner, service) = &pairs[n % pairs.len()];
        Some(Work {
            account: owner.clone(),
            form: format!(
                "Action=CreateVpcEndpoint&VpcEndpointType=Interface&ServiceName=com.amazonaws.vpce.eu-west-1.{service}{}",
                places[owner]
            ),
            right: Box::new(|answer| texts(answer, "state") == ["pendingAcceptance"]),
        })
    })
    .await?;
    let created = figures.calls;
    report.stage(figures);
    Ok(created)
}
