//! Lists every connection of an account in a Region, page by page, and keeps nothing: the least that any sweep has to do.
//!
//! `list ENDPOINT_URL ACCOUNT REGION` prints one line of JSON: pages, connections, milliseconds.

use std::time::Instant;

use privatelink::{AccountRegionRef, ConnectionFilter, Gateways as _, PageToken};
use privatelink_aws::{AwsGateways, AwsSettings};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, account, region] = arguments.as_slice() else {
        return Err("usage: list ENDPOINT_URL ACCOUNT REGION".into());
    };
    let gateways = AwsGateways::new(AwsSettings {
        endpoint_url: Some(url.clone()),
        ..AwsSettings::default()
    });
    let place = AccountRegionRef {
        account: account.parse()?,
        region: region.parse()?,
        role_arn: None,
        external_id: None,
    };
    let gateway = gateways.gateway(&place).await?;
    // The first call makes the connection and loads the credentials, which a process that runs has done long ago.
    gateway.caller_account().await?;

    let began = Instant::now();
    let (mut pages, mut connections) = (0_u32, 0_usize);
    let mut from: Option<PageToken> = None;
    loop {
        let page = gateway
            .connections(&ConnectionFilter::All, from.as_ref())
            .await?;
        pages += 1;
        connections += page.items.len();
        match page.next {
            Some(next) => from = Some(next),
            None => break,
        }
    }
    let milliseconds = began.elapsed().as_millis();
    println!(r#"{{"pages":{pages},"connections":{connections},"milliseconds":{milliseconds}}}"#);
    Ok(())
}
