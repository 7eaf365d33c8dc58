//! Delivery policies: how often and when an HTTP(S) delivery that failed is tried again.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::topics::invalid;
use crate::AwsError;

/// All retries of a message together may take no longer than this; AWS lets nobody raise it.
pub(crate) const LONGEST_CYCLE_MS: u64 = 3_600_000;

/// How delays grow between the first and the last retry of the backoff phase. AWS names the four curves without their
/// formulas; these are the simulator's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backoff {
    /// By equal steps.
    #[default]
    Linear,
    /// By steps that grow evenly.
    Arithmetic,
    /// By equal factors.
    Geometric,
    /// By doubling steps.
    Exponential,
}

/// When a failed delivery is tried again; delays in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct RetryPolicy {
    /// The first delay of the backoff phase, 1 to the largest.
    pub min_delay_target: u32,
    /// The last delay of the backoff phase, to 3,600.
    pub max_delay_target: u32,
    /// All retries, 0 to 100.
    pub num_retries: u32,
    /// Retries at the end, at the largest delay.
    pub num_max_delay_retries: u32,
    /// Retries at once.
    pub num_no_delay_retries: u32,
    /// Retries after those, at the smallest delay.
    pub num_min_delay_retries: u32,
    /// How the delay grows in between.
    pub backoff_function: Backoff,
}

impl Default for RetryPolicy {
    /// SNS's own: three retries, 20 seconds apart.
    fn default() -> Self {
        Self {
            min_delay_target: 20,
            max_delay_target: 20,
            num_retries: 3,
            num_max_delay_retries: 0,
            num_no_delay_retries: 0,
            num_min_delay_retries: 0,
            backoff_function: Backoff::Linear,
        }
    }
}

impl RetryPolicy {
    /// Milliseconds before a retry, which are counted from one; `None` after the last.
    pub fn delay_ms(&self, retry: u32) -> Option<u64> {
        let (none, least) = (self.num_no_delay_retries, self.num_min_delay_retries);
        let backoff = self
            .num_retries
            .saturating_sub(none + least + self.num_max_delay_retries);
        let (low, high) = (
            f64::from(self.min_delay_target),
            f64::from(self.max_delay_target),
        );
        let seconds = if retry == 0 || retry > self.num_retries {
            return None;
        } else if retry <= none {
            0.0
        } else if retry <= none + least {
            low
        } else if retry > none + least + backoff {
            high
        } else {
            let step = f64::from(retry - none - least - 1);
            let steps = f64::from(backoff.saturating_sub(1).max(1));
            let way = match self.backoff_function {
                Backoff::Linear => step / steps,
                Backoff::Arithmetic => step * (step + 1.0) / (steps * (steps + 1.0)),
                Backoff::Geometric => {
                    ((high / low).powf(step / steps) - 1.0) / (high / low - 1.0).max(f64::EPSILON)
                }
                Backoff::Exponential => (step.exp2() - 1.0) / (steps.exp2() - 1.0),
            };
            low + (high - low) * way
        };
        let ms = std::time::Duration::from_secs_f64(seconds.max(0.0)).as_millis();
        u64::try_from(ms).ok()
    }

    fn check(&self) -> Result<(), AwsError> {
        let bad = |why: &str| Err(invalid(&format!("DeliveryPolicy: {why}")));
        let phases = [
            self.num_no_delay_retries,
            self.num_min_delay_retries,
            self.num_max_delay_retries,
        ];
        if self.num_retries > 100 {
            return bad("numRetries must be between 0 and 100");
        }
        if phases.iter().any(|phase| *phase > 100) || phases.iter().sum::<u32>() > self.num_retries
        {
            return bad("numRetries must be at least the sum of the retries of all phases");
        }
        if self.min_delay_target == 0 || self.min_delay_target > self.max_delay_target {
            return bad("minDelayTarget must be between 1 and maxDelayTarget");
        }
        if self.max_delay_target > 3_600 {
            return bad("maxDelayTarget must be at most 3600");
        }
        let all: u64 = (1..=self.num_retries)
            .filter_map(|n| self.delay_ms(n))
            .sum();
        if all > LONGEST_CYCLE_MS {
            return bad("the retries must not take more than 3600 seconds in all");
        }
        Ok(())
    }
}

/// A delivery policy as it is in force.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryPolicy {
    /// When to try again; `None` leaves it to the topic, or to SNS.
    pub retries: Option<RetryPolicy>,
    /// The `Content-Type` of notifications, when it is not SNS's own.
    pub content_type: Option<String>,
    /// Whether a topic lets no subscription have a policy of its own.
    pub overrides: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RequestPolicy {
    header_content_type: Option<String>,
}

/// Reads the policy of a subscription.
pub(crate) fn of_subscription(text: &str) -> Result<DeliveryPolicy, AwsError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Written {
        healthy_retry_policy: Option<RetryPolicy>,
        sickly_retry_policy: Option<Value>,
        throttle_policy: Option<Value>,
        request_policy: Option<RequestPolicy>,
        #[serde(default)]
        guaranteed: bool,
    }
    let written: Written = read(text)?;
    if written.guaranteed {
        return Err(AwsError::not_modelled("guaranteed in a delivery policy"));
    }
    policy(
        written.healthy_retry_policy,
        &[written.sickly_retry_policy, written.throttle_policy],
        written.request_policy,
        false,
    )
}

/// Reads the policy of a topic.
pub(crate) fn of_topic(text: &str) -> Result<DeliveryPolicy, AwsError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Written {
        http: Http,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Http {
        default_healthy_retry_policy: Option<RetryPolicy>,
        default_sickly_retry_policy: Option<Value>,
        default_throttle_policy: Option<Value>,
        default_request_policy: Option<RequestPolicy>,
        #[serde(default)]
        disable_subscription_overrides: bool,
    }
    let Written { http } = read(text)?;
    policy(
        http.default_healthy_retry_policy,
        &[
            http.default_sickly_retry_policy,
            http.default_throttle_policy,
        ],
        http.default_request_policy,
        http.disable_subscription_overrides,
    )
}

fn read<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, AwsError> {
    serde_json::from_str(text).map_err(|error| {
        invalid(&format!(
            "DeliveryPolicy: malformed, or not modelled by the simulator: {error}"
        ))
    })
}

fn policy(
    retries: Option<RetryPolicy>,
    not_modelled: &[Option<Value>; 2],
    request: Option<RequestPolicy>,
    overrides: bool,
) -> Result<DeliveryPolicy, AwsError> {
    if not_modelled.iter().any(Option::is_some) {
        return Err(AwsError::not_modelled(
            "A sickly retry policy or a throttle policy of a delivery policy",
        ));
    }
    if let Some(retries) = &retries {
        retries.check()?;
    }
    let content_type = request.and_then(|request| request.header_content_type);
    let known = |kind: &String| CONTENT_TYPES.contains(&kind.as_str());
    if content_type.as_ref().is_some_and(|kind| !known(kind)) {
        return Err(invalid("DeliveryPolicy: headerContentType"));
    }
    Ok(DeliveryPolicy {
        retries,
        content_type,
        overrides,
    })
}

/// The content types that SNS lets a subscriber choose.
const CONTENT_TYPES: [&str; 12] = [
    "application/atom+xml",
    "application/json",
    "application/octet-stream",
    "application/soap+xml",
    "application/x-www-form-urlencoded",
    "application/xhtml+xml",
    "application/xml",
    "text/css",
    "text/csv",
    "text/html",
    "text/plain",
    "text/xml",
];

/// The policy in force for a subscription: its own, else the topic's, else SNS's.
pub(crate) fn effective(
    topic: Option<&DeliveryPolicy>,
    own: Option<&DeliveryPolicy>,
) -> (RetryPolicy, Option<String>) {
    let own = own.filter(|_| !topic.is_some_and(|topic| topic.overrides));
    let retries = own
        .and_then(|policy| policy.retries.clone())
        .or_else(|| topic.and_then(|policy| policy.retries.clone()));
    let content_type = own
        .and_then(|policy| policy.content_type.clone())
        .or_else(|| topic.and_then(|policy| policy.content_type.clone()));
    (retries.unwrap_or_default(), content_type)
}

/// A topic's policy in force, as `EffectiveDeliveryPolicy` shows it.
pub(crate) fn show_topic(policy: Option<&DeliveryPolicy>) -> String {
    let (retries, content_type) = effective(policy, None);
    let content_type = content_type.unwrap_or_else(|| PLAIN.to_owned());
    json!({"http": {
        "defaultHealthyRetryPolicy": retries,
        "disableSubscriptionOverrides": policy.is_some_and(|policy| policy.overrides),
        "defaultRequestPolicy": {"headerContentType": content_type},
    }})
    .to_string()
}

/// A subscription's policy in force, as `EffectiveDeliveryPolicy` shows it.
pub(crate) fn show_subscription(
    topic: Option<&DeliveryPolicy>,
    own: Option<&DeliveryPolicy>,
) -> String {
    let (retries, content_type) = effective(topic, own);
    json!({
        "healthyRetryPolicy": retries,
        "sicklyRetryPolicy": null,
        "throttlePolicy": null,
        "requestPolicy": {"headerContentType": content_type.unwrap_or_else(|| PLAIN.to_owned())},
        "guaranteed": false,
    })
    .to_string()
}

/// The content type that SNS sends unless a delivery policy says otherwise.
pub(crate) const PLAIN: &str = "text/plain; charset=UTF-8";

#[cfg(test)]
mod tests {
    use super::*;

    fn delays(text: &str) -> Vec<u64> {
        let policy = of_subscription(text).unwrap().retries.unwrap();
        (1..).map_while(|n| policy.delay_ms(n)).collect()
    }

    #[test]
    fn there_are_three_retries_twenty_seconds_apart_unless_a_policy_says_otherwise() {
        assert_eq!(delays(r#"{"healthyRetryPolicy": {}}"#), [20_000; 3]);
    }

    #[test]
    fn the_phases_follow_each_other() {
        let phases = |curve: &str| {
            delays(&format!(
                r#"{{"healthyRetryPolicy": {{"numRetries": 8, "numNoDelayRetries": 1, "numMinDelayRetries": 2,
                    "numMaxDelayRetries": 1, "minDelayTarget": 10, "maxDelayTarget": 40,
                    "backoffFunction": "{curve}"}}}}"#
            ))
        };
        let linear = [0, 10_000, 10_000, 10_000, 20_000, 30_000, 40_000, 40_000];
        assert_eq!(phases("linear"), linear);
        for curve in ["arithmetic", "geometric", "exponential"] {
            let delays = phases(curve);
            assert_eq!((delays[3], delays[6], delays[7]), (10_000, 40_000, 40_000));
            assert!(
                delays[4] < linear[4] && delays[4] > 10_000,
                "{curve} starts slowly"
            );
        }
    }

    #[test]
    fn policies_beyond_the_limits_are_refused() {
        for (policy, code) in [
            (r#"{"numRetries": 101}"#, "InvalidParameter"),
            (
                r#"{"numRetries": 2, "numNoDelayRetries": 3}"#,
                "InvalidParameter",
            ),
            (r#"{"minDelayTarget": 30}"#, "InvalidParameter"),
            (r#"{"maxDelayTarget": 3601}"#, "InvalidParameter"),
            (
                r#"{"numRetries": 100, "minDelayTarget": 60, "maxDelayTarget": 60}"#,
                "InvalidParameter",
            ),
            (r#"{"surprise": 1}"#, "InvalidParameter"),
        ] {
            let text = format!(r#"{{"healthyRetryPolicy": {policy}}}"#);
            assert_eq!(of_subscription(&text).unwrap_err().code, code, "{policy}");
        }
        let text = r#"{"throttlePolicy": {"maxReceivesPerSecond": 5}}"#;
        assert_eq!(
            of_subscription(text).unwrap_err().code,
            "UnsupportedOperation"
        );
    }

    #[test]
    fn a_topic_may_forbid_its_subscriptions_a_policy_of_their_own() {
        let topic = of_topic(
            r#"{"http": {"defaultHealthyRetryPolicy": {"numRetries": 1}, "disableSubscriptionOverrides": true}}"#,
        );
        let own = of_subscription(r#"{"healthyRetryPolicy": {"numRetries": 7}}"#).unwrap();
        let (retries, _) = effective(Some(&topic.unwrap()), Some(&own));
        assert_eq!(retries.num_retries, 1);
        assert_eq!(effective(None, Some(&own)).0.num_retries, 7);
    }
}
