//! Posts what SNS owes to HTTP(S) endpoints.
//!
//! The world says what is due; this posts it and reports how that ended. Due times follow the simulated clock: while it stands
//! still nothing is tried again. How long an endpoint may take is measured by the machine's clock, as the wire is real.

use std::time::Duration;

use reqwest::Certificate;
use reqwest::header::{CONTENT_TYPE, USER_AGENT};
use reqwest::redirect::Policy;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::simulator::Simulator;
use crate::world::messaging::deliveries::{Delivery, MessageType, Outcome};

/// So many deliveries are on their way at once.
const MAX_FLYING: usize = 32;

/// The longest sleep; whatever is due earlier, or happens, ends it.
const LONGEST_SLEEP: Duration = Duration::from_hours(1);

/// A delivery that was taken; whoever drops it without saying how it ended gives it back.
struct Taken {
    simulator: Simulator,
    id: u64,
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.simulator.world().give_back_delivery(self.id);
    }
}

/// The HTTP clients, and the certificates that they were made with.
#[derive(Debug, Default)]
struct Clients {
    plain: Option<reqwest::Client>,
    secure: Option<(Vec<String>, reqwest::Client)>,
}

impl Simulator {
    /// Posts what SNS owes to HTTP(S) endpoints, until it is dropped. [`Simulator::serve`] does it as well; this is for a
    /// simulator that is used in process only. Two at once share the work.
    pub async fn deliver_messages(&self) {
        let mut flying = JoinSet::new();
        let mut clients = Clients::default();
        loop {
            // Whoever wants to hear of a change must listen before looking.
            let changed = self.changes().notified();
            let moved = self.clock().moved().notified();
            tokio::pin!(changed, moved);
            changed.as_mut().enable();
            moved.as_mut().enable();
            while flying.len() < MAX_FLYING {
                let taken = self.world().take_delivery(self.clock().now());
                let Some((id, delivery)) = taken else { break };
                let simulator = self.clone();
                let client = clients.of(self, &delivery);
                flying.spawn(fly(Taken { simulator, id }, client, delivery));
            }
            let due = self.world().next_delivery();
            let due = due.filter(|_| flying.len() < MAX_FLYING);
            let wake = self.wake_at(due, Instant::now() + LONGEST_SLEEP);
            tokio::select! {
                () = changed => {}
                () = moved => {}
                Some(_) = flying.join_next(), if !flying.is_empty() => {}
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }
}

/// One attempt, and the report of how it ended.
async fn fly(taken: Taken, client: Result<reqwest::Client, String>, delivery: Delivery) {
    let patience = taken.simulator.world().behavior.sns_reply_limit_ms;
    let outcome = match client {
        Ok(client) => post(&client, &delivery, Duration::from_millis(patience)).await,
        Err(why) => Outcome::NoAnswer(why),
    };
    tracing::debug!(endpoint = %delivery.url, id = %delivery.message_id, ?outcome, "SNS posted a message");
    let simulator = &taken.simulator;
    let now = simulator.clock().now();
    let saved = simulator.with_world(|world| world.delivery_ended(taken.id, now, &outcome));
    if let Err(error) = saved {
        tracing::error!(%error, "the simulator cannot keep its state");
    }
}

async fn post(client: &reqwest::Client, delivery: &Delivery, patience: Duration) -> Outcome {
    let mut request = client
        .post(&delivery.url)
        .timeout(patience)
        .header(CONTENT_TYPE, &delivery.content_type)
        .header(USER_AGENT, "Amazon Simple Notification Service Agent")
        .header("x-amz-sns-message-type", delivery.message_type.name())
        .header("x-amz-sns-message-id", &delivery.message_id)
        .header("x-amz-sns-topic-arn", &delivery.topic_arn);
    if delivery.message_type != MessageType::SubscriptionConfirmation {
        request = request.header("x-amz-sns-subscription-arn", &delivery.subscription_arn);
    }
    if delivery.raw {
        request = request.header("x-amz-sns-rawdelivery", "true");
    }
    match request.body(delivery.body.clone()).send().await {
        Ok(response) => Outcome::Status(response.status().as_u16()),
        Err(error) if error.is_timeout() => {
            Outcome::NoAnswer(format!("The endpoint did not answer in {patience:?}"))
        }
        Err(error) => Outcome::NoAnswer(chain(&error)),
    }
}

/// An error with all its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let causes: Vec<String> = causes.map(ToString::to_string).collect();
    causes.join(": ")
}

impl Clients {
    /// The client for a delivery. That for HTTPS is made anew when the trusted certificates changed.
    fn of(
        &mut self,
        simulator: &Simulator,
        delivery: &Delivery,
    ) -> Result<reqwest::Client, String> {
        if !delivery.url.starts_with("https:") {
            if let Some(client) = &self.plain {
                return Ok(client.clone());
            }
            // Without certificates it does not matter whether the machine has any.
            let made = builder().tls_certs_only([]).build();
            let client = made.map_err(|error| chain(&error))?;
            self.plain = Some(client.clone());
            return Ok(client);
        }
        let roots = simulator.world().trusted_roots().to_vec();
        if let Some((known, client)) = &self.secure
            && *known == roots
        {
            return Ok(client.clone());
        }
        let mut certificates = Vec::new();
        for root in &roots {
            let bundle = Certificate::from_pem_bundle(root.as_bytes());
            certificates.extend(bundle.map_err(|error| chain(&error))?);
        }
        let made = builder().tls_certs_merge(certificates).build();
        let client = made.map_err(|error| chain(&error))?;
        self.secure = Some((roots, client.clone()));
        Ok(client)
    }
}

fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(Policy::none())
}
