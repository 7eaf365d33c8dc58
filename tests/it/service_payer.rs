//! Who pays for the endpoints: the owner can take it over, and never gives it back.

use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{TestApp, Who};
use privatelink_sim::{Effect, Fault};

const PAY: &str = "ModifyVpcEndpointServicePayerResponsibility";

#[sqlx::test(migrations = "./migrations")]
async fn the_owner_pays_once_that_is_confirmed_and_for_ever(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let asked = json!({ "payer_responsibility": "ServiceOwner" });
    let refused = app.try_to_change(&service, &asked).await;
    refused.refused("unconfirmed", 409, "confirmation_required");
    let wrong =
        json!({ "payer_responsibility": "EndpointOwner", "confirm_payer_irreversible": true });
    app.try_to_change(&service, &wrong)
        .await
        .refused("another payer", 400, "invalid_request");
    // Nobody asked for anything that would have to be undone.
    let nothing = json!({ "payer_responsibility": null });
    app.change(&service, &nothing).await;
    app.run_until_rest().await;
    assert_eq!(app.sim().calls().of(PAY).len(), 0);

    let meant =
        json!({ "payer_responsibility": "ServiceOwner", "confirm_payer_irreversible": true });
    let shown = app.change(&service, &meant).await;
    assert_eq!(shown["payer_responsibility"], "ServiceOwner");
    assert_eq!(shown["observed"]["payer_responsibility"], Value::Null);
    assert_eq!(
        shown["differences"],
        json!([{ "step": "make_owner_pay", "values": [] }])
    );
    app.run_until_rest().await;
    let shown = app.service(&service.id).await;
    assert_eq!(shown["observed"]["payer_responsibility"], "ServiceOwner");
    assert_eq!(shown["differences"], json!([]));
    assert_eq!(app.sim().calls().of(PAY).len(), 1);

    for confirmed in [false, true] {
        let back = json!({ "payer_responsibility": null, "confirm_payer_irreversible": confirmed });
        app.try_to_change(&service, &back)
            .await
            .refused("back again", 409, "payer_irreversible");
    }
    // To say it again is no news and takes no confirmation.
    app.change(&service, &asked).await;
    app.run_until_rest().await;
    assert_eq!(app.sim().calls().of(PAY).len(), 1);
}

/// Whoever made the owner pay: it is as final.
#[sqlx::test(migrations = "./migrations")]
async fn what_the_console_decided_cannot_be_undone_either(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    app.console()
        .make_service_owner_pay(&service.aws_id)
        .await
        .unwrap();
    app.change(&service, &json!({ "name": "read again" })).await;
    app.run_until_rest().await;
    let shown = app.service(&service.id).await;
    assert_eq!(shown["observed"]["payer_responsibility"], "ServiceOwner");
    let back = json!({ "payer_responsibility": null });
    app.try_to_change(&service, &back)
        .await
        .refused("not ours to undo", 409, "payer_irreversible");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_payer_that_aws_will_not_take_now_is_tried_again_or_shown(pool: PgPool) {
    let app = TestApp::start(pool);
    let code = || "InternalError".to_owned();
    app.add_account_region().await;
    for (index, (effect, stalls)) in [
        (Effect::Throttle, false),
        (
            Effect::ErrorBefore {
                status: 500,
                code: code(),
            },
            false,
        ),
        (
            Effect::ErrorAfter {
                status: 500,
                code: code(),
            },
            false,
        ),
        (Effect::DropAnswer, false),
        (Effect::DenyAction, true),
    ]
    .into_iter()
    .enumerate()
    {
        let what = format!("{effect:?}");
        let service = app.created_service(&format!("edge-{index}")).await;
        app.sim().faults().plan(Fault::once(PAY, effect));
        let meant =
            json!({ "payer_responsibility": "ServiceOwner", "confirm_payer_irreversible": true });
        app.change(&service, &meant).await;
        app.run_until_rest().await;
        let shown = app.service(&service.id).await;
        assert_eq!(
            shown["sync"]["state"] == "stalled",
            stalls,
            "{what}: {shown}"
        );
        if stalls {
            assert_eq!(shown["sync"]["code"], "UnauthorizedOperation");
            let path = format!("/v1/services/{}/retry-sync", service.id);
            app.post(Who::Admin, &path, &json!({})).await.good();
            app.run_until_rest().await;
        }
        let seen = app.in_aws(&service).await;
        assert_eq!(
            seen.payer_responsibility.as_deref(),
            Some("ServiceOwner"),
            "{what}"
        );
        assert_eq!(
            app.service(&service.id).await["sync"]["state"],
            "idle",
            "{what}"
        );
    }
}
