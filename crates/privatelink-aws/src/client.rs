//! One set of SDK clients per account and Region, with its credentials, and the port's trait on top of it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::identity::IdentityCache;
use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_sts::config::SharedIdentityCache;
use privatelink::{
    AccountId, AccountRegionRef, AllowedPrincipal, AvailabilityZone, Connection, ConnectionFilter,
    EndpointService, EndpointServiceChange, GatewayError, Gateways, ItemFailure, Listener,
    ListenerAttributes, LoadBalancer, LoadBalancerArn, LoadBalancerAttributes, Messaging,
    NewEndpointService, Page, PageToken, PrivateLink, Region, ServiceId, ServiceNotification,
    TargetGroup, TargetGroupAttributes, TargetHealth, VpcEndpointId,
};
use tokio::sync::{Mutex, OnceCell};

use crate::messaging::AwsMessaging;
use crate::settings::{AwsSettings, StaticCredentials};
use crate::{connections, endpoint_services, errors, load_balancers};

/// How the sessions of assumed roles are called in the accounts' audit trails.
const SESSION_NAME: &str = "portcullis";

/// How long before the end of a session another one is taken. The SDK's own 10 s are shortened by chance to nearly nothing, and a call that begins
/// with the last moment of a session is refused. Sessions last an hour.
const RENEWED_BEFORE: Duration = Duration::from_mins(5);

/// The SDK's own tries per call. More patience belongs to the worker, which can look before it repeats.
const ATTEMPTS: u32 = 2;

/// Makes gateways to AWS.
#[derive(Debug)]
pub struct AwsGateways {
    settings: AwsSettings,
    /// The process's own configuration, read when first needed. Its cache of credentials serves every gateway.
    own: OnceCell<SdkConfig>,
    made: Mutex<HashMap<AccountRegionRef, Made>>,
}

/// What is made for one place, with one set of credentials between them.
#[derive(Debug, Clone)]
struct Made {
    gateway: Arc<AwsGateway>,
    messaging: Arc<AwsMessaging>,
}

impl AwsGateways {
    /// Makes no request yet, and reads nothing but the machine's certificates.
    pub fn new(settings: AwsSettings) -> Self {
        read_certificates();
        Self {
            settings,
            own: OnceCell::new(),
            made: Mutex::new(HashMap::new()),
        }
    }

    /// The clients for one place, made when first asked for.
    async fn made(&self, place: &AccountRegionRef) -> Made {
        let mut all = self.made.lock().await;
        if let Some(made) = all.get(place) {
            return made.clone();
        }
        let config = self.config(place).await;
        let made = Made {
            gateway: Arc::new(AwsGateway::new(place.region.clone(), &config)),
            messaging: Arc::new(AwsMessaging::new(&config)),
        };
        all.insert(place.clone(), made.clone());
        made
    }

    /// The configuration for one place: its Region, and the credentials to use there.
    async fn config(&self, place: &AccountRegionRef) -> SdkConfig {
        let region = aws_config::Region::new(place.region.as_str().to_owned());
        let own = self
            .own
            .get_or_init(|| load(&self.settings, region.clone()))
            .await;
        let config = own.to_builder().region(region).build();
        let credentials = if let Some(role) = &place.role_arn {
            let mut provider = AssumeRoleProvider::builder(role)
                .session_name(SESSION_NAME)
                // Region included, so that STS is asked in the Region itself and not in us-east-1 for everyone.
                .configure(&config);
            if let Some(external_id) = &place.external_id {
                provider = provider.external_id(external_id);
            }
            Some(SharedCredentialsProvider::new(provider.build().await))
        } else if self.settings.endpoint_url.is_some() && self.settings.static_credentials.is_none()
        {
            let account = StaticCredentials {
                access_key_id: place.account.to_string(),
                secret_access_key: "simulated".to_owned(),
            };
            Some(SharedCredentialsProvider::new(credentials(&account)))
        } else {
            None
        };
        match credentials {
            // A cache of its own: one that all places share keeps 64 sessions and forgets others for every further one.
            Some(credentials) => config
                .into_builder()
                .credentials_provider(credentials)
                .identity_cache(cache())
                .build(),
            None => config,
        }
    }
}

#[async_trait]
impl Gateways for AwsGateways {
    async fn gateway(
        &self,
        place: &AccountRegionRef,
    ) -> Result<Arc<dyn PrivateLink>, GatewayError> {
        Ok(self.made(place).await.gateway)
    }

    async fn messaging(
        &self,
        place: &AccountRegionRef,
    ) -> Result<Arc<dyn Messaging>, GatewayError> {
        Ok(self.made(place).await.messaging)
    }

    async fn forget(&self, place: &AccountRegionRef) {
        // The SDK goes on using a session until the end that STS gave it, also one that was revoked: a new provider asks STS again.
        self.made.lock().await.remove(place);
    }
}

/// Has the machine's certificates read. The first client of a process reads them, and what it found serves for as long as the process lives;
/// so that is done before anybody can have taken every file descriptor, when none could be read.
fn read_certificates() {
    let config = aws_sdk_sts::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(aws_config::Region::from_static("us-east-1"))
        .build();
    drop(aws_sdk_sts::Client::from_conf(config));
}

/// Reads the process's own configuration. Everything that the SDK would otherwise default is said here, so that an upgrade of
/// it changes nothing.
async fn load(settings: &AwsSettings, region: aws_config::Region) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(settings.connect_timeout)
        .operation_attempt_timeout(settings.attempt_timeout)
        .operation_timeout(settings.operation_timeout)
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .region(region)
        .identity_cache(cache())
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(ATTEMPTS)
                .with_initial_backoff(settings.retry_pause),
        )
        .timeout_config(timeouts);
    if let Ok(name) = AppName::new(SESSION_NAME) {
        loader = loader.app_name(name);
    }
    if let Some(url) = &settings.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    if let Some(own) = &settings.static_credentials {
        loader = loader.credentials_provider(credentials(own));
    }
    loader.load().await
}

/// Keeps one place's credentials, and has new ones before the old ones end: at any time in their last [`RENEWED_BEFORE`], by chance, so that many
/// places do not ask STS at once.
fn cache() -> SharedIdentityCache {
    IdentityCache::lazy().buffer_time(RENEWED_BEFORE).build()
}

fn credentials(own: &StaticCredentials) -> Credentials {
    Credentials::new(
        own.access_key_id.as_str(),
        own.secret_access_key.as_str(),
        None,
        None,
        "settings",
    )
}

/// The clients for one account in one Region.
#[derive(Debug)]
pub(crate) struct AwsGateway {
    pub(crate) region: Region,
    pub(crate) ec2: aws_sdk_ec2::Client,
    pub(crate) elb: aws_sdk_elasticloadbalancingv2::Client,
    sts: aws_sdk_sts::Client,
    /// Set when AWS has once refused to filter connections by endpoint id; see [`connections`].
    pub(crate) endpoint_filter_refused: AtomicBool,
}

impl AwsGateway {
    pub(crate) fn new(region: Region, config: &SdkConfig) -> Self {
        Self {
            region,
            ec2: aws_sdk_ec2::Client::new(config),
            elb: aws_sdk_elasticloadbalancingv2::Client::new(config),
            sts: aws_sdk_sts::Client::new(config),
            endpoint_filter_refused: AtomicBool::new(false),
        }
    }
}

#[async_trait]
impl PrivateLink for AwsGateway {
    async fn create_endpoint_service(
        &self,
        new: &NewEndpointService,
    ) -> Result<EndpointService, GatewayError> {
        endpoint_services::create(self, new).await
    }

    async fn modify_endpoint_service(
        &self,
        id: &ServiceId,
        change: &EndpointServiceChange,
    ) -> Result<(), GatewayError> {
        endpoint_services::modify(self, id, change).await
    }

    async fn delete_endpoint_service(
        &self,
        id: &ServiceId,
    ) -> Result<Option<ItemFailure>, GatewayError> {
        endpoint_services::delete(self, id).await
    }

    async fn endpoint_service(&self, id: &ServiceId) -> Result<EndpointService, GatewayError> {
        endpoint_services::read(self, id).await
    }

    async fn endpoint_services(
        &self,
        from: Option<&PageToken>,
    ) -> Result<Page<EndpointService>, GatewayError> {
        endpoint_services::list(self, from).await
    }

    async fn modify_principals(
        &self,
        id: &ServiceId,
        add: &[String],
        remove: &[String],
    ) -> Result<(), GatewayError> {
        endpoint_services::modify_principals(self, id, add, remove).await
    }

    async fn principals(
        &self,
        id: &ServiceId,
        from: Option<&PageToken>,
    ) -> Result<Page<AllowedPrincipal>, GatewayError> {
        endpoint_services::principals(self, id, from).await
    }

    async fn set_service_tags(
        &self,
        id: &ServiceId,
        tags: &[(String, String)],
    ) -> Result<(), GatewayError> {
        endpoint_services::set_tags(self, id, tags).await
    }

    async fn remove_service_tags(
        &self,
        id: &ServiceId,
        keys: &[String],
    ) -> Result<(), GatewayError> {
        endpoint_services::remove_tags(self, id, keys).await
    }

    async fn connections(
        &self,
        filter: &ConnectionFilter,
        from: Option<&PageToken>,
    ) -> Result<Page<Connection>, GatewayError> {
        connections::list(self, filter, from).await
    }

    async fn accept_connections(
        &self,
        id: &ServiceId,
        endpoints: &[VpcEndpointId],
    ) -> Result<Vec<ItemFailure>, GatewayError> {
        connections::accept(self, id, endpoints).await
    }

    async fn reject_connections(
        &self,
        id: &ServiceId,
        endpoints: &[VpcEndpointId],
    ) -> Result<Vec<ItemFailure>, GatewayError> {
        connections::reject(self, id, endpoints).await
    }

    async fn load_balancers(
        &self,
        arns: &[LoadBalancerArn],
    ) -> Result<Vec<LoadBalancer>, GatewayError> {
        load_balancers::read(self, arns).await
    }

    async fn listeners(&self, arn: &LoadBalancerArn) -> Result<Vec<Listener>, GatewayError> {
        load_balancers::listeners(self, arn).await
    }

    async fn target_groups(&self, arn: &LoadBalancerArn) -> Result<Vec<TargetGroup>, GatewayError> {
        load_balancers::target_groups(self, arn).await
    }

    async fn target_health(
        &self,
        target_group_arn: &str,
    ) -> Result<Vec<TargetHealth>, GatewayError> {
        load_balancers::target_health(self, target_group_arn).await
    }

    async fn availability_zones(&self) -> Result<Vec<AvailabilityZone>, GatewayError> {
        load_balancers::availability_zones(self).await
    }

    async fn caller_account(&self) -> Result<AccountId, GatewayError> {
        let caller = self
            .sts
            .get_caller_identity()
            .send()
            .await
            .map_err(|error| errors::from_sdk(&error))?;
        caller
            .account()
            .and_then(|account| account.parse().ok())
            .ok_or_else(|| errors::bad_response("GetCallerIdentity named no account"))
    }

    // What only the doctor asks: attributes and notifications.

    async fn load_balancer_attributes(
        &self,
        arn: &LoadBalancerArn,
    ) -> Result<LoadBalancerAttributes, GatewayError> {
        load_balancers::attributes(self, arn).await
    }

    async fn listener_attributes(
        &self,
        listener_arn: &str,
    ) -> Result<ListenerAttributes, GatewayError> {
        load_balancers::listener_attributes(self, listener_arn).await
    }

    async fn target_group_attributes(
        &self,
        target_group_arn: &str,
    ) -> Result<TargetGroupAttributes, GatewayError> {
        load_balancers::target_group_attributes(self, target_group_arn).await
    }

    async fn service_notifications(
        &self,
        id: &ServiceId,
    ) -> Result<Vec<ServiceNotification>, GatewayError> {
        endpoint_services::notifications(self, id).await
    }

    // The rest of what can be changed about a service.

    async fn start_private_dns_verification(&self, id: &ServiceId) -> Result<(), GatewayError> {
        endpoint_services::start_private_dns_verification(self, id).await
    }

    async fn make_service_owner_pay(&self, id: &ServiceId) -> Result<(), GatewayError> {
        endpoint_services::make_service_owner_pay(self, id).await
    }
}
