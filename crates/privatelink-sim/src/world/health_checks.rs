//! The health checks of target groups: settings only, since there is no traffic to check.

use serde::{Deserialize, Serialize};

use super::load_balancers::{invalid, one_of, validation};
use crate::AwsError;

/// A health check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// `TCP`, `HTTP` or `HTTPS`.
    pub protocol: String,
    /// `traffic-port` or a number.
    pub port: String,
    /// What HTTP checks ask for.
    pub path: Option<String>,
    /// The HTTP status codes that are a success, such as `200-399`.
    pub matcher: Option<String>,
    /// Seconds between checks, 5 to 300.
    pub interval_seconds: u32,
    /// Seconds until a check fails, 2 to 120.
    pub timeout_seconds: u32,
    /// Successes that make a target healthy, 2 to 10.
    pub healthy_threshold: u32,
    /// Failures that make a target unhealthy, 2 to 10.
    pub unhealthy_threshold: u32,
}

impl Default for HealthCheck {
    /// AWS's defaults for the target groups of Network Load Balancers.
    fn default() -> Self {
        Self {
            protocol: "TCP".to_owned(),
            port: "traffic-port".to_owned(),
            path: None,
            matcher: None,
            interval_seconds: 30,
            timeout_seconds: 10,
            healthy_threshold: 5,
            unhealthy_threshold: 2,
        }
    }
}

/// What a request says about a health check. What is missing stays, or has AWS's default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HealthCheckChange {
    /// Health checks can only be enabled: those of instances and addresses always are.
    pub enabled: Option<bool>,
    /// The protocol.
    pub protocol: Option<String>,
    /// The port.
    pub port: Option<String>,
    /// The path.
    pub path: Option<String>,
    /// The status codes.
    pub matcher: Option<String>,
    /// The interval.
    pub interval_seconds: Option<u32>,
    /// The timeout.
    pub timeout_seconds: Option<u32>,
    /// Successes.
    pub healthy_threshold: Option<u32>,
    /// Failures.
    pub unhealthy_threshold: Option<u32>,
}

impl HealthCheck {
    /// The health check of a new target group.
    pub(super) fn chosen(wish: &HealthCheckChange) -> Result<Self, AwsError> {
        let mut start = Self::default();
        if wish.protocol.as_deref() == Some("HTTP") {
            start.timeout_seconds = 6;
        }
        start.changed(wish)
    }

    /// The health check after a change, if it keeps AWS's rules.
    pub(super) fn changed(&self, change: &HealthCheckChange) -> Result<Self, AwsError> {
        if change.enabled == Some(false) {
            return Err(validation(
                "Health check enabled must be true for this target type",
            ));
        }
        let mut new = self.clone();
        if let Some(protocol) = &change.protocol {
            let allowed = ["TCP", "HTTP", "HTTPS"];
            new.protocol = one_of(Some(protocol.clone()), &allowed, "HealthCheckProtocol")?;
        }
        if let Some(port) = &change.port {
            let number = port.parse::<u16>().is_ok_and(|port| port > 0);
            if port != "traffic-port" && !number {
                return Err(validation(&format!(
                    "Health check port '{port}' is not valid"
                )));
            }
            new.port.clone_from(port);
        }
        if new.protocol == "TCP" {
            if change.path.is_some() || change.matcher.is_some() {
                return Err(invalid(
                    "A health check path and a matcher are for HTTP and HTTPS health checks",
                ));
            }
            (new.path, new.matcher) = (None, None);
        } else {
            let path = change.path.clone().or(new.path);
            new.path = Some(path.unwrap_or_else(|| "/".to_owned()));
            let matcher = change.matcher.clone().or(new.matcher);
            new.matcher = Some(matcher.unwrap_or_else(|| "200-399".to_owned()));
        }
        if new
            .path
            .as_ref()
            .is_some_and(|p| !p.starts_with('/') || p.len() > 1024)
        {
            return Err(validation("A health check path begins with a slash"));
        }
        if new.matcher.as_ref().is_some_and(|codes| !are_codes(codes)) {
            return Err(validation(
                "A matcher has HTTP status codes from 200 to 599",
            ));
        }
        for (field, wish, (least, most), name) in [
            (
                &mut new.interval_seconds,
                change.interval_seconds,
                (5, 300),
                "interval",
            ),
            (
                &mut new.timeout_seconds,
                change.timeout_seconds,
                (2, 120),
                "timeout",
            ),
            (
                &mut new.healthy_threshold,
                change.healthy_threshold,
                (2, 10),
                "threshold",
            ),
            (
                &mut new.unhealthy_threshold,
                change.unhealthy_threshold,
                (2, 10),
                "threshold",
            ),
        ] {
            if let Some(value) = wish {
                if !(least..=most).contains(&value) {
                    return Err(validation(&format!(
                        "Health check {name} '{value}' must be between {least} and {most}"
                    )));
                }
                *field = value;
            }
        }
        if new.timeout_seconds > new.interval_seconds {
            if change.timeout_seconds.is_some() {
                return Err(validation(
                    "Health check timeout must not be larger than the health check interval",
                ));
            }
            // A shorter interval shortens a timeout that nobody chose.
            new.timeout_seconds = new.interval_seconds;
        }
        Ok(new)
    }
}

/// `200`, `200-399` or `200,302`.
fn are_codes(text: &str) -> bool {
    let code = |text: &str| text.parse::<u16>().ok().filter(|c| (200..=599).contains(c));
    text.split(',').all(|part| match part.split_once('-') {
        Some((first, last)) => {
            matches!((code(first), code(last)), (Some(first), Some(last)) if first <= last)
        }
        None => code(part).is_some(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_follow_the_protocol() {
        let http = HealthCheckChange {
            protocol: Some("HTTP".into()),
            ..HealthCheckChange::default()
        };
        let check = HealthCheck::chosen(&http).unwrap();
        assert_eq!(check.timeout_seconds, 6);
        assert_eq!(check.path.as_deref(), Some("/"));
        assert_eq!(check.matcher.as_deref(), Some("200-399"));
        let tcp = HealthCheckChange {
            protocol: Some("TCP".into()),
            ..HealthCheckChange::default()
        };
        assert_eq!(check.changed(&tcp).unwrap().path, None);
    }

    #[test]
    fn values_outside_awss_ranges_are_refused() {
        let none = HealthCheckChange::default;
        for bad in [
            HealthCheckChange {
                enabled: Some(false),
                ..none()
            },
            HealthCheckChange {
                protocol: Some("UDP".into()),
                ..none()
            },
            HealthCheckChange {
                port: Some("0".into()),
                ..none()
            },
            HealthCheckChange {
                path: Some("/up".into()),
                ..none()
            },
            HealthCheckChange {
                interval_seconds: Some(4),
                ..none()
            },
            HealthCheckChange {
                timeout_seconds: Some(31),
                ..none()
            },
            HealthCheckChange {
                timeout_seconds: Some(1),
                ..none()
            },
            HealthCheckChange {
                healthy_threshold: Some(11),
                ..none()
            },
            HealthCheckChange {
                unhealthy_threshold: Some(1),
                ..none()
            },
            HealthCheckChange {
                protocol: Some("HTTP".into()),
                matcher: Some("100-200".into()),
                ..none()
            },
        ] {
            assert!(HealthCheck::chosen(&bad).is_err(), "{bad:?}");
        }
    }
}
