//! An error in AWS's own words: what the wire writes and what the in-process gateway sorts.
//!
//! The codes are strings on purpose. The simulator must be able to answer with any code AWS has, and with codes AWS has
//! not, so an enum would only be a second list to keep.

use serde::{Deserialize, Serialize};

/// A refusal as AWS would send it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{code}: {message}")]
pub struct AwsError {
    /// The AWS error code, such as `InvalidVpcEndpointServiceId.NotFound`.
    pub code: String,
    /// The text for people.
    pub message: String,
    /// The HTTP status that goes with the code.
    pub status: u16,
}

impl AwsError {
    /// A client error with HTTP 400, which is what nearly all EC2 refusals are.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::with_status(400, code, message)
    }

    /// An error with a status of its own.
    pub fn with_status(status: u16, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            status,
        }
    }

    /// The answer to something AWS has and the simulator has not: never a silent success.
    pub fn not_modelled(what: &str) -> Self {
        Self::new(
            "UnsupportedOperation",
            format!("{what} is not modelled by the simulator"),
        )
    }

    /// `MissingParameter`, with AWS's sentence.
    pub fn missing(parameter: &str) -> Self {
        Self::new(
            "MissingParameter",
            format!("The request must contain the parameter {parameter}"),
        )
    }

    /// `InvalidParameterValue`.
    pub fn bad_value(parameter: &str, value: &str) -> Self {
        let shown: String = value.chars().take(128).collect();
        Self::new(
            "InvalidParameterValue",
            format!("Value ({shown}) for parameter {parameter} is invalid"),
        )
    }

    /// Whether the work may have been done although the answer is an error.
    pub fn is_server_side(&self) -> bool {
        self.status >= 500 && self.code != "RequestLimitExceeded"
    }
}

/// One entry of an `Unsuccessful` list inside an HTTP 200.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsuccessful {
    /// The id that failed.
    pub resource_id: String,
    /// Why.
    pub error: AwsError,
}
