//! An SNS topic by its ARN, and what follows from it: where its Region's SNS is and what the signing certificate may be called.

use std::fmt;
use std::str::FromStr;

use privatelink::{AccountId, Region};

/// What Portcullis calls the topics that it makes for connection notifications.
pub const OWN_TOPIC: &str = "portcullis-connections";

/// The ARN of a topic: `arn:aws:sns:REGION:ACCOUNT:NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicArn {
    text: String,
    partition: Partition,
    region: Region,
    account: AccountId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Partition {
    Aws,
    China,
    GovCloud,
}

impl Partition {
    /// The partition of that name; no Region of one partition is in another.
    fn of(name: &str, region: &str) -> Option<Self> {
        let (china, gov) = (region.starts_with("cn-"), region.starts_with("us-gov-"));
        match name {
            "aws" if !china && !gov => Some(Self::Aws),
            "aws-cn" if china => Some(Self::China),
            "aws-us-gov" if gov => Some(Self::GovCloud),
            _ => None,
        }
    }

    fn suffix(self) -> &'static str {
        match self {
            Self::Aws | Self::GovCloud => "amazonaws.com",
            Self::China => "amazonaws.com.cn",
        }
    }
}

/// What is not the ARN of a topic that can post to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the ARN of an SNS topic in a partition that is known here")]
pub struct NoTopic;

impl FromStr for TopicArn {
    type Err = NoTopic;

    fn from_str(text: &str) -> Result<Self, NoTopic> {
        if text.len() > 512 {
            return Err(NoTopic);
        }
        let mut parts = text.split(':');
        let mut next = || parts.next().ok_or(NoTopic);
        let (arn, partition, service) = (next()?, next()?, next()?);
        let (region, account, name) = (next()?, next()?, next()?);
        // A FIFO topic ends in `.fifo`; it posts to no URL.
        let named = (1..=256).contains(&name.len())
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if (arn, service) != ("arn", "sns") || !named || parts.next().is_some() {
            return Err(NoTopic);
        }
        Ok(Self {
            text: text.to_owned(),
            partition: Partition::of(partition, region).ok_or(NoTopic)?,
            region: region.parse().map_err(|_| NoTopic)?,
            account: account.parse().map_err(|_| NoTopic)?,
        })
    }
}

impl TopicArn {
    /// The ARN as AWS writes it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its account.
    pub fn account(&self) -> &AccountId {
        &self.account
    }

    /// Its Region.
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.text.rsplit(':').next().unwrap_or_default()
    }

    /// The host of SNS in its Region.
    pub fn host(&self) -> String {
        format!("sns.{}.{}", self.region, self.partition.suffix())
    }

    /// The DNS names that the certificate of its Region's SNS may have. Most Regions share one; Regions that have to be opted into, China and
    /// `GovCloud` have their own, and AWS's SDK for Java has the same list.
    pub fn signer_names(&self) -> Vec<String> {
        let (region, suffix) = (&self.region, self.partition.suffix());
        let mut names = vec![
            self.host(),
            format!("sns-signing.{region}.{suffix}"),
            format!("sns-{region}.{suffix}"),
        ];
        match self.partition {
            Partition::Aws => names.push("sns.amazonaws.com".to_owned()),
            // One certificate signs for both Regions of GovCloud.
            Partition::GovCloud => names.push("sns-us-gov-west-1.amazonaws.com".to_owned()),
            Partition::China => {}
        }
        names
    }
}

impl fmt::Display for TopicArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(text: &str) -> TopicArn {
        text.parse().unwrap()
    }

    #[test]
    fn a_topic_tells_its_account_region_name_and_host() {
        let topic = topic("arn:aws:sns:eu-west-1:111122223333:portcullis-connections");
        assert_eq!(topic.account().as_str(), "111122223333");
        assert_eq!(topic.region().as_str(), "eu-west-1");
        assert_eq!(topic.name(), OWN_TOPIC);
        assert_eq!(topic.host(), "sns.eu-west-1.amazonaws.com");
    }

    #[test]
    fn partitions_have_hosts_and_signers_of_their_own() {
        let china = topic("arn:aws-cn:sns:cn-north-1:111122223333:t");
        assert_eq!(china.host(), "sns.cn-north-1.amazonaws.com.cn");
        assert!(
            china
                .signer_names()
                .iter()
                .all(|n| n.ends_with(".amazonaws.com.cn"))
        );
        let gov = topic("arn:aws-us-gov:sns:us-gov-east-1:111122223333:t");
        assert_eq!(gov.host(), "sns.us-gov-east-1.amazonaws.com");
        assert!(
            gov.signer_names()
                .contains(&"sns-us-gov-west-1.amazonaws.com".to_owned())
        );
        let opted = topic("arn:aws:sns:af-south-1:111122223333:t").signer_names();
        assert!(opted.contains(&"sns-signing.af-south-1.amazonaws.com".to_owned()));
    }

    #[test]
    fn what_is_no_topic_is_refused() {
        for bad in [
            "",
            "arn",
            "arn:aws:sns:eu-west-1:111122223333",
            "arn:aws:sns:eu-west-1:111122223333:",
            "arn:aws:sqs:eu-west-1:111122223333:t",
            "arn:aws:sns:eu-west-1:1111:t",
            "arn:aws:sns:eu-west-1.evil.example/:111122223333:t",
            "arn:aws:sns:cn-north-1:111122223333:t",
            "arn:aws-cn:sns:eu-west-1:111122223333:t",
            "arn:aws-mars:sns:eu-west-1:111122223333:t",
            "arn:aws:sns:eu-west-1:111122223333:t:subscription",
            "arn:aws:sns:eu-west-1:111122223333:t.fifo",
            "ARN:aws:sns:eu-west-1:111122223333:t",
        ] {
            assert!(bad.parse::<TopicArn>().is_err(), "{bad:?}");
        }
    }
}
