//! What the role may not read, and the checks that are unknown then.

use std::time::Duration;

use privatelink_sim::{Effect, Fault};
use sqlx::PgPool;

use super::stage::{Stage, changed, checks};

/// What becomes unknown when the role may not ask, and the IAM action that is named.
const DENIED: &[(&str, &str, &[&str])] = &[
    (
        "elasticloadbalancing",
        "DescribeLoadBalancerAttributes",
        &["deletion_protection unknown"],
    ),
    (
        "elasticloadbalancing",
        "DescribeListeners",
        &[
            "idle_timeout unknown",
            "listener_targets unknown",
            "listeners unknown",
        ],
    ),
    (
        "elasticloadbalancing",
        "DescribeListenerAttributes",
        &["idle_timeout unknown"],
    ),
    (
        "elasticloadbalancing",
        "DescribeTargetGroups",
        &[
            "listener_targets unknown",
            "proxy_protocol unknown",
            "target_health unknown",
            "target_zones unknown",
            "targets_unused unknown",
        ],
    ),
    (
        "elasticloadbalancing",
        "DescribeTargetGroupAttributes",
        &["proxy_protocol unknown"],
    ),
    (
        "elasticloadbalancing",
        "DescribeTargetHealth",
        &[
            "listener_targets unknown",
            "target_health unknown",
            "target_zones unknown",
            "targets_unused unknown",
        ],
    ),
    (
        "ec2",
        "DescribeAvailabilityZones",
        &["zones_known unknown", "zones_served unknown"],
    ),
    (
        "ec2",
        "DescribeVpcEndpointConnectionNotifications",
        &["notifications unknown"],
    ),
];

#[sqlx::test(migrations = "./migrations")]
async fn what_the_role_may_not_read_is_unknown_and_names_the_permission(pool: PgPool) {
    let stage = Stage::sound(pool).await;
    let before = stage.checks().await;
    for (service, action, want) in DENIED {
        let faults = stage.app.sim().faults();
        faults.plan(Fault::always(action, Effect::DenyAction));
        stage.look().await;
        stage.app.sim().faults().clear();
        let diagnosis = stage.diagnosis().await;
        assert_eq!(
            &changed(&before, &checks(&diagnosis)),
            want,
            "{action}: {diagnosis:#}"
        );
        assert_eq!(diagnosis["status"], "unknown", "{action}");
        for check in diagnosis["checks"].as_array().unwrap() {
            if check["status"] == "unknown" {
                let permission = format!("{service}:{action}");
                for part in ["cause", "evidence", "fix"] {
                    let text = check[part].as_str().unwrap();
                    assert!(text.contains(&permission), "{part}: {text}");
                }
            }
        }
        // A permission that was given back shows at the next look, asked for or not.
        stage.app.advance(Duration::from_mins(6));
        stage.app.run_worker().await;
        assert_eq!(
            changed(&before, &stage.checks().await),
            [""; 0],
            "{action}, allowed"
        );
    }
}
