use std::collections::BTreeMap;

use chrono::DateTime;
use privatelink::ServiceState;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::*;
use crate::domain::endpoint_service::ServiceSync;
use crate::domain::endpoint_service::WantedName;
use crate::domain::ids::{AccountRegionId, EndpointServiceId};
use crate::domain::sync::SyncState;

const PRINCIPALS: &[&str] = &["*", "a", "b", "c"];
const TYPES: &[&str] = &["ipv4", "ipv6"];
const REGIONS: &[&str] = &["us-east-1", "eu-north-1"];
const KEYS: &[&str] = &["Name", "team", "stage"];

fn some(of: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    subsequence(of, 0..=of.len()).prop_map(|all| all.into_iter().map(str::to_owned).collect())
}

fn arns() -> impl Strategy<Value = Vec<LoadBalancerArn>> {
    let arn = |name: &str| {
        format!("arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/net/{name}/0123456789abcdef")
            .parse()
            .unwrap()
    };
    subsequence(&["one", "two"][..], 1..=2)
        .prop_map(move |names| names.into_iter().map(arn).collect())
}

fn tags() -> impl Strategy<Value = BTreeMap<String, String>> {
    let value = select(&["x", "y"][..]).prop_map(str::to_owned);
    proptest::collection::btree_map(select(KEYS).prop_map(str::to_owned), value, 0..3)
}

prop_compose! {
    fn any_service()(
        created in any::<bool>(),
        acceptance_required in any::<bool>(),
        load_balancer_arns in arns(),
        allowed_principals in some(PRINCIPALS),
        types in proptest::option::of(some(TYPES)),
        regions in proptest::option::of(some(REGIONS)),
        tags in tags(),
    ) -> RegisteredService {
        let at = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        RegisteredService {
            id: EndpointServiceId::new(at),
            account_region_id: AccountRegionId::new(at),
            account: "111122223333".parse().unwrap(),
            region: "eu-west-1".parse().unwrap(),
            name: "x".to_owned(),
            origin: if created { Origin::Created } else { Origin::Adopted },
            acceptance_required,
            load_balancer_arns,
            granted_principals: allowed_principals.clone(),
            allowed_principals,
            supported_ip_address_types: types,
            supported_regions: regions,
            set_tag_keys: tags.keys().cloned().collect(),
            tags,
            open_to_everybody: false,
            version: 3,
            applied_version: 3,
            aws_service_id: "vpce-svc-0123456789abcdef0".parse().ok(),
            service_name: None,
            observed: None,
            checks: None,
            sync: ServiceSync { state: SyncState::Idle, due_at: at, attempts: 0, code: None, message: None },
            created_at: at,
            created_by: "sam".to_owned(),
            check_requested_at: None,
            stall: None,
            dropped_load_balancer_arns: Vec::new(),
            listeners_may_differ: false,
            refresh_zones_at: None,
            private_dns_name: WantedName::AsItIs,
            service_owner_pays: false,
            private_dns: None,
            waiting: Vec::new(),
            lifecycle: crate::domain::lifecycle::Lifecycle::default(),
        }
    }
}

prop_compose! {
    fn any_shown()(
        acceptance_required in any::<bool>(),
        network_load_balancer_arns in arns(),
        supported_ip_address_types in some(TYPES),
        supported_regions in some(REGIONS),
        tags in tags(),
    ) -> EndpointService {
        EndpointService {
            service_id: "vpce-svc-0123456789abcdef0".parse().unwrap(),
            service_name: "com.amazonaws.vpce.eu-west-1.vpce-svc-0123456789abcdef0".to_owned(),
            state: ServiceState::Available,
            acceptance_required,
            network_load_balancer_arns,
            availability_zones: Vec::new(),
            availability_zone_ids: Vec::new(),
            supported_ip_address_types,
            supported_regions,
            remote_regions: Vec::new(),
            payer_responsibility: None,
            base_endpoint_dns_names: Vec::new(),
            private_dns_name: None,
            tags: tags.into_iter().collect(),
        }
    }
}

fn reconfigured(found: &[Found]) -> Option<&Found> {
    found
        .iter()
        .find(|f| f.kind == DriftKind::ServiceReconfigured)
}

/// A service exactly as it is desired.
fn obedient(service: &RegisteredService) -> (EndpointService, Vec<String>) {
    let shown = EndpointService {
        service_id: service.aws_service_id.clone().unwrap(),
        service_name: String::new(),
        state: ServiceState::Available,
        acceptance_required: service.acceptance_required,
        network_load_balancer_arns: service.load_balancer_arns.iter().rev().cloned().collect(),
        availability_zones: Vec::new(),
        availability_zone_ids: Vec::new(),
        supported_ip_address_types: service
            .supported_ip_address_types
            .clone()
            .unwrap_or_default(),
        supported_regions: service.supported_regions.clone().unwrap_or_default(),
        remote_regions: Vec::new(),
        payer_responsibility: None,
        base_endpoint_dns_names: Vec::new(),
        private_dns_name: None,
        tags: crate::domain::service_plan::tags(service)
            .into_iter()
            .rev()
            .collect(),
    };
    (
        shown,
        service.allowed_principals.iter().rev().cloned().collect(),
    )
}

proptest! {
    #[test]
    fn a_service_that_is_as_desired_has_no_drift(service in any_service()) {
        let (shown, principals) = obedient(&service);
        prop_assert_eq!(of_service(&service, &shown, &principals), Vec::new());
    }

    /// Whatever AWS shows, adopting it leaves nothing to disagree about but principals that are not ours.
    #[test]
    fn what_was_adopted_differs_no_more(
        service in any_service(), shown in any_shown(), principals in some(PRINCIPALS),
    ) {
        let unknown = |of: &RegisteredService| {
            let found = of_service(of, &shown, &principals);
            found.into_iter().filter(|f| f.kind == DriftKind::UnknownPrincipal).count()
        };
        let before = unknown(&service);
        if let Ok(adopted) = adopted(service.clone(), &shown, &principals) {
            let found = of_service(&adopted, &shown, &principals);
            prop_assert_eq!(reconfigured(&found), None);
            prop_assert_eq!(unknown(&adopted), before);
            let ours = |p: &String| adopted.allowed_principals.contains(p);
            prop_assert!(adopted.granted_principals.iter().all(ours));
        } else {
            // What a service that we created always carries.
            prop_assert_eq!(service.origin, Origin::Created);
        }
    }

    /// The plan has a step wherever there is a difference that the sync can mend, and none where there is none.
    #[test]
    fn drift_is_what_the_plan_would_mend(
        service in any_service(), shown in any_shown(), principals in some(PRINCIPALS),
    ) {
        let found = of_service(&service, &shown, &principals);
        let steps = crate::domain::service_plan::plan(
            &Desired::of(&service), &Seen::of(&shown, &principals)).steps;
        let differs = reconfigured(&found).is_some();
        if revertible(&service, &shown, &principals).is_ok() {
            prop_assert_eq!(differs, !steps.is_empty());
        } else {
            prop_assert!(differs);
        }
    }
}
