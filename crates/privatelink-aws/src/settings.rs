//! How the adapter reaches AWS, in plain values.

use std::fmt;
use std::time::Duration;

/// How to reach AWS, the same for every account and Region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsSettings {
    /// Where EC2, ELBv2, SNS, SQS and STS are, instead of AWS's own addresses: one URL for all of them and every Region, as the
    /// simulator has it. `None` is AWS.
    ///
    /// With an URL, without a role and without static credentials, the adapter signs with the account id as access key id,
    /// which is how the simulator knows whose call it is.
    pub endpoint_url: Option<String>,
    /// The process's own credentials. `None` looks for them where the SDKs do: environment, profile, container, instance.
    pub static_credentials: Option<StaticCredentials>,
    /// The longest time to make a connection.
    pub connect_timeout: Duration,
    /// The longest time for one try, from sending to the last byte of the answer.
    pub attempt_timeout: Duration,
    /// The longest time for a call with its second try. A receive may take as much longer as it waits for a message.
    pub operation_timeout: Duration,
    /// The longest pause before the second try; jitter makes it shorter.
    pub retry_pause: Duration,
}

impl Default for AwsSettings {
    /// AWS itself, credentials as the SDKs find them, and times that suit a worker: 3 s, 15 s, 30 s and 200 ms.
    fn default() -> Self {
        Self {
            endpoint_url: None,
            static_credentials: None,
            connect_timeout: Duration::from_secs(3),
            attempt_timeout: Duration::from_secs(15),
            operation_timeout: Duration::from_secs(30),
            retry_pause: Duration::from_millis(200),
        }
    }
}

/// An access key. Never printed whole: `Debug` leaves the secret out.
#[derive(Clone, PartialEq, Eq)]
pub struct StaticCredentials {
    /// The access key id.
    pub access_key_id: String,
    /// The secret that belongs to it.
    pub secret_access_key: String,
}

impl fmt::Debug for StaticCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticCredentials")
            .field("access_key_id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_is_not_printed() {
        let settings = AwsSettings {
            static_credentials: Some(StaticCredentials {
                access_key_id: "AKIDEXAMPLE".to_owned(),
                secret_access_key: "tell-nobody".to_owned(),
            }),
            ..AwsSettings::default()
        };
        let printed = format!("{settings:?}");
        assert!(printed.contains("AKIDEXAMPLE"), "{printed}");
        assert!(!printed.contains("tell-nobody"), "{printed}");
    }
}
