//! What can be set about SNS messages.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::topic::TopicArn;

/// The hooks.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HookSettings {
    /// What SNS posts to `/hooks/sns`.
    pub sns: SnsSettings,
}

/// What SNS posts to `/hooks/sns`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SnsSettings {
    /// Topics that are listened to, by ARN, besides those that Portcullis set up itself.
    pub topics: Vec<String>,
    /// Whether signatures of version 1, SHA-1 with RSA, are taken. SNS signs with them unless the topic's `SignatureVersion` is 2.
    pub allow_signature_v1: bool,
    /// How far a message's time may be from ours.
    #[serde(with = "humantime_serde")]
    pub replay_window: Duration,
    /// The most messages that are handled at once; more are told to come again.
    pub max_concurrent: usize,
    /// How long a body may take to arrive.
    #[serde(with = "humantime_serde")]
    pub body_timeout: Duration,
    /// How long AWS may take to give a certificate or to confirm a subscription.
    #[serde(with = "humantime_serde")]
    pub fetch_timeout: Duration,
    /// Certificates in PEM that are trusted besides the public authorities.
    pub extra_root_file: Option<PathBuf>,
    /// Where AWS's SNS is reached instead of at its own address: the simulator. Only together with `aws.endpoint_url`.
    pub resolve_to: Option<String>,
}

impl Default for SnsSettings {
    fn default() -> Self {
        Self {
            topics: Vec::new(),
            allow_signature_v1: false,
            replay_window: Duration::from_hours(1),
            max_concurrent: 128,
            body_timeout: Duration::from_secs(3),
            fetch_timeout: Duration::from_secs(4),
            extra_root_file: None,
            resolve_to: None,
        }
    }
}

/// The longest that a certificate may take: SNS waits 15 s for the whole answer.
const LONGEST_FETCH: Duration = Duration::from_secs(5);

impl SnsSettings {
    /// What is wrong with the settings, all of it.
    pub fn problems(&self, simulated: bool) -> Vec<String> {
        let mut problems = Vec::new();
        for topic in &self.topics {
            if topic.parse::<TopicArn>().is_err() {
                problems.push(format!(
                    "hooks.sns.topics: {topic:?} is not the ARN of an SNS topic"
                ));
            }
        }
        let day = Duration::from_hours(24);
        if !(Duration::from_mins(1)..=day).contains(&self.replay_window) {
            problems.push("hooks.sns.replay_window must be between 1m and 24h".to_owned());
        }
        if self.max_concurrent == 0 || self.max_concurrent > 10_000 {
            problems.push("hooks.sns.max_concurrent must be between 1 and 10000".to_owned());
        }
        if self.body_timeout.is_zero() {
            problems.push("hooks.sns.body_timeout must be more than nothing".to_owned());
        }
        if self.fetch_timeout.is_zero() || self.fetch_timeout > LONGEST_FETCH {
            problems.push(
                "hooks.sns.fetch_timeout must be more than nothing and at most 5s".to_owned(),
            );
        }
        if let Some(origin) = &self.resolve_to {
            if !simulated {
                problems.push(
                    "hooks.sns.resolve_to is for the simulator: it needs aws.endpoint_url"
                        .to_owned(),
                );
            }
            let host = origin
                .strip_prefix("http://")
                .or_else(|| origin.strip_prefix("https://"));
            if host.is_none_or(|host| host.is_empty() || host.contains(['/', '?', '#', '@'])) {
                problems.push(
                    "hooks.sns.resolve_to must be an origin such as http://127.0.0.1:4600"
                        .to_owned(),
                );
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_is_named() {
        let wrong = SnsSettings {
            topics: vec!["portcullis-connections".to_owned()],
            replay_window: Duration::from_secs(1),
            max_concurrent: 0,
            fetch_timeout: Duration::from_secs(14),
            resolve_to: Some("127.0.0.1:4600/".to_owned()),
            ..SnsSettings::default()
        };
        let problems = wrong.problems(false);
        for key in [
            "topics",
            "replay_window",
            "max_concurrent",
            "fetch_timeout",
            "needs aws.endpoint_url",
            "must be an origin",
        ] {
            let named = problems.iter().filter(|p| p.contains(key)).count();
            assert_eq!(named, 1, "{key}: {problems:?}");
        }
        assert!(SnsSettings::default().problems(false).is_empty());
    }

    #[test]
    fn the_simulator_is_resolved_to_only_where_all_of_aws_is_simulated() {
        let settings = SnsSettings {
            resolve_to: Some("http://127.0.0.1:4600".to_owned()),
            ..SnsSettings::default()
        };
        assert!(settings.problems(true).is_empty());
        assert_eq!(settings.problems(false).len(), 1);
    }
}
