//! What EC2 asks of every request: a version, what a dry run says, what a client token remembers.

use super::wire_tests::{inside, serve};
use crate::Behavior;

const PROVIDER: &str = "111111111111";

#[actix_web::test]
async fn a_dry_run_is_tried_on_a_copy_and_changes_nothing() {
    let served = serve();
    let (id, _) = served.service().await;
    let form =
        format!("Action=DeleteVpcEndpointServiceConfigurations&ServiceId.1={id}&DryRun=true");
    let (status, text) = served.ec2(PROVIDER, &form).await;
    assert_eq!(
        (status, inside(&text, "Code")),
        (412, "DryRunOperation".to_owned())
    );
    let describe = format!("Action=DescribeVpcEndpointServiceConfigurations&ServiceId.1={id}");
    let (_, text) = served.ec2(PROVIDER, &describe).await;
    assert_eq!(inside(&text, "serviceState"), "Available");
    let gone = "Action=StartVpcEndpointServicePrivateDnsVerification\
                &ServiceId=vpce-svc-00000000000000000&DryRun=true";
    let behavior = Behavior {
        dry_run_tries: false,
        ..Behavior::default()
    };
    served.simulator.set_behavior(behavior).unwrap();
    let (status, _) = served.ec2(PROVIDER, gone).await;
    assert_eq!(status, 412);
    let (_, text) = served.ec2(PROVIDER, &gone.replace("svc-0", "svc-x")).await;
    assert!(inside(&text, "Code").ends_with(".Malformed"));
}

#[actix_web::test]
async fn ec2_needs_a_version() {
    let served = serve();
    let form = b"Action=DescribeVpcs".to_vec();
    let (status, text) = served.raw(PROVIDER, "ec2", form).await;
    assert_eq!(
        (status, inside(&text, "Code")),
        (400, "MissingParameter".to_owned())
    );
    assert!(inside(&text, "Message").contains("Version"), "{text}");
    assert_eq!(served.ec2(PROVIDER, "Action=DescribeVpcs").await.0, 200);
}

#[actix_web::test]
async fn a_client_token_remembers_what_was_left_out() {
    let served = serve();
    let setup = served
        .simulator
        .provider_setup(PROVIDER.parse().unwrap(), "eu-west-1".parse().unwrap());
    let lb = setup.ready_load_balancer("edge").unwrap();
    let short = format!(
        "Action=CreateVpcEndpointServiceConfiguration&ClientToken=t&NetworkLoadBalancerArn.1={lb}"
    );
    let long = format!("{short}&AcceptanceRequired=true");
    let (status, made) = served.ec2(PROVIDER, &short).await;
    assert_eq!(status, 200, "{made}");
    let (_, again) = served.ec2(PROVIDER, &short).await;
    assert_eq!(inside(&again, "serviceId"), inside(&made, "serviceId"));
    let (_, refused) = served.ec2(PROVIDER, &long).await;
    assert_eq!(inside(&refused, "Code"), "IdempotentParameterMismatch");
    let behavior = Behavior {
        client_token_as_sent: false,
        ..Behavior::default()
    };
    served.simulator.set_behavior(behavior).unwrap();
    let lb = setup.ready_load_balancer("other").unwrap();
    let short = format!(
        "Action=CreateVpcEndpointServiceConfiguration&ClientToken=u&NetworkLoadBalancerArn.1={lb}"
    );
    for form in [short.clone(), format!("{short}&AcceptanceRequired=true")] {
        assert_eq!(served.ec2(PROVIDER, &form).await.0, 200);
    }
}
