//! Checks about allowed principals and what they permit.

use crate::AllowedPrincipal;

use super::steps::{During, a_service, all_principals, ensure, ensure_complete, ensure_fails};
use super::{CheckResult, ContractWorld};

/// Principals come and go, and are listed as they were written.
pub(super) async fn principals_are_added_listed_and_removed(
    world: &dyn ContractWorld,
) -> CheckResult {
    let gateway = world.gateway();
    let id = a_service(world).await?.service_id;
    let stays = AllowedPrincipal::account_root(&world.consumer());
    let goes = "arn:aws:iam::999900001111:root".to_owned();
    gateway
        .modify_principals(&id, &[stays.clone(), goes.clone()], &[])
        .await
        .during("adding principals")?;
    let (rows, _) = all_principals(&*gateway, &id).await?;
    let listed: Vec<String> = rows.into_iter().map(|row| row.principal).collect();
    ensure_complete(&listed, &[stays.clone(), goes.clone()], "principals")?;

    gateway
        .modify_principals(&id, &[], &[goes])
        .await
        .during("removing a principal")?;
    let (rows, _) = all_principals(&*gateway, &id).await?;
    let listed: Vec<String> = rows.into_iter().map(|row| row.principal).collect();
    ensure!(
        listed == [stays.clone()],
        "only {stays} should be left: {listed:?}"
    );
    Ok(())
}

/// One bad principal spoils the call, and nothing of it is done.
pub(super) async fn a_principal_that_aws_does_not_take_changes_nothing(
    world: &dyn ContractWorld,
) -> CheckResult {
    let gateway = world.gateway();
    let id = a_service(world).await?.service_id;
    let good = AllowedPrincipal::account_root(&world.consumer());
    for bad in [
        "arn:aws:iam::999900001111:role/team/edge",
        "arn:aws:sts::999900001111:assumed-role/edge/me",
    ] {
        let attempt = gateway
            .modify_principals(&id, &[good.clone(), bad.to_owned()], &[])
            .await;
        ensure_fails(attempt, "invalid", "adding a bad principal")?;
    }
    let (rows, _) = all_principals(&*gateway, &id).await?;
    ensure!(rows.is_empty(), "nothing should be allowed: {rows:?}");
    Ok(())
}

/// Rows are on some page, once, however small the pages are.
pub(super) async fn listing_principals_takes_several_pages_and_misses_none(
    world: &dyn ContractWorld,
) -> CheckResult {
    let gateway = world.gateway();
    let id = a_service(world).await?.service_id;
    let wanted: Vec<String> = (0..=2 * world.page_size())
        .map(|n| format!("arn:aws:iam::{:012}:root", 700_000_000_000_usize + n))
        .collect();
    gateway
        .modify_principals(&id, &wanted, &[])
        .await
        .during("adding principals")?;
    let (rows, pages) = all_principals(&*gateway, &id).await?;
    ensure!(pages >= 3, "the world should have forced pages: {pages}");
    let listed: Vec<String> = rows.into_iter().map(|row| row.principal).collect();
    ensure_complete(&listed, &wanted, "principals")
}

/// To the stranger the service does not exist; to the invited it does.
pub(super) async fn an_endpoint_without_permission_is_refused(
    world: &dyn ContractWorld,
) -> CheckResult {
    let gateway = world.gateway();
    let service = a_service(world).await?;
    match world.create_endpoint(&service.service_name).await {
        Ok(endpoint) => return Err(format!("a stranger could create {endpoint}")),
        Err(refusal) => ensure!(
            refusal.code == "InvalidServiceName",
            "a stranger should be told that the name is unknown: {refusal}"
        ),
    }
    let principal = AllowedPrincipal::account_root(&world.consumer());
    gateway
        .modify_principals(&service.service_id, &[principal], &[])
        .await
        .during("allowing the consumer")?;
    world.settle().await?;
    world
        .create_endpoint(&service.service_name)
        .await
        .during("creating an endpoint with permission")?;
    Ok(())
}
