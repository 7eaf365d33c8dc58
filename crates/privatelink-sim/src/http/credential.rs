//! Who a request says it is from. Whether it is true is the matter of [`super::signature`].

use actix_web::HttpRequest;
use actix_web::http::header::AUTHORIZATION;
use privatelink::Region;

use super::signature::Signed;
use crate::AwsError;
use crate::api::Api;
use crate::wire::form::Node;

/// The credential scope of a `SigV4` request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Credential {
    pub(super) access_key: String,
    pub(super) region: Region,
    pub(super) api: Api,
    pub(super) signed: Signed,
}

/// Reads the scope from the header, or from the query of a presigned URL.
pub(super) fn read(request: &HttpRequest, form: &Node) -> Result<Credential, AwsError> {
    let header = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let query = form
        .children
        .get("X-Amz-Credential")
        .and_then(|node| node.value.as_deref());
    let value = |name: &str| {
        let node = form.children.get(name);
        node.and_then(|node| node.value.clone())
    };
    let text = |name: &str| {
        let value = request.headers().get(name)?;
        value.to_str().ok().map(str::to_owned)
    };
    let scope = match (header, query) {
        (Some(header), _) => header
            .strip_prefix("AWS4-HMAC-SHA256")
            .and_then(|rest| rest.split_once("Credential="))
            .map(|(_, rest)| rest.split([',', ' ']).next().unwrap_or_default())
            .ok_or_else(|| unreadable("The Authorization header is not AWS Signature Version 4"))?,
        (None, Some(query)) => query,
        (None, None) => {
            return Err(AwsError::with_status(
                401,
                "MissingAuthenticationToken",
                "The request must contain a signature: its credential scope says who calls what, and where",
            ));
        }
    };
    let mut credential = parse(scope)?;
    let day = std::mem::take(&mut credential.signed.day);
    let names = |text: &str| text.split(';').map(str::to_lowercase).collect();
    credential.signed = if let Some(header) = header {
        let part = |name: &str| {
            let (_, rest) = header.split_once(&format!("{name}="))?;
            rest.split([',', ' ']).next()
        };
        Signed {
            day,
            headers: part("SignedHeaders").map(names).unwrap_or_default(),
            signature: part("Signature").unwrap_or_default().to_owned(),
            time: text("x-amz-date"),
            session_token: text("x-amz-security-token"),
            expires: None,
            presigned: false,
        }
    } else {
        Signed {
            day,
            headers: value("X-Amz-SignedHeaders")
                .map(|text| names(&text))
                .unwrap_or_default(),
            signature: value("X-Amz-Signature").unwrap_or_default(),
            time: value("X-Amz-Date"),
            session_token: value("X-Amz-Security-Token"),
            expires: value("X-Amz-Expires"),
            presigned: true,
        }
    };
    Ok(credential)
}

/// Who follows a link that SNS sent: nobody, with an empty access key. Only the two actions that such links name need no signature.
pub(super) fn of_link(form: &Node) -> Option<Credential> {
    let value = |name: &str| form.children.get(name)?.value.as_deref();
    let arn = match value("Action")? {
        "ConfirmSubscription" => value("TopicArn")?,
        "Unsubscribe" => value("SubscriptionArn")?,
        _ => return None,
    };
    Some(Credential {
        access_key: String::new(),
        region: arn.split(':').nth(3)?.parse().ok()?,
        api: Api::Sns,
        signed: Signed::default(),
    })
}

/// `ACCESS_KEY/DATE/REGION/SERVICE/aws4_request`.
fn parse(scope: &str) -> Result<Credential, AwsError> {
    let parts: Vec<&str> = scope.split('/').collect();
    let [access_key, day, region, service, "aws4_request"] = parts.as_slice() else {
        return Err(unreadable("The credential scope has not five parts"));
    };
    let region = region
        .parse()
        .map_err(|_| unreadable("Credential should be scoped to a valid region"))?;
    let api = Api::ALL
        .into_iter()
        .find(|api| api.scope_name() == *service)
        .ok_or_else(|| {
            let shown: String = service.chars().take(64).collect();
            AwsError::new(
                "InvalidAction",
                format!("The AWS service '{shown}' is not simulated. GET /_sim/actions lists those that are"),
            )
        })?;
    Ok(Credential {
        access_key: (*access_key).to_owned(),
        region,
        api,
        signed: Signed {
            day: (*day).to_owned(),
            ..Signed::default()
        },
    })
}

/// The API a request without a readable scope is probably for, so that the refusal has a shape its client can read.
pub(super) fn guess(form: &Node) -> Api {
    let version = form
        .children
        .get("Version")
        .and_then(|node| node.value.as_deref());
    Api::ALL
        .into_iter()
        .find(|api| Some(api.version()) == version)
        .unwrap_or(Api::Ec2)
}

fn unreadable(why: &str) -> AwsError {
    AwsError::with_status(401, "AuthFailure", why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scope_says_who_where_and_what() {
        let read =
            parse("123456789012/20260101/eu-west-1/elasticloadbalancing/aws4_request").unwrap();
        assert_eq!(read.access_key, "123456789012");
        assert_eq!(read.region.as_str(), "eu-west-1");
        assert_eq!(read.api, Api::Elb);
    }

    #[test]
    fn other_scopes_are_refused() {
        for (scope, code) in [
            ("", "AuthFailure"),
            ("a/b/c", "AuthFailure"),
            ("a/20260101/nowhere/ec2/aws4_request", "AuthFailure"),
            ("a/20260101/eu-west-1/lambda/aws4_request", "InvalidAction"),
        ] {
            assert_eq!(parse(scope).unwrap_err().code, code, "{scope}");
        }
    }
}
