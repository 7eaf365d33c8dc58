//! Reads `application/x-www-form-urlencoded` bodies into a small tree: `Filter.1.Value.2=x` is a path, not a name.
//!
//! Written by hand because the ready-made decoders turn dotted lists into empty ones without saying so, and because AWS's
//! "unknown parameter" answer needs to know what was not read.

use std::collections::BTreeMap;

use crate::AwsError;

/// More parameters than this are refused: far above what AWS takes, far below what hurts.
const MAX_PARAMETERS: usize = 20_000;

/// Deeper paths than this are refused.
const MAX_DEPTH: usize = 8;

/// A parameter, its value and what hangs below it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    /// The value, if the path itself was given one.
    pub value: Option<String>,
    /// What follows the next dot.
    pub children: BTreeMap<String, Node>,
}

/// Parses a body or a query string.
pub fn parse(body: &[u8]) -> Result<Node, AwsError> {
    let mut root = Node::default();
    for (count, pair) in body
        .split(|b| *b == b'&')
        .filter(|pair| !pair.is_empty())
        .enumerate()
    {
        if count == MAX_PARAMETERS {
            return Err(malformed("too many parameters"));
        }
        let at = pair.iter().position(|b| *b == b'=').unwrap_or(pair.len());
        let (name, value) = pair.split_at(at);
        let name = decode(name)?;
        let value = decode(value.strip_prefix(b"=").unwrap_or(value))?;
        let mut node = &mut root;
        for (depth, part) in name.split('.').enumerate() {
            if depth == MAX_DEPTH || part.is_empty() {
                return Err(malformed("a parameter name is not a path"));
            }
            node = node.children.entry(part.to_owned()).or_default();
        }
        if node.value.replace(value).is_some() {
            return Err(malformed("a parameter was given twice"));
        }
    }
    Ok(root)
}

fn decode(raw: &[u8]) -> Result<String, AwsError> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.iter().copied();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => match (rest.next().and_then(hex), rest.next().and_then(hex)) {
                (Some(high), Some(low)) => high * 16 + low,
                _ => {
                    return Err(malformed(
                        "a percent sign is not followed by two hexadecimal digits",
                    ));
                }
            },
            other => other,
        });
    }
    String::from_utf8(bytes).map_err(|_| malformed("the text is not UTF-8"))
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

fn malformed(why: &str) -> AwsError {
    AwsError::new(
        "MalformedQueryString",
        format!("The query string is malformed: {why}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_a_tree_and_escapes_are_undone() {
        let root =
            parse(b"Action=A&Filter.1.Name=tag%3Aa+b&Filter.1.Value.1=x%26y&Empty=").unwrap();
        let filter = &root.children["Filter"].children["1"];
        assert_eq!(filter.children["Name"].value.as_deref(), Some("tag:a b"));
        assert_eq!(
            filter.children["Value"].children["1"].value.as_deref(),
            Some("x&y")
        );
        assert_eq!(root.children["Empty"].value.as_deref(), Some(""));
    }

    #[test]
    fn junk_is_refused_and_never_panics() {
        for junk in [
            &b"A=%"[..],
            b"A=%4",
            b"A=%zz",
            b"A=%ff%fe",
            b"\xff=1",
            b".=1",
            b"A..B=1",
            b"A=1&A=2",
            b"=x",
            b"a.b.c.d.e.f.g.h.i=1",
        ] {
            let error = parse(junk).unwrap_err();
            assert_eq!(
                error.code,
                "MalformedQueryString",
                "{:?}",
                String::from_utf8_lossy(junk)
            );
        }
        let long: Vec<String> = (0..=MAX_PARAMETERS).map(|n| format!("B.{n}=1")).collect();
        let long = long.join("&");
        assert!(parse(long.as_bytes()).is_err());
        assert_eq!(parse(b"").unwrap(), Node::default());
        assert_eq!(parse(b"&&&").unwrap(), Node::default());
    }
}
