//! The AWS services that are simulated, and what one call to one of them is.

use privatelink::{AccountId, Region};
use serde::{Deserialize, Serialize};

use crate::AwsError;

/// A simulated AWS service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Api {
    /// EC2: the `ec2` protocol, version 2016-11-15.
    Ec2,
    /// ELBv2: the Query protocol, version 2015-12-01.
    #[serde(rename = "elasticloadbalancing")]
    Elb,
    /// STS: the Query protocol, version 2011-06-15.
    Sts,
    /// SNS: the Query protocol, version 2010-03-31.
    Sns,
    /// SQS: AWS JSON 1.0, version 2012-11-05.
    Sqs,
}

impl Api {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Ec2, Self::Elb, Self::Sts, Self::Sns, Self::Sqs];

    /// The service's name in a credential scope.
    pub fn scope_name(self) -> &'static str {
        match self {
            Self::Ec2 => "ec2",
            Self::Elb => "elasticloadbalancing",
            Self::Sts => "sts",
            Self::Sns => "sns",
            Self::Sqs => "sqs",
        }
    }

    /// The service's name for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Ec2 => "EC2",
            Self::Elb => "ELBv2",
            Self::Sts => "STS",
            Self::Sns => "SNS",
            Self::Sqs => "SQS",
        }
    }

    /// The API version that requests carry.
    pub fn version(self) -> &'static str {
        match self {
            Self::Ec2 => "2016-11-15",
            Self::Elb => "2015-12-01",
            Self::Sts => "2011-06-15",
            Self::Sns => "2010-03-31",
            Self::Sqs => "2012-11-05",
        }
    }

    /// The XML name space of answers. SQS answers in JSON; it is for refusing its old Query protocol.
    pub fn namespace(self) -> &'static str {
        match self {
            Self::Ec2 => "http://ec2.amazonaws.com/doc/2016-11-15/",
            Self::Elb => "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/",
            Self::Sts => "https://sts.amazonaws.com/doc/2011-06-15/",
            Self::Sns => "http://sns.amazonaws.com/doc/2010-03-31/",
            Self::Sqs => "http://queue.amazonaws.com/doc/2012-11-05/",
        }
    }

    /// How this service says that it was called too often.
    pub fn throttled(self) -> AwsError {
        match self {
            Self::Ec2 => {
                AwsError::with_status(503, "RequestLimitExceeded", "Request limit exceeded.")
            }
            Self::Elb | Self::Sts | Self::Sns => AwsError::new("Throttling", "Rate exceeded"),
            Self::Sqs => AwsError::with_status(403, "RequestThrottled", "Rate exceeded"),
        }
    }

    /// How this service says that the caller may not do it.
    pub fn denied(self) -> AwsError {
        let code = match self {
            Self::Ec2 => "UnauthorizedOperation",
            Self::Elb | Self::Sts | Self::Sqs => "AccessDenied",
            Self::Sns => "AuthorizationError",
        };
        AwsError::with_status(
            403,
            code,
            "You are not authorized to perform this operation.",
        )
    }
}

/// One call, as faults and the call log see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The service.
    pub api: Api,
    /// The action.
    pub action: String,
    /// The account that calls.
    pub account: AccountId,
    /// The Region of the call.
    pub region: Region,
    /// The ids of endpoints and services in the request.
    pub ids: Vec<String>,
    /// Whether the request has neither a filter nor a page, which EC2 throttles harder.
    pub unfiltered: bool,
}

impl Call {
    /// Whether the action leaves the world as it is.
    pub fn is_read(&self) -> bool {
        ["Describe", "Get", "List"]
            .iter()
            .any(|verb| self.action.starts_with(verb))
    }
}
