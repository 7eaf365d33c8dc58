//! Who the token names. The program reads the token without verifying it; that is the API's business, which is asked right after.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::client::Answer;
use crate::outcome::Failure;
use crate::session::Session;

pub(super) async fn run(session: &Session) -> Result<(), Failure> {
    let Some(token) = &session.token else {
        return Err(Failure::Usage(
            "there is no token: set PORTCULLIS_TOKEN, or name a file with --token-file".to_owned(),
        ));
    };
    // The cheapest read that every caller may make.
    session
        .client
        .get(&["v1", "account-regions"], &[("limit", "1".to_owned())])
        .await?;
    let claims = claims(token).unwrap_or_default();
    let shown = json!({
        "subject": claims["sub"],
        "roles": claims["roles"],
        "issuer": claims["iss"],
        "expires_at_unix": claims["exp"],
        "accepted": true,
    });
    session.output.record(&Answer {
        text: shown.to_string(),
    })
}

/// The middle of a JWT; none for a token of another kind.
fn claims(token: &str) -> Option<Value> {
    let mut parts = token.split('.');
    let (_, middle) = (parts.next()?, parts.next()?);
    parts.next()?;
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(middle).ok()?;
    serde_json::from_slice(&bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_claims_of_a_jwt_are_read_and_other_tokens_have_none() {
        let middle = BASE64_URL_SAFE_NO_PAD.encode(r#"{"sub":"ann","roles":["viewer"]}"#);
        let found = claims(&format!("e30.{middle}.c2ln")).expect("claims");
        assert_eq!(found["sub"], "ann");
        for other in ["", "pst_opaque", "a.b", "e30.!!!.x"] {
            assert_eq!(claims(other), None, "{other}");
        }
    }
}
