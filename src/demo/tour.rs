//! The tour: a day in the life of a provider, against the running system, through its public REST API and the AWS wire.
//!
//! Each step makes sure of something rather than doing it, so a tour that was cut off goes on where it stood, and one that was over
//! finds nothing to do.

use std::time::Duration;

use serde_json::{Value, json};

use super::aws_wire::Aws;
use super::rest::Rest;
use super::{Failure, say};

const PROVIDER: &str = "111111111111";
const EU: &str = "eu-west-1";
const US: &str = "us-east-1";
/// What the service in Europe is called here.
const CREATED: &str = "Ledger EU";
/// Its private DNS name.
const NAME: &str = "ledger.provider.example";

/// What becomes of a consumer's request.
#[derive(Clone, Copy)]
enum Fate {
    Accepted,
    Rejected,
    Revoked,
    DeletedByConsumer,
    Waiting,
}

struct Consumer {
    name: &'static str,
    account: &'static str,
    region: &'static str,
    fate: Fate,
}

const CONSUMERS: [Consumer; 5] = [
    Consumer {
        name: "Acme",
        account: "222222222222",
        region: EU,
        fate: Fate::Accepted,
    },
    Consumer {
        name: "Borealis",
        account: "333333333333",
        region: EU,
        fate: Fate::Rejected,
    },
    Consumer {
        name: "Cobalt",
        account: "444444444444",
        region: US,
        fate: Fate::Revoked,
    },
    Consumer {
        name: "Delta",
        account: "555555555555",
        region: EU,
        fate: Fate::DeletedByConsumer,
    },
    Consumer {
        name: "Ember",
        account: "666666666666",
        region: US,
        fate: Fate::Waiting,
    },
];

impl Fate {
    /// Where the connection stands when its story is over, and how AWS shows it to the consumer.
    fn end(self) -> (&'static str, &'static str) {
        match self {
            Self::Accepted => ("available", "available"),
            Self::Rejected => ("rejected", "rejected"),
            Self::Revoked => ("revoked", "rejected"),
            Self::DeletedByConsumer => ("deleted", "deleted"),
            Self::Waiting => ("waiting", "pendingAcceptance"),
        }
    }

    /// Whether somebody went on with the story, between two starts of the demo or during the tour: then it is theirs, and the tour
    /// neither undoes nor blames it.
    fn taken_over(self, connection: &Value) -> bool {
        let ours: &[&str] = match self {
            Self::Accepted => &["undecided", "accepted"],
            Self::Rejected => &["undecided", "rejected"],
            Self::Revoked => &["undecided", "accepted", "revoked"],
            Self::DeletedByConsumer | Self::Waiting => &["undecided"],
        };
        let decided = connection["review"]["state"]
            .as_str()
            .is_some_and(|review| !ours.contains(&review));
        let gone = matches!(connection["summary"].as_str(), Some("deleting" | "deleted"));
        decided || gone
    }
}

/// Plays the whole tour and checks how it ended.
pub(super) async fn play(api: &str, sim: &str, token: &str) -> Result<(), Failure> {
    let rest = Rest::new(api, token);
    let eu = register_created(&rest, sim).await?;
    let us = register_adopted(&rest, sim).await?;
    name_service(&rest).await?;
    let mut connections = Vec::with_capacity(CONSUMERS.len());
    for consumer in &CONSUMERS {
        let service_name = if consumer.region == EU { &eu } else { &us };
        connections.push(request(&rest, sim, consumer, service_name).await?);
    }
    for (consumer, (id, endpoint)) in CONSUMERS.iter().zip(&connections) {
        live(&rest, sim, consumer, id, endpoint).await?;
    }
    prove_name(&rest, sim).await?;
    check(&rest, sim, &connections).await
}

/// The service in Europe: Portcullis creates it from a load balancer. Anybody may ask; each request waits for a decision.
async fn register_created(rest: &Rest, sim: &str) -> Result<String, Failure> {
    let place =
        json!({ "account_id": PROVIDER, "region": EU, "name": "Ledger production, Europe" });
    rest.post("/v1/account-regions", &place).await?;
    let arn = Aws::new(sim, PROVIDER, EU)
        .ensure_load_balancer("ledger-eu")
        .await?;
    let body = json!({
        "account_id": PROVIDER, "region": EU, "name": CREATED,
        "load_balancer_arns": [arn], "allowed_principals": ["*"],
    });
    let service = ensure_registered(rest, CREATED, &body).await?;
    say(&format!(
        "1. The provider registers \"Ledger EU\": Portcullis created {}",
        service_id(&service)
    ));
    service_name(&service)
}

/// The service in America: it exists already and is adopted.
async fn register_adopted(rest: &Rest, sim: &str) -> Result<String, Failure> {
    let place =
        json!({ "account_id": PROVIDER, "region": US, "name": "Ledger production, America" });
    rest.post("/v1/account-regions", &place).await?;
    let provider = Aws::new(sim, PROVIDER, US);
    let arn = provider.ensure_load_balancer("ledger-us").await?;
    let accounts: Vec<&str> = CONSUMERS
        .iter()
        .filter(|c| c.region == US)
        .map(|c| c.account)
        .collect();
    let id = provider.ensure_service(&arn, &accounts).await?;
    let body =
        json!({ "account_id": PROVIDER, "region": US, "name": "Ledger US", "aws_service_id": id });
    let service = ensure_registered(rest, "Ledger US", &body).await?;
    say(&format!(
        "2. The provider registers \"Ledger US\": Portcullis adopted {}",
        service_id(&service)
    ));
    service_name(&service)
}

/// The service in Europe gets a name of the provider's own, unless somebody has changed the service since.
async fn name_service(rest: &Rest) -> Result<(), Failure> {
    if let Some(service) = ours(rest).await?
        && service["version"] == 1
    {
        let change = json!({ "version": 1, "private_dns_name": NAME });
        rest.patch(&path_of(&service)?, &change).await?;
    }
    Ok(())
}

/// The record that proves the name is published, and AWS verifies it. By now AWS has told the record.
async fn prove_name(rest: &Rest, sim: &str) -> Result<(), Failure> {
    let Some(service) = ours(rest).await? else {
        return Ok(());
    };
    // A name that somebody changed or took away since is theirs.
    if service["private_dns_name"] != NAME || service["private_dns"]["state"] == "verified" {
        return Ok(());
    }
    let path = path_of(&service)?;
    let told = |service: &Value| {
        let record = &service["private_dns"]["record"];
        record.is_object().then(|| record.clone())
    };
    let record = rest
        .wait_for(&path, "AWS telling the TXT record", told)
        .await?;
    let published = json!({ "name": record["name"], "value": record["value"] });
    rest.publish(sim, &published).await?;
    let verified = |service: &Value| (service["private_dns"]["state"] == "verified").then_some(());
    rest.wait_for(&path, "the private DNS name being verified", verified)
        .await?;
    say(&format!(
        "8. \"Ledger EU\" may be called {NAME}: its TXT record is published, and AWS says verified"
    ));
    Ok(())
}

/// The service in Europe as it is now.
async fn ours(rest: &Rest) -> Result<Option<Value>, Failure> {
    let known = rest.all("/v1/services?limit=200").await?;
    Ok(known
        .into_iter()
        .rfind(|service| service["name"] == CREATED))
}

fn path_of(service: &Value) -> Result<String, Failure> {
    let id = service["id"].as_str().ok_or("the service has no id")?;
    Ok(format!("/v1/services/{id}"))
}

async fn ensure_registered(rest: &Rest, name: &str, body: &Value) -> Result<Value, Failure> {
    let known = rest.all("/v1/services?limit=200").await?;
    let id = match known.iter().rfind(|s| s["name"] == name) {
        Some(service) => service["id"].clone(),
        None => rest.post("/v1/services", body).await?.unwrap_or_default()["id"].clone(),
    };
    let id = id.as_str().ok_or("the service has no id")?;
    let available = |service: &Value| {
        let ready = service["observed"]["state"] == "Available"
            && service["ready"] == true
            && service["sync"]["state"] == "idle";
        ready.then(|| service.clone())
    };
    let path = format!("/v1/services/{id}");
    rest.wait_for(
        &path,
        &format!("{name:?} becoming available and ready"),
        available,
    )
    .await
}

/// A consumer makes an endpoint, and Portcullis sees the request.
async fn request(
    rest: &Rest,
    sim: &str,
    consumer: &Consumer,
    service_name: &str,
) -> Result<(String, String), Failure> {
    let ids = |row: &Value| {
        Some((
            row["id"].as_str()?.to_owned(),
            row["endpoint_id"].as_str()?.to_owned(),
        ))
    };
    // The account's first endpoint is the tour's; any later one is somebody else's.
    let path = format!(
        "/v1/connections?limit=200&owner_account_id={}",
        consumer.account
    );
    if let Some(known) = rest.all(&path).await?.last().and_then(ids) {
        return Ok(known);
    }
    let token = format!("tour-{}", consumer.account);
    let endpoint = Aws::new(sim, consumer.account, consumer.region)
        .create_endpoint(service_name, &token)
        .await?;
    say(&format!(
        "3. {} ({}) asks for a connection: {endpoint}",
        consumer.name, consumer.account
    ));
    let path = format!("/v1/connections?endpoint_id={endpoint}");
    let found = |list: &Value| rows(list).first().and_then(ids);
    rest.wait_for(
        &path,
        &format!("the request of {} being seen", consumer.name),
        found,
    )
    .await
}

/// What becomes of a request.
async fn live(
    rest: &Rest,
    sim: &str,
    consumer: &Consumer,
    id: &str,
    endpoint: &str,
) -> Result<(), Failure> {
    let now = rest.get(&format!("/v1/connections/{id}")).await?;
    let (end, _) = consumer.fate.end();
    if now["summary"] == end || consumer.fate.taken_over(&now) {
        return Ok(());
    }
    let undecided = now["review"]["state"] == "undecided";
    match consumer.fate {
        Fate::Waiting => {}
        Fate::Accepted => {
            if undecided {
                rest.decide(id, "accept", "Order 1001 is paid").await?;
            }
            rest.wait_summary(id, end).await?;
            say(&format!(
                "4. {} is accepted, and AWS says available",
                consumer.name
            ));
        }
        Fate::Rejected => {
            if undecided {
                rest.decide(id, "reject", "No agreement with this account")
                    .await?;
            }
            rest.wait_summary(id, end).await?;
            say(&format!(
                "5. {} is rejected, and AWS says rejected",
                consumer.name
            ));
        }
        Fate::Revoked => {
            if undecided {
                rest.decide(id, "accept", "Trial until noon").await?;
            }
            if now["review"]["state"] != "revoked" {
                rest.wait_summary(id, "available").await?;
                rest.decide(id, "revoke", "The trial is over").await?;
            }
            rest.wait_summary(id, end).await?;
            say(&format!(
                "6. {} was available and is revoked, and AWS cut it off",
                consumer.name
            ));
        }
        Fate::DeletedByConsumer => {
            let aws = Aws::new(sim, consumer.account, consumer.region);
            if aws.endpoint_state(endpoint).await? == "pendingAcceptance" {
                aws.delete_endpoint(endpoint).await?;
            }
            rest.wait_summary(id, end).await?;
            say(&format!(
                "7. {} thinks better of it and deletes the endpoint",
                consumer.name
            ));
        }
    }
    Ok(())
}

/// Compares every connection with how it should have ended, on our side and on AWS's.
async fn check(rest: &Rest, sim: &str, connections: &[(String, String)]) -> Result<(), Failure> {
    // A consumer may act at any moment; what should rest must rest for a while.
    tokio::time::sleep(Duration::from_millis(500)).await;
    say("");
    say("   consumer   account        stands at   AWS says            our id");
    let mut wrong = Vec::new();
    for (consumer, (id, endpoint)) in CONSUMERS.iter().zip(connections) {
        let (want, want_aws) = consumer.fate.end();
        let row = rest.get(&format!("/v1/connections/{id}")).await?;
        let stands = row["summary"].as_str().unwrap_or("?").to_owned();
        let aws = Aws::new(sim, consumer.account, consumer.region)
            .endpoint_state(endpoint)
            .await
            // A deleted endpoint is shown for a while and then unknown.
            .unwrap_or_else(|_| "deleted".to_owned());
        say(&format!(
            "   {:<10} {}   {stands:<11} {aws:<19} {id}",
            consumer.name, consumer.account
        ));
        let aws_ok = aws == want_aws || (want_aws == "deleted" && aws == "deleting");
        if (stands != want || !aws_ok) && !consumer.fate.taken_over(&row) {
            wrong.push(format!(
                "{} should be {want} here and {want_aws} in AWS",
                consumer.name
            ));
        }
    }
    say("");
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(wrong.join("; ").into())
    }
}

fn rows(list: &Value) -> &[Value] {
    list["items"].as_array().map_or(&[], Vec::as_slice)
}

fn service_id(service: &Value) -> &str {
    service["aws_service_id"].as_str().unwrap_or("?")
}

fn service_name(service: &Value) -> Result<String, Failure> {
    Ok(service["service_name"]
        .as_str()
        .ok_or("the service has no name")?
        .to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(review: &str, summary: &str) -> Value {
        json!({ "review": { "state": review }, "summary": summary })
    }

    #[test]
    fn a_decision_that_the_tour_would_not_make_is_somebody_elses() {
        let accepted = connection("accepted", "available");
        assert!(Fate::Waiting.taken_over(&accepted));
        assert!(Fate::DeletedByConsumer.taken_over(&accepted));
        assert!(!Fate::Accepted.taken_over(&accepted));
        assert!(!Fate::Revoked.taken_over(&accepted));
        assert!(Fate::Accepted.taken_over(&connection("revoked", "revoked")));
        assert!(!Fate::Waiting.taken_over(&connection("undecided", "waiting")));
    }

    #[test]
    fn an_endpoint_that_its_consumer_deleted_is_left_alone() {
        assert!(Fate::Accepted.taken_over(&connection("accepted", "deleted")));
    }
}
