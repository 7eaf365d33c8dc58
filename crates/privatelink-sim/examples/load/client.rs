//! The server process and how it is talked to.

use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::Result;

/// A simulator in a process of its own.
pub(crate) struct Server {
    process: Child,
    /// `http://127.0.0.1:PORT`.
    pub(crate) url: String,
    client: reqwest::Client,
}

impl Server {
    /// Starts the example `serve` that was built beside this one, on a free port.
    pub(crate) async fn start() -> Result<Self> {
        let program = std::env::current_exe()?.with_file_name("serve");
        let mut process = Command::new(&program)
            .arg("127.0.0.1:0")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{} does not start: {error}", program.display()))?;
        let output = process.stdout.take().ok_or("the server has no output")?;
        let line = BufReader::new(output).lines().next_line().await?;
        let url = line.ok_or("the server said no address")?;
        Ok(Self {
            process,
            url,
            client: client()?,
        })
    }

    /// Ends the process.
    pub(crate) async fn stop(mut self) -> Result {
        Ok(self.process.kill().await?)
    }

    /// The resident memory of the process in bytes.
    pub(crate) fn memory(&self) -> Result<u64> {
        let id = self.process.id().ok_or("the server has ended")?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let kilobytes = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
        Ok(kilobytes.ok_or("no memory in /proc")? * 1024)
    }

    /// One call of the control API; anything but success is an error.
    pub(crate) async fn control(&self, method: &str, path: &str, body: String) -> Result<String> {
        let answer = self
            .client
            .request(method.parse()?, format!("{}/_sim{path}", self.url))
            .body(body)
            .send()
            .await?;
        let status = answer.status();
        let text = answer.text().await?;
        if !status.is_success() {
            return Err(format!("{method} {path}: {status} {text}").into());
        }
        Ok(text)
    }

    /// One call of the control API that answers with JSON.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let text = self.control(method, path, body.to_string()).await?;
        Ok(serde_json::from_str(&text)?)
    }

    /// One EC2 call outside of a measured stage.
    pub(crate) async fn ec2(&self, account: &str, form: &str) -> Result<String> {
        ec2(&self.client, &self.url, account, form).await
    }
}

/// A client with connections of its own.
pub(crate) fn client() -> Result<reqwest::Client> {
    Ok(reqwest::Client::builder().no_proxy().build()?)
}

/// One EC2 call; anything but HTTP 200 is an error.
pub(crate) async fn ec2(
    client: &reqwest::Client,
    url: &str,
    account: &str,
    form: &str,
) -> Result<String> {
    let credential = format!(
        "AWS4-HMAC-SHA256 Credential={account}/20260101/eu-west-1/ec2/aws4_request, SignedHeaders=host, Signature=00"
    );
    let answer = client
        .post(url)
        .header("authorization", credential)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("Version=2016-11-15&{form}"))
        .send()
        .await?;
    let status = answer.status();
    let text = answer.text().await?;
    if status.as_u16() != 200 {
        return Err(format!("{form}: {status} {text}").into());
    }
    Ok(text)
}

/// The texts of all elements of this name, in order.
pub(crate) fn texts<'a>(xml: &'a str, element: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{element}>"), format!("</{element}>"));
    xml.split(open.as_str())
        .skip(1)
        .filter_map(|rest| Some(rest.split_once(close.as_str())?.0))
        .collect()
}
