//! `ctl api`: any request, for what has no verb of its own.

use std::path::Path;

use reqwest::Method;

use super::files;
use crate::client::Request;
use crate::outcome::Failure;
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// GET, POST, PATCH, PUT or DELETE
    #[arg(value_parser = method)]
    method: Method,
    /// The path with its query, as in /v1/services?limit=5
    path: String,
    /// The body: JSON, `@FILE`, or `-` for standard input
    #[arg(short, long, value_name = "JSON")]
    data: Option<String>,
    /// The `Idempotency-Key` of a POST, so that the whole command can be repeated; a new one when absent
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
}

fn method(text: &str) -> Result<Method, String> {
    let name = text.to_ascii_uppercase();
    match name.as_str() {
        "GET" | "POST" | "PATCH" | "PUT" | "DELETE" => name.parse().map_err(|_| name),
        _ => Err("use GET, POST, PATCH, PUT or DELETE".to_owned()),
    }
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), Failure> {
    let mut request = Request::new(args.method.clone(), session.client.typed(&args.path)?);
    if let Some(data) = args.data {
        let text = match data.strip_prefix('@') {
            Some(path) => files::text(Path::new(path))?,
            None if data == "-" => files::text(Path::new("-"))?,
            None => data,
        };
        request = request.body(text.into_bytes());
    }
    if let Some(key) = args.idempotency_key {
        if args.method != Method::POST {
            return Err(Failure::Usage(
                "only a POST takes an --idempotency-key".to_owned(),
            ));
        }
        request = request.key(key);
    }
    let answer = session.client.send(request).await?;
    session.output.raw(&answer)
}
