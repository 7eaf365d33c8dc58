//! SQS's older protocol: forms in, XML out. It is translated into the JSON of the newer one and back, so both do the same.
//!
//! Older SDKs speak it, and clients that were set to it. Lists are flattened with names in the singular (`AttributeName.1`), maps are
//! lists of names and values (`Attribute.1.Name`, `Attribute.1.Value`).

use serde_json::{Map, Value};

use super::super::form::Node;
use super::super::xml::Xml;
use crate::AwsError;

/// How a member of a request is written in a form.
#[derive(Clone, Copy)]
enum Shape {
    Text,
    Number,
    /// `Name.1`, …
    Texts,
    /// `Name.1.<key>`, `Name.1.<value>`, …
    Map(&'static str, &'static str),
    /// `Name.1.Name`, `Name.1.Value.StringValue`, …
    Attributes,
    /// `Name.1.Id`, …: entries of a batch.
    Entries,
}

/// Every member: its name in a form, its name in JSON and its shape.
const MEMBERS: &[(&str, &str, Shape)] = &[
    ("Attribute", "Attributes", Shape::Map("Name", "Value")),
    ("AttributeName", "AttributeNames", Shape::Texts),
    (
        "ChangeMessageVisibilityBatchRequestEntry",
        "Entries",
        Shape::Entries,
    ),
    ("DelaySeconds", "DelaySeconds", Shape::Number),
    ("DeleteMessageBatchRequestEntry", "Entries", Shape::Entries),
    ("Id", "Id", Shape::Text),
    ("MaxNumberOfMessages", "MaxNumberOfMessages", Shape::Number),
    ("MaxResults", "MaxResults", Shape::Number),
    ("MessageAttribute", "MessageAttributes", Shape::Attributes),
    (
        "MessageAttributeName",
        "MessageAttributeNames",
        Shape::Texts,
    ),
    ("MessageBody", "MessageBody", Shape::Text),
    (
        "MessageSystemAttributeName",
        "MessageSystemAttributeNames",
        Shape::Texts,
    ),
    ("NextToken", "NextToken", Shape::Text),
    ("QueueName", "QueueName", Shape::Text),
    ("QueueNamePrefix", "QueueNamePrefix", Shape::Text),
    (
        "QueueOwnerAWSAccountId",
        "QueueOwnerAWSAccountId",
        Shape::Text,
    ),
    ("QueueUrl", "QueueUrl", Shape::Text),
    ("ReceiptHandle", "ReceiptHandle", Shape::Text),
    ("SendMessageBatchRequestEntry", "Entries", Shape::Entries),
    ("TagKey", "TagKeys", Shape::Texts),
    ("Tag", "Tags", Shape::Map("Key", "Value")),
    ("VisibilityTimeout", "VisibilityTimeout", Shape::Number),
    ("WaitTimeSeconds", "WaitTimeSeconds", Shape::Number),
];

/// What the frame of a request says, and a presigned one.
fn is_frame(name: &str) -> bool {
    ["Action", "Version", "AUTHPARAMS"].contains(&name) || name.starts_with("X-Amz-")
}

/// The request as JSON. `url` is the URL that was posted to, if it is that of a queue.
pub(crate) fn read(action: &str, form: &Node, url: Option<&str>) -> Result<Value, AwsError> {
    let mut body = members(form, "")?;
    // The one member whose JSON name depends on the action.
    if action == "CreateQueue"
        && let Some(tags) = body.remove("Tags")
    {
        body.insert("tags".to_owned(), tags);
    }
    // A form has no way to write an empty list.
    if action.ends_with("Batch") {
        body.entry("Entries")
            .or_insert_with(|| Value::Array(Vec::new()));
    }
    // The list operations and those on names are posted to the service itself, all others to a queue.
    let on_queue = !matches!(action, "CreateQueue" | "ListQueues" | "GetQueueUrl");
    if let Some(url) = url
        && on_queue
    {
        body.entry("QueueUrl").or_insert_with(|| url.into());
    }
    Ok(Value::Object(body))
}

fn members(node: &Node, path: &str) -> Result<Map<String, Value>, AwsError> {
    let mut body = Map::new();
    for (name, child) in &node.children {
        if path.is_empty() && is_frame(name) {
            continue;
        }
        let full = format!("{path}{name}");
        let Some((_, json_name, shape)) = MEMBERS.iter().find(|(form_name, ..)| form_name == name)
        else {
            let shown: String = full.chars().take(128).collect();
            return Err(AwsError::new(
                "InvalidParameterValue",
                format!("The parameter {shown} is unknown or not modelled by the simulator."),
            ));
        };
        let value = member(child, *shape, &full)?;
        body.insert((*json_name).to_owned(), value);
    }
    Ok(body)
}

fn member(node: &Node, shape: Shape, name: &str) -> Result<Value, AwsError> {
    let text = || node.value.clone().unwrap_or_default();
    Ok(match shape {
        Shape::Text => text().into(),
        Shape::Number => {
            let text = text();
            let number: u64 = text.parse().map_err(|_| AwsError::bad_value(name, &text))?;
            number.into()
        }
        Shape::Texts => items(node, name)?
            .into_iter()
            .map(|(_, item)| Value::from(item.value.clone().unwrap_or_default()))
            .collect(),
        Shape::Map(key, value) => items(node, name)?
            .into_iter()
            .map(|(_, item)| Ok((part(item, key, name)?, part(item, value, name)?.into())))
            .collect::<Result<Map<String, Value>, AwsError>>()?
            .into(),
        Shape::Attributes => items(node, name)?
            .into_iter()
            .map(|(_, item)| {
                let value = item
                    .children
                    .get("Value")
                    .ok_or_else(|| AwsError::missing(name))?;
                let said: Map<String, Value> = value
                    .children
                    .iter()
                    .map(|(name, said)| (name.clone(), said.value.clone().into()))
                    .collect();
                Ok((part(item, "Name", name)?, said.into()))
            })
            .collect::<Result<Map<String, Value>, AwsError>>()?
            .into(),
        Shape::Entries => items(node, name)?
            .into_iter()
            .map(|(number, item)| members(item, &format!("{name}.{number}.")).map(Value::Object))
            .collect::<Result<Vec<Value>, AwsError>>()?
            .into(),
    })
}

fn part(item: &Node, part: &str, name: &str) -> Result<String, AwsError> {
    let value = item.children.get(part).and_then(|node| node.value.clone());
    value.ok_or_else(|| AwsError::missing(&format!("{name}.{part}")))
}

/// `1`, `2`, … in the order of the numbers.
fn items<'a>(node: &'a Node, name: &str) -> Result<Vec<(u32, &'a Node)>, AwsError> {
    let mut items = Vec::new();
    for (number, item) in &node.children {
        let number = number
            .parse()
            .map_err(|_| AwsError::bad_value(name, number))?;
        items.push((number, item));
    }
    items.sort_by_key(|(number, _)| *number);
    Ok(items)
}

/// The inside of an answer in XML: what the names of JSON's lists and maps are there.
pub(crate) fn write(action: &str, answer: &Value) -> String {
    let result = match action {
        "SendMessageBatch" => "SendMessageBatchResultEntry",
        "DeleteMessageBatch" => "DeleteMessageBatchResultEntry",
        _ => "ChangeMessageVisibilityBatchResultEntry",
    };
    let empty = Map::new();
    Xml::fragment(|xml| fields(xml, result, answer.as_object().unwrap_or(&empty)))
}

fn fields(xml: &mut Xml, result: &str, of: &Map<String, Value>) {
    for (name, value) in of {
        match (name.as_str(), value) {
            ("QueueUrls" | "queueUrls", Value::Array(urls)) => {
                for url in urls {
                    leaf(xml, "QueueUrl", url);
                }
            }
            ("Messages", Value::Array(rows)) => structures(xml, result, "Message", rows),
            ("Successful", Value::Array(rows)) => structures(xml, result, result, rows),
            ("Failed", Value::Array(rows)) => {
                structures(xml, result, "BatchResultErrorEntry", rows);
            }
            ("Attributes", Value::Object(all)) => map(xml, "Attribute", ("Name", "Value"), all),
            ("Tags", Value::Object(all)) => map(xml, "Tag", ("Key", "Value"), all),
            ("MessageAttributes", Value::Object(all)) => {
                for (name, said) in all {
                    xml.node("MessageAttribute", |xml| {
                        xml.leaf("Name", name);
                        xml.node("Value", |xml| {
                            for (name, said) in said.as_object().into_iter().flatten() {
                                leaf(xml, name, said);
                            }
                        });
                    });
                }
            }
            (name, value) => leaf(xml, name, value),
        }
    }
}

fn structures(xml: &mut Xml, result: &str, name: &str, rows: &[Value]) {
    for row in rows.iter().filter_map(Value::as_object) {
        xml.node(name, |xml| fields(xml, result, row));
    }
}

fn map(xml: &mut Xml, name: &str, (key, value): (&str, &str), all: &Map<String, Value>) {
    for (of, said) in all {
        xml.node(name, |xml| {
            xml.leaf(key, of);
            leaf(xml, value, said);
        });
    }
}

fn leaf(xml: &mut Xml, name: &str, value: &Value) {
    match value {
        Value::String(text) => xml.leaf(name, text),
        other => xml.leaf(name, other),
    }
}

/// The code of an error in this protocol, which is older than that in JSON.
pub(crate) fn code(error: &AwsError) -> AwsError {
    let old = super::MODELLED
        .iter()
        .find(|(shape, _)| *shape == error.code);
    AwsError {
        code: old.map_or_else(|| error.code.clone(), |(_, old)| (*old).to_owned()),
        ..error.clone()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::form;
    use super::*;

    #[test]
    fn a_form_becomes_the_json_of_the_newer_protocol() {
        let form = form::parse(
            b"Action=SendMessageBatch&Version=2012-11-05&SendMessageBatchRequestEntry.1.Id=a\
              &SendMessageBatchRequestEntry.1.MessageBody=hi&SendMessageBatchRequestEntry.1.DelaySeconds=3\
              &SendMessageBatchRequestEntry.1.MessageAttribute.1.Name=n\
              &SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.DataType=String\
              &SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.StringValue=v",
        );
        let body = read("SendMessageBatch", &form.unwrap(), Some("http://x/1/q")).unwrap();
        let entry = json!({
            "Id": "a", "MessageBody": "hi", "DelaySeconds": 3,
            "MessageAttributes": {"n": {"DataType": "String", "StringValue": "v"}},
        });
        assert_eq!(
            body,
            json!({"QueueUrl": "http://x/1/q", "Entries": [entry]})
        );
    }

    #[test]
    fn a_batch_without_entries_is_an_empty_one() {
        let form = form::parse(b"Action=SendMessageBatch&Version=2012-11-05").unwrap();
        let body = read("SendMessageBatch", &form, Some("http://x/1/q")).unwrap();
        assert_eq!(body, json!({"QueueUrl": "http://x/1/q", "Entries": []}));
    }

    #[test]
    fn an_answer_is_written_with_the_older_names() {
        // In the order of the alphabet, so that it is the same whether or not JSON objects keep theirs.
        let answer = json!({"Messages": [{
            "Attributes": {"SenderId": "s"},
            "MessageAttributes": {"n": {"DataType": "String", "StringValue": "v"}},
            "MessageId": "m",
        }]});
        assert_eq!(
            write("ReceiveMessage", &answer),
            "<Message><Attribute><Name>SenderId</Name><Value>s</Value></Attribute><MessageAttribute><Name>n</Name><Value>\
             <DataType>String</DataType><StringValue>v</StringValue></Value></MessageAttribute><MessageId>m</MessageId></Message>"
        );
    }

    #[test]
    fn unknown_parameters_and_bad_numbers_are_refused() {
        for form in ["Surprise=1", "DelaySeconds=x", "AttributeName.x=All"] {
            let form = form::parse(form.as_bytes()).unwrap();
            let error = read("SendMessage", &form, None).unwrap_err();
            assert_eq!(error.code, "InvalidParameterValue");
        }
    }
}
