//! The road of hints: AWS set up to tell, messages sent by whoever can, and the loops stepped by hand.

use std::sync::Arc;
use std::time::Duration;

use portcullis::domain::hint_setup::{NAME, SetupState};
use portcullis::worker::{Place, hint_follow, hint_queue, hint_setup};
use privatelink::{ConnectionNotification, Messaging, TopicAttribute, VpcEndpointId};
use privatelink_sim::world::messaging::queues::{QueueName, QueuedMessage};
use serde_json::{Value, json};

use super::{HERE, PROVIDER, Service, TestApp, Who};

impl TestApp {
    /// A service of which AWS tells by itself, and the place that listens.
    pub(crate) async fn listening(&self) -> (Service, Place) {
        let service = self.with_service().await;
        let place = self.place().await;
        let report = hint_setup::run_pass(&place).await.unwrap();
        assert_eq!(report.state, SetupState::Listening);
        (service, place)
    }

    /// The provider's own hands on topics, queues and notifications.
    pub(crate) fn messages(&self) -> Arc<dyn Messaging> {
        let (account, region) = (PROVIDER.parse().unwrap(), HERE.parse().unwrap());
        Arc::new(self.sim().gateway(account, region))
    }

    /// All connection notifications of the provider.
    pub(crate) async fn notifications(&self) -> Vec<ConnectionNotification> {
        let page = self.messages().connection_notifications(None).await;
        page.unwrap().items
    }

    /// A message in the queue that no topic sent.
    pub(crate) fn forge(&self, body: &str) {
        let (account, region) = (PROVIDER.parse().unwrap(), HERE.parse().unwrap());
        let caller = self.sim().caller(&account, &region);
        let at = QueueName {
            account,
            name: NAME.to_owned(),
        };
        let message = QueuedMessage {
            body: body.to_owned(),
            ..QueuedMessage::default()
        };
        self.sim()
            .with_world(|world| world.send_message(&caller, &at, &message))
            .unwrap()
            .unwrap();
    }

    /// Somebody deletes topic, queue and notifications.
    pub(crate) async fn destroy_road(&self, place: &Place) {
        for notification in self.notifications().await {
            let aws = self.messages();
            let gone = aws.delete_connection_notification(&notification.id);
            assert_eq!(gone.await.unwrap(), None);
        }
        let (account, region) = (&place.lease.place.account, &place.lease.place.region);
        let caller = self.sim().caller(account, region);
        let at = QueueName {
            account: account.clone(),
            name: NAME.to_owned(),
        };
        let topic = self.messages().create_topic(NAME).await.unwrap();
        self.sim()
            .with_world(|world| {
                world.delete_topic(&caller, &topic)?;
                world.delete_queue(&caller, &at)
            })
            .unwrap()
            .unwrap();
    }

    /// Somebody changes what can be changed about topic, queue and notification, and leaves them there.
    pub(crate) async fn tamper_with_road(&self) {
        let aws = self.messages();
        let topic = aws.create_topic(NAME).await.unwrap();
        let queue = aws.queue_url(NAME).await.unwrap();
        let nobody = json!({ "Statement": [{ "Sid": "theirs", "Effect": "Allow", "Action": "SNS:Publish", "Resource": "*",
            "Principal": { "AWS": PROVIDER } }] })
        .to_string();
        for attribute in [
            TopicAttribute::Policy(&nobody),
            TopicAttribute::SignatureVersion("1"),
        ] {
            aws.set_topic_attribute(&topic, attribute).await.unwrap();
        }
        aws.set_queue_policy(&queue, &nobody).await.unwrap();
        let events = ["Delete".to_owned()].into();
        for notification in self.notifications().await {
            let changed = aws.modify_connection_notification(&notification.id, &topic, &events);
            changed.await.unwrap();
        }
    }

    /// Steps the set-up until all of it stands again.
    pub(crate) async fn mend_road(&self, place: &Place, what: &str) {
        for _ in 0..4 {
            if let Ok(report) = hint_setup::run_pass(place).await
                && report.state == SetupState::Listening
            {
                return;
            }
            self.advance(Duration::from_secs(61));
        }
        panic!(
            "{what}: the road does not heal: {}",
            self.hint_setup().await
        );
    }

    /// How many rows there are for an endpoint, whatever they say.
    pub(crate) async fn rows(&self, endpoint: &VpcEndpointId) -> usize {
        let path = format!("/v1/connections?endpoint_id={endpoint}");
        let listed = self.get(Who::Viewer, &path).await.good();
        listed["items"].as_array().unwrap().len()
    }

    /// The AccountRegion's view of its hints; a test with one AccountRegion has one.
    pub(crate) async fn hint_setup(&self) -> Value {
        let listed = self.get(Who::Viewer, "/v1/account-regions").await.good();
        listed["items"][0]["hints"].clone()
    }

    /// How many calls of an action AWS saw.
    pub(crate) fn calls(&self, action: &str) -> usize {
        self.sim().calls().of(action).len()
    }
}

/// Receives what is there, without a wait.
pub(crate) async fn hear(place: &Place) -> hint_queue::Report {
    hint_queue::run_pass(place, Duration::ZERO).await.unwrap()
}

/// Follows what is due.
pub(crate) async fn follow(place: &Place) -> hint_follow::Report {
    hint_follow::run_pass(place).await.unwrap()
}
