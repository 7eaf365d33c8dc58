//! What stands around an answer: roots, name spaces, request ids and errors. The Rust SDK refuses an answer whose root is not
//! exactly `{Action}Response`.

use super::xml::Xml;
use crate::AwsError;
use crate::api::Api;

/// A whole answer around its inside.
pub fn success(api: Api, action: &str, request_id: &str, inside: &str) -> String {
    let root = format!("{action}Response");
    Xml::document(&root, Some(api.namespace()), |xml| match api {
        Api::Ec2 => {
            xml.leaf("requestId", request_id);
            xml.raw(inside);
        }
        Api::Elb | Api::Sts | Api::Sns | Api::Sqs => {
            xml.node(&format!("{action}Result"), |xml| xml.raw(inside));
            xml.node("ResponseMetadata", |xml| xml.leaf("RequestId", request_id));
        }
    })
}

/// A whole error answer. EC2 and the Query services disagree about its shape and about the spelling of the request id.
pub fn error(api: Api, request_id: &str, error: &AwsError) -> String {
    match api {
        Api::Ec2 => Xml::document("Response", None, |xml| {
            xml.node("Errors", |xml| {
                xml.node("Error", |xml| {
                    xml.leaf("Code", &error.code);
                    xml.leaf("Message", &error.message);
                });
            });
            xml.leaf("RequestID", request_id);
        }),
        Api::Elb | Api::Sts | Api::Sns | Api::Sqs => {
            Xml::document("ErrorResponse", Some(api.namespace()), |xml| {
                xml.node("Error", |xml| {
                    let side = if error.status < 500 {
                        "Sender"
                    } else {
                        "Receiver"
                    };
                    xml.leaf("Type", side);
                    xml.leaf("Code", &error.code);
                    xml.leaf("Message", &error.message);
                });
                xml.leaf("RequestId", request_id);
            })
        }
    }
}
