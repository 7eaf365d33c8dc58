//! AWS Signature Version 4: whether a request is really from whom it says.
//!
//! The signature is computed anew where the simulator knows the secret, as AWS does for everybody. What needs no secret is looked at in
//! any case: that every signed header came along, and that a presigned URL is not too old by the simulated clock.

use actix_web::HttpRequest;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};

use super::credential::Credential;
use crate::api::Api;
use crate::behavior::SignatureCheck;
use crate::{AwsError, Simulator};

/// What keys of 12 digits are signed with where everybody's signature is checked.
pub const WELL_KNOWN_SECRET: &str = "privatelink-sim-secret";

/// How far the time of a signature may be from the present.
const SKEW: TimeDelta = TimeDelta::minutes(15);

/// A presigned URL is good for no longer, in seconds.
const LONGEST_EXPIRY: i64 = 604_800;

/// What a signature says besides who and where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Signed {
    /// The day in the credential scope.
    pub(super) day: String,
    /// The names of the headers that are signed.
    pub(super) headers: Vec<String>,
    pub(super) signature: String,
    /// `YYYYMMDDTHHMMSSZ`.
    pub(super) time: Option<String>,
    pub(super) session_token: Option<String>,
    /// Seconds that a presigned URL is good for; `None` for a signature in the header.
    pub(super) expires: Option<String>,
    pub(super) presigned: bool,
}

/// Checks what can be checked.
pub(super) fn check(
    request: &HttpRequest,
    simulator: &Simulator,
    credential: &Credential,
    payload: &[u8],
) -> Result<(), AwsError> {
    let (mode, key) = {
        let world = simulator.world();
        let key = world.key(&credential.access_key).cloned();
        (world.behavior.check_signatures, key)
    };
    // Links that SNS sent are not signed.
    if mode == SignatureCheck::None || credential.access_key.is_empty() {
        return Ok(());
    }
    let signed = &credential.signed;
    if let Some(missing) = signed
        .headers
        .iter()
        .find(|name| !request.headers().contains_key(name.as_str()))
    {
        let shown: String = missing.chars().take(64).collect();
        return Err(mismatch(&format!(
            "The signed header '{shown}' is not in the request."
        )));
    }
    let now = simulator.clock().now();
    if signed.presigned {
        check_presigned(credential, now)?;
    }
    let secret = match key {
        Some(key) => {
            if key.session_token != signed.session_token && key.secret.is_some() {
                return Err(invalid_key());
            }
            key.secret
        }
        None if mode == SignatureCheck::All && is_account(&credential.access_key) => {
            Some(WELL_KNOWN_SECRET.to_owned())
        }
        None if mode == SignatureCheck::All => return Err(invalid_key()),
        None => None,
    };
    let Some(secret) = secret else {
        return Ok(());
    };
    let time = signed.time.as_deref().unwrap_or_default();
    let at = parse_time(time).ok_or_else(|| incomplete("'X-Amz-Date'"))?;
    if !signed.presigned && simulator.clock().is_far(at, SKEW) {
        return Err(expired(credential.api, time, now));
    }
    if !time.starts_with(&signed.day) || signed.day.len() != 8 {
        return Err(mismatch(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP.",
        ));
    }
    if !signed.headers.iter().any(|name| name == "host") {
        return Err(mismatch(
            "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
        ));
    }
    let canonical = canonical_request(request, signed, payload);
    let expected = sign(&secret, credential, time, &canonical);
    let given = unhex(&signed.signature).unwrap_or_default();
    if aws_lc_rs::constant_time::verify_slices_are_equal(expected.as_ref(), &given).is_err() {
        return Err(mismatch(
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
             Access Key and signing method.",
        ));
    }
    Ok(())
}

fn is_account(key: &str) -> bool {
    key.len() == 12 && key.bytes().all(|byte| byte.is_ascii_digit())
}

fn check_presigned(credential: &Credential, now: DateTime<Utc>) -> Result<(), AwsError> {
    let signed = &credential.signed;
    let time = signed.time.as_deref().unwrap_or_default();
    let at = parse_time(time).ok_or_else(|| incomplete("'X-Amz-Date'"))?;
    let expires = signed.expires.as_deref().unwrap_or_default();
    let expires: i64 = expires
        .parse()
        .ok()
        .filter(|seconds| (1..=LONGEST_EXPIRY).contains(seconds))
        .ok_or_else(|| incomplete("'X-Amz-Expires' of 1 to 604800 seconds"))?;
    if signed.headers.is_empty() || signed.signature.is_empty() {
        return Err(incomplete("'X-Amz-SignedHeaders' and 'X-Amz-Signature'"));
    }
    let end = TimeDelta::try_seconds(expires).and_then(|by| at.checked_add_signed(by));
    if end.is_none_or(|end| end < now) {
        return Err(expired(credential.api, time, now));
    }
    if at - now > SKEW {
        return Err(mismatch(&format!(
            "Signature not yet current: {time} is still later than {}.",
            written(now + SKEW)
        )));
    }
    Ok(())
}

/// The request as both sides sign it.
fn canonical_request(request: &HttpRequest, signed: &Signed, payload: &[u8]) -> String {
    let path: Vec<String> = request
        .uri()
        .path()
        .split('/')
        .map(|part| encode(part.as_bytes()))
        .collect();
    let mut names = signed.headers.clone();
    names.sort();
    let mut headers = String::new();
    for name in &names {
        let values = request.headers().get_all(name.as_str());
        let values: Vec<String> = values
            .map(|value| {
                let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
                text.split_whitespace().collect::<Vec<_>>().join(" ")
            })
            .collect();
        headers.extend([name.as_str(), ":", &values.join(","), "\n"]);
    }
    [
        request.method().as_str(),
        &path.join("/"),
        &canonical_query(request.query_string()),
        &headers,
        &names.join(";"),
        &hex(digest(&SHA256, payload).as_ref()),
    ]
    .join("\n")
}

fn canonical_query(query: &str) -> String {
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (encode(&decode(name)), encode(&decode(value)))
        })
        .filter(|(name, _)| name != "X-Amz-Signature")
        .collect();
    pairs.sort();
    let pairs: Vec<String> = pairs
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join("&")
}

fn sign(secret: &str, credential: &Credential, time: &str, canonical: &str) -> hmac::Tag {
    let (day, region) = (&credential.signed.day, credential.region.as_str());
    let service = credential.api.scope_name();
    let hash = hex(digest(&SHA256, canonical.as_bytes()).as_ref());
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{day}/{region}/{service}/aws4_request\n{hash}");
    let mac = |key: &[u8], text: &str| {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
    };
    let mut key = mac(format!("AWS4{secret}").as_bytes(), day);
    for part in [region, service, "aws4_request"] {
        key = mac(key.as_ref(), part);
    }
    mac(key.as_ref(), &text)
}

fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    let time = NaiveDateTime::parse_from_str(text, "%Y%m%dT%H%M%SZ").ok()?;
    Some(time.and_utc())
}

fn written(at: DateTime<Utc>) -> String {
    at.format("%Y%m%dT%H%M%SZ").to_string()
}

fn expired(api: Api, time: &str, now: DateTime<Utc>) -> AwsError {
    if api == Api::Ec2 {
        return AwsError::new("RequestExpired", "Request has expired.");
    }
    let shown: String = time.chars().take(32).collect();
    mismatch(&format!(
        "Signature expired: {shown} is now earlier than {}, or its own end is over.",
        written(now - SKEW)
    ))
}

fn mismatch(why: &str) -> AwsError {
    AwsError::with_status(403, "SignatureDoesNotMatch", why)
}

fn invalid_key() -> AwsError {
    let why = "The security token included in the request is invalid.";
    AwsError::with_status(403, "InvalidClientTokenId", why)
}

fn incomplete(what: &str) -> AwsError {
    AwsError::new("IncompleteSignature", format!("The request needs {what}."))
}

fn decode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        let escaped = tail.get(..2).filter(|_| byte == b'%');
        let escaped = escaped.and_then(|two| std::str::from_utf8(two).ok());
        if let Some(code) = escaped.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            bytes.push(code);
            rest = tail.get(2..).unwrap_or_default();
        } else {
            bytes.push(if byte == b'+' { b' ' } else { byte });
        }
    }
    bytes
}

fn encode(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(bytes.len());
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            out.push(char::from(*byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    let pairs = digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    pairs.collect()
}
