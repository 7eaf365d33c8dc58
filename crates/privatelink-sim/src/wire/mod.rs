//! The wire: forms in, XML out, one module per simulated AWS service. SQS alone speaks JSON as well.
//!
//! An action's module reads its parameters, refuses what it does not know, asks the world and writes the answer's inside.
//! The frames around answers and errors, which differ by protocol, are in [`frame`].

pub mod ec2;
pub mod elb;
pub mod form;
pub mod frame;
pub mod params;
pub mod sns;
pub mod sqs;
pub mod sts;
pub mod xml;

use chrono::{DateTime, SecondsFormat, Utc};

use crate::AwsError;
use crate::api::Api;
use crate::world::{Caller, World};
use params::Params;

/// The hosted zone that the DNS entries of endpoints show.
pub const HOSTED_ZONE: &str = "Z38GZ743OKFT7T";

/// Does an action and writes the inside of its answer.
pub fn answer(
    api: Api,
    action: &str,
    world: &mut World,
    me: &Caller,
    params: &Params<'_>,
) -> Result<String, AwsError> {
    match api {
        Api::Ec2 => ec2::answer(action, world, me, params),
        Api::Elb => elb::answer(action, world, me, params),
        Api::Sts => sts::answer(action, world, me, params),
        Api::Sns => sns::answer(action, world, me, params),
        // SQS may wait, which this cannot: both of its protocols go by `sqs::answer`.
        Api::Sqs => Err(unknown_action(api, action)),
    }
}

/// Every action of a service that is simulated, in the order of the alphabet.
pub fn actions(api: Api) -> Vec<&'static str> {
    let mut names: Vec<_> = match api {
        Api::Ec2 => ec2::actions().collect(),
        Api::Elb => elb::actions().collect(),
        Api::Sts => sts::actions().collect(),
        Api::Sns => sns::actions().collect(),
        Api::Sqs => sqs::actions().collect(),
    };
    names.sort_unstable();
    names
}

/// Whether an action is simulated.
pub(crate) fn knows(api: Api, action: &str) -> bool {
    match api {
        Api::Ec2 => ec2::actions().any(|name| name == action),
        Api::Elb => elb::actions().any(|name| name == action),
        Api::Sts => sts::actions().any(|name| name == action),
        Api::Sns => sns::actions().any(|name| name == action),
        Api::Sqs => sqs::actions().any(|name| name == action),
    }
}

/// The answer to an action that is not simulated, be it one of AWS's or nobody's.
pub(crate) fn unknown_action(api: Api, action: &str) -> AwsError {
    let shown: String = action.chars().take(128).collect();
    AwsError::new(
        "InvalidAction",
        format!(
            "The action {shown} of {} is not simulated. GET /_sim/actions lists those that are",
            api.title()
        ),
    )
}

/// A time as AWS writes it.
pub(crate) fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}
