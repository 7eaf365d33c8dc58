//! Ids as people name things: ours or AWS's, as arguments or on standard input.

use std::io::{self, Read as _};

use serde_json::Value;

use crate::client::Client;
use crate::outcome::Failure;

/// The ids that were given. A `-` among them stands for standard input, one id a line: the first word, or of a row in JSON (as `--output jsonl` writes
/// them) its `connection_id` or `id`. Empty lines and those that begin with `#` are passed over. The same id twice counts once.
pub(crate) fn collect(given: &[String]) -> Result<Vec<String>, Failure> {
    let mut ids = Vec::new();
    for one in given {
        if one == "-" {
            let mut text = String::new();
            io::stdin()
                .read_to_string(&mut text)
                .map_err(|error| Failure::Usage(format!("standard input: {error}")))?;
            ids.extend(listed(&text)?);
        } else {
            ids.push(one.clone());
        }
    }
    let mut seen = std::collections::HashSet::new();
    ids.retain(|id| seen.insert(id.clone()));
    if ids.is_empty() {
        return Err(Failure::Usage("no ids were given".to_owned()));
    }
    Ok(ids)
}

fn listed(text: &str) -> Result<Vec<String>, Failure> {
    let mut ids = Vec::new();
    for (number, line) in text.lines().map(str::trim).enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let id = if line.starts_with('{') {
            of_row(line)
        } else {
            line.split_whitespace().next().map(str::to_owned)
        };
        ids.push(id.ok_or_else(|| {
            Failure::Usage(format!(
                "standard input, line {}: there is no id in it",
                number + 1
            ))
        })?);
    }
    Ok(ids)
}

fn of_row(line: &str) -> Option<String> {
    let row: Value = serde_json::from_str(line).ok()?;
    let id = row["connection_id"]
        .as_str()
        .or_else(|| row["id"].as_str())?;
    Some(id.to_owned())
}

/// Our id of a connection. AWS's id of its endpoint (`vpce-…`) is looked up; it has to name one.
pub(crate) async fn connection(client: &Client, id: &str) -> Result<String, Failure> {
    if id.starts_with("vpce-") {
        looked_up(client, "connections", "endpoint_id", id).await
    } else {
        Ok(id.to_owned())
    }
}

/// Our id of a service. AWS's id (`vpce-svc-…`) is looked up; it has to name one.
pub(crate) async fn service(client: &Client, id: &str) -> Result<String, Failure> {
    if id.starts_with("vpce-svc-") {
        looked_up(client, "services", "aws_service_id", id).await
    } else {
        Ok(id.to_owned())
    }
}

async fn looked_up(client: &Client, list: &str, filter: &str, id: &str) -> Result<String, Failure> {
    let answer = client
        .get(&["v1", list], &[(filter, id.to_owned())])
        .await?
        .json()?;
    let rows = answer["items"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    match rows {
        [row] => row["id"]
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| Failure::Garbled("a row without an id".to_owned())),
        [] => Err(Failure::NotAll(format!("{id} is not known here"))),
        more => {
            let ours: Vec<&str> = more.iter().filter_map(|row| row["id"].as_str()).collect();
            Err(Failure::NotAll(format!(
                "{id} stands for more than one: {}",
                ours.join(", ")
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_from_plain_lines_and_from_rows() {
        let text = "con_1\n\n# a comment\n  con_2   waiting  777\n{\"connection_id\":\"con_3\",\"id\":\"x\"}\r\n{\"id\":\"con_4\"}\n";
        assert_eq!(
            listed(text).expect("ids"),
            ["con_1", "con_2", "con_3", "con_4"]
        );
    }

    #[test]
    fn a_row_without_an_id_is_named_by_its_line() {
        for bad in ["con_1\n{\"name\":1}", "con_1\n{"] {
            let told = listed(bad).expect_err("no id").to_string();
            assert!(told.contains("line 2"), "{told}");
        }
    }

    #[test]
    fn an_id_counts_once_and_none_is_an_error() {
        let given = ["con_1", "con_2", "con_1"].map(str::to_owned);
        assert_eq!(collect(&given).expect("ids"), ["con_1", "con_2"]);
        assert!(collect(&[]).is_err());
    }
}
