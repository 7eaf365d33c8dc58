//! Whether AWS tells anybody what happens to a service's connections.

use privatelink::ServiceNotification;

use super::catalogue::CheckName;
use super::check::{Check, listed};
use super::facts::Read;

pub(super) fn present(read: &Read<Vec<ServiceNotification>>) -> Check {
    let name = CheckName::Notifications;
    let Some(all) = read.told() else {
        return Check::unread(name, read);
    };
    if all.is_empty() {
        return Check::warn(name, "there is none");
    }
    let enabled: Vec<_> = all.iter().filter(|n| n.enabled).collect();
    if enabled.is_empty() {
        return Check::warn(
            name,
            "AWS has switched it off, because it could not publish",
        )
        .with_fix("let vpce.amazonaws.com publish to the topic, then make the notification anew");
    }
    let told = |event: &&&str| {
        let mut events = enabled.iter().flat_map(|n| &n.events);
        events.any(|e| e == **event)
    };
    let missing: Vec<_> = ServiceNotification::EVENTS
        .iter()
        .filter(|e| !told(e))
        .collect();
    if missing.is_empty() {
        let topics = enabled.iter().map(|n| n.topic_arn.as_str());
        Check::pass(name, format!("published to {}", listed(topics)))
    } else {
        Check::warn(name, format!("nothing is published of {}", listed(missing)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::doctor::CheckStatus::{Unknown, Warn};
    use crate::domain::doctor::testing::{Broken, notification, table};

    #[test]
    fn each_thing_that_breaks_changes_its_own_check() {
        use CheckName as N;
        let broken: &[Broken] = &[
            (N::Notifications, Warn, |f| notification(f).enabled = false),
            (N::Notifications, Warn, |f| {
                notification(f).events.truncate(3);
            }),
            (N::Notifications, Warn, |f| {
                f.notifications = Read::Told {
                    at: chrono::DateTime::UNIX_EPOCH,
                    value: Vec::new(),
                };
            }),
            (N::Notifications, Unknown, |f| {
                f.notifications = Read::denied("ec2:DescribeVpcEndpointConnectionNotifications");
            }),
        ];
        table(broken);
    }
}
