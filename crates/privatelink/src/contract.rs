//! The checks that every implementation of the port must pass.
//!
//! A check is an async function over a [`ContractWorld`]: the gateway under test plus the hands of the other people in the
//! story (the network engineer with a load balancer, the consumer with an endpoint, the operator who breaks things). The
//! in-process simulator and the SDK adapter run the same list, so that a test against the one says something about the other.
//!
//! Every check makes what it needs and tolerates what others left behind, so one world may serve them all, one after the
//! other. Two checks must not share a world at the same time: a planned fault hits every call of its action.
//!
//! ```ignore
//! for check in privatelink::contract::CHECKS {
//!     (check.run)(&world).await.map_err(|why| format!("{}: {why}", check.name))?;
//! }
//! ```

mod connections;
mod faults;
mod load_balancers;
mod messaging;
mod permissions;
mod refusals;
mod service_changes;
mod services;
mod steps;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;

use crate::{AccountId, ConnectionState, LoadBalancerArn, Messaging, PrivateLink, VpcEndpointId};

/// What a check needs besides the gateway under test. All of it happens in one Region.
///
/// Errors that are not the subject of a check (the world could not do its part) are sentences for a person.
#[async_trait]
pub trait ContractWorld: Send + Sync {
    /// The gateway under test, for the provider's account.
    fn gateway(&self) -> Arc<dyn PrivateLink>;

    /// The same kind of gateway for a second provider account, which owns nothing of the first.
    fn other_gateway(&self) -> Arc<dyn PrivateLink>;

    /// The account behind [`ContractWorld::gateway`].
    fn provider(&self) -> AccountId;

    /// The consumer's account. Neither of the providers.
    fn consumer(&self) -> AccountId;

    /// How many rows AWS puts on a page here, whatever it is asked for. Small (5 is good), so that checks see several pages.
    fn page_size(&self) -> usize;

    /// Makes a Network Load Balancer of the provider that is ready for use: `active`, with a TCP listener that forwards to a
    /// target group with a healthy target in each of its two zones. A new one every time.
    async fn ready_load_balancer(&self) -> Result<LoadBalancerArn, String>;

    /// The consumer creates an interface endpoint to this service name, in subnets of zones that the service has.
    /// A new endpoint every time.
    async fn create_endpoint(&self, service_name: &str) -> Result<VpcEndpointId, EndpointRefusal>;

    /// The consumer deletes an endpoint.
    async fn delete_endpoint(&self, endpoint: &VpcEndpointId) -> Result<(), String>;

    /// The state of an endpoint as the consumer reads it; `None` when AWS no longer lists it.
    async fn endpoint_state(
        &self,
        endpoint: &VpcEndpointId,
    ) -> Result<Option<ConnectionState>, String>;

    /// Lets AWS's own delays pass (provisioning, propagation of permissions), but not its expiry times. Between two calls of
    /// this, no state moves by itself.
    async fn settle(&self) -> Result<(), String>;

    /// From now on every call of this action (AWS's name, such as `AcceptVpcEndpointConnections`) by the provider ends in this
    /// fault, until [`ContractWorld::clear_faults`]. "Every", since an implementation may retry once by itself.
    async fn plan_fault(&self, action: &str, fault: ContractFault) -> Result<(), String>;

    /// Withdraws all planned faults.
    async fn clear_faults(&self) -> Result<(), String>;

    /// The topics, queues and connection notifications of the account behind [`ContractWorld::gateway`].
    fn messaging(&self) -> Arc<dyn Messaging>;
}

/// AWS would not create the endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointRefusal {
    /// The AWS error code, such as `InvalidServiceName`; `World` when the world itself failed.
    pub code: String,
    /// AWS's words.
    pub message: String,
}

impl fmt::Display for EndpointRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the endpoint was refused ({}): {}",
            self.code, self.message
        )
    }
}

/// A way for a call to end badly on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContractFault {
    /// Throttled: 503 `RequestLimitExceeded` on EC2, 400 `Throttling` on ELBv2. Nothing is done.
    Throttle,
    /// A 5xx, and nothing is done.
    ErrorBefore,
    /// A 5xx, although the work is done.
    ErrorAfter,
    /// The work is done and the connection closes without an answer.
    DropAnswer,
    /// The work is done and the connection is reset.
    Reset,
    /// The work is done and the connection closes in the middle of the answer.
    Truncate,
    /// The work is done and the answer is an HTTP 200 that says nothing.
    Garbled,
    /// Not allowed: 403 `UnauthorizedOperation`. Nothing is done.
    Deny,
}

/// What a check ends in: nothing, or a sentence that says what was wrong.
pub type CheckResult = Result<(), String>;

/// A running check.
pub type CheckFuture<'a> = Pin<Box<dyn Future<Output = CheckResult> + Send + 'a>>;

/// One thing that must be true of every implementation.
#[derive(Clone, Copy)]
pub struct Check {
    /// What must be true, as a sentence in `snake_case`; unique in [`CHECKS`].
    pub name: &'static str,
    /// Tries it.
    pub run: for<'a> fn(&'a dyn ContractWorld) -> CheckFuture<'a>,
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Check").field(&self.name).finish()
    }
}

/// Lists check functions under their own names.
macro_rules! checks {
    ($($module:ident::$name:ident),* $(,)?) => {
        &[$(Check { name: stringify!($name), run: |world| Box::pin($module::$name(world)) }),*]
    };
}

/// Every check, in the order of a service's life.
pub const CHECKS: &[Check] = checks![
    services::a_created_service_reads_back_as_asked,
    services::creating_twice_with_one_token_makes_one_service,
    services::one_token_with_other_parameters_is_invalid,
    services::a_load_balancer_backs_one_service_only,
    services::an_unknown_service_is_not_found,
    services::a_service_of_another_account_is_not_found,
    services::listing_services_takes_several_pages_and_misses_none,
    services::changing_the_acceptance_flag_reads_back,
    services::an_impossible_address_type_is_invalid,
    services::changing_the_regions_reads_back,
    services::tags_are_set_and_removed_by_key,
    services::a_new_service_notifies_nobody,
    services::a_service_without_connections_can_be_deleted,
    service_changes::load_balancers_are_added_and_removed_and_one_stays,
    service_changes::a_load_balancer_of_another_service_cannot_be_added,
    service_changes::a_load_balancer_in_use_stays,
    service_changes::a_private_dns_name_is_set_and_removed,
    service_changes::verification_without_a_private_dns_name_is_invalid,
    service_changes::the_owner_pays_from_then_on,
    service_changes::every_other_region_tells_its_state,
    services::deleting_an_unknown_service_is_a_refusal_inside_success,
    services::deleting_a_service_with_connections_is_a_refusal_inside_success,
    permissions::principals_are_added_listed_and_removed,
    permissions::a_principal_that_aws_does_not_take_changes_nothing,
    permissions::listing_principals_takes_several_pages_and_misses_none,
    permissions::an_endpoint_without_permission_is_refused,
    connections::an_endpoint_appears_as_pending_acceptance_with_its_owner,
    connections::an_accepted_connection_is_pending_before_it_is_available,
    connections::without_required_acceptance_a_connection_is_born_pending,
    connections::a_pending_acceptance_can_be_rejected,
    connections::an_available_connection_can_be_rejected,
    connections::a_deleted_endpoint_ends_as_deleted_or_absent,
    connections::a_service_filter_lists_only_that_service,
    connections::an_endpoint_filter_lists_only_those_endpoints,
    connections::an_empty_endpoint_filter_lists_nothing_without_a_call,
    connections::listing_connections_takes_several_pages_and_misses_none,
    refusals::a_second_accept_is_an_item_failure,
    refusals::an_unknown_endpoint_fails_alone,
    refusals::an_endpoint_of_another_service_fails_alone,
    refusals::rejecting_an_unknown_endpoint_is_an_item_failure,
    refusals::accepting_on_an_unknown_service_is_not_found,
    refusals::another_account_cannot_accept,
    load_balancers::a_load_balancer_reads_back_ready,
    load_balancers::load_balancers_read_together,
    load_balancers::listener_and_target_group_attributes_have_their_defaults,
    load_balancers::listeners_and_target_groups_read_back,
    load_balancers::targets_read_back_healthy,
    load_balancers::zones_have_a_name_here_and_an_id_everywhere,
    load_balancers::an_unknown_load_balancer_is_not_found,
    load_balancers::the_caller_is_the_provider,
    faults::a_throttled_call_is_busy,
    faults::a_denied_call_is_denied,
    faults::an_error_before_the_work_is_unknown_and_nothing_is_done,
    faults::an_error_after_the_work_is_unknown_and_the_work_is_done,
    faults::a_dropped_answer_is_unknown_and_the_work_is_done,
    faults::a_reset_connection_is_unknown_and_the_work_is_done,
    faults::half_an_answer_is_unknown_and_the_work_is_done,
    faults::an_answer_that_says_nothing_is_unknown_and_the_work_is_done,
    faults::a_create_with_an_unknown_outcome_can_be_repeated,
    faults::a_listing_that_fails_is_not_an_empty_listing,
    messaging::a_topic_made_twice_is_one_topic,
    messaging::the_attributes_of_a_topic_read_back,
    messaging::an_unknown_topic_is_not_found,
    messaging::a_queue_is_made_found_and_given_a_policy,
    messaging::an_unknown_queue_is_not_found,
    messaging::a_queue_subscribed_twice_is_one_subscription,
    messaging::a_notification_reads_back_as_asked,
    messaging::creating_a_notification_twice_with_one_token_makes_one,
    messaging::a_changed_notification_reads_back,
    messaging::a_deleted_notification_is_gone_and_deleting_it_again_is_a_refusal_inside_success,
    messaging::a_notification_to_no_topic_is_invalid,
    messaging::listing_notifications_takes_several_pages_and_misses_none,
    messaging::a_request_reaches_the_queue_and_names_its_ids,
    messaging::a_deleted_message_does_not_come_back,
    messaging::an_empty_queue_gives_nothing,
    messaging::throttled_messaging_is_busy,
    messaging::denied_messaging_is_denied,
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_check_has_its_own_name() {
        let names: HashSet<_> = CHECKS.iter().map(|check| check.name).collect();
        assert_eq!(names.len(), CHECKS.len());
    }
}
