//! A trail as JSON Lines: each seal, and after it the texts of its entries, so that it can be verified while it is read, without a database.

use std::io::BufRead;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::key::{PublicKey, Signature};
use crate::retirement::Retirement;
use crate::seal::{Hash, Leaf, Seal, hash_of};
use crate::verify::{Checked, Fault, Head, Verifier};

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A seal with its stored hash and its signature.
    Seal(Seal, Hash, Option<Signature>),
    /// The word that old entries were let go, likewise.
    Retirement(Retirement, Hash, Option<Signature>),
    /// The text of an entry: a JSON object whose very bytes are hashed.
    Entry(String),
}

/// Why an export cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file itself.
    #[error("it cannot be read")]
    File(#[from] std::io::Error),
    /// An entry comes where no seal names one.
    #[error("there is an entry that no seal names")]
    Extra,
    /// What is wrong with a line.
    #[error("line {0}")]
    Line(u64, #[source] Box<Self>),
    /// It is not JSON, or not of this shape.
    #[error("the line is neither a seal nor an entry")]
    Shape(#[from] serde_json::Error),
    /// A member is not what it should be.
    #[error("the {0} of the seal cannot be read")]
    Member(&'static str),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SealLine {
    seal: SealBody,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SealBody {
    number: u64,
    at: i64,
    previous: String,
    leaves: String,
    hash: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signature: Option<SignatureBody>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RetirementLine {
    retirement: RetirementBody,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RetirementBody {
    before: i64,
    at: i64,
    head: u64,
    head_hash: String,
    hash: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signature: Option<SignatureBody>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignatureBody {
    key: String,
    bytes: String,
}

impl Line {
    /// Writes it, without the line's end.
    pub fn write(&self) -> String {
        match self {
            Self::Entry(text) => text.clone(),
            Self::Retirement(word, hash, signature) => {
                let line = RetirementLine {
                    retirement: RetirementBody {
                        before: word.before,
                        at: word.at,
                        head: word.head.number,
                        head_hash: STANDARD.encode(word.head.hash),
                        hash: STANDARD.encode(hash),
                        signature: signature.as_ref().map(SignatureBody::from),
                    },
                };
                serde_json::to_string(&line).unwrap_or_default()
            }
            Self::Seal(seal, hash, signature) => {
                let line = SealLine {
                    seal: SealBody {
                        number: seal.number,
                        at: seal.at,
                        previous: STANDARD.encode(seal.previous),
                        leaves: STANDARD.encode(Leaf::pack(&seal.leaves)),
                        hash: STANDARD.encode(hash),
                        signature: signature.as_ref().map(SignatureBody::from),
                    },
                };
                // Numbers and text always can be written.
                serde_json::to_string(&line).unwrap_or_default()
            }
        }
    }

    /// Reads one.
    pub fn read(text: &str) -> Result<Self, ReadError> {
        if text.starts_with(r#"{"retirement":"#) {
            let RetirementLine { retirement } = serde_json::from_str(text)?;
            let word = Retirement {
                before: retirement.before,
                at: retirement.at,
                head: Head {
                    number: retirement.head,
                    hash: hash(&retirement.head_hash, "head")?,
                },
            };
            let signature = retirement.signature.map(Signature::try_from).transpose()?;
            let stored = hash(&retirement.hash, "hash")?;
            return Ok(Self::Retirement(word, stored, signature));
        }
        Self::read_seal_or_entry(text)
    }

    fn read_seal_or_entry(text: &str) -> Result<Self, ReadError> {
        if !text.starts_with(r#"{"seal":"#) {
            serde_json::from_str::<serde::de::IgnoredAny>(text)?;
            return Ok(Self::Entry(text.to_owned()));
        }
        let SealLine { seal } = serde_json::from_str(text)?;
        let signature = seal.signature.map(Signature::try_from);
        let leaves = Leaf::unpack(&decode(&seal.leaves, "leaves")?);
        Ok(Self::Seal(
            Seal {
                number: seal.number,
                at: seal.at,
                previous: hash(&seal.previous, "previous hash")?,
                leaves: leaves.ok_or(ReadError::Member("leaves"))?,
            },
            hash(&seal.hash, "hash")?,
            signature.transpose()?,
        ))
    }
}

impl From<&Signature> for SignatureBody {
    fn from(signature: &Signature) -> Self {
        Self {
            key: signature.key.clone(),
            bytes: STANDARD.encode(&signature.bytes),
        }
    }
}

impl TryFrom<SignatureBody> for Signature {
    type Error = ReadError;

    fn try_from(body: SignatureBody) -> Result<Self, ReadError> {
        Ok(Self {
            key: body.key,
            bytes: decode(&body.bytes, "signature")?,
        })
    }
}

fn decode(text: &str, what: &'static str) -> Result<Vec<u8>, ReadError> {
    STANDARD.decode(text).map_err(|_| ReadError::Member(what))
}

fn hash(text: &str, what: &'static str) -> Result<Hash, ReadError> {
    let bytes = decode(text, what)?;
    bytes.try_into().map_err(|_| ReadError::Member(what))
}

/// Verifies an export in one pass, with one seal in memory.
pub fn verify_export(
    input: impl BufRead,
    keys: Vec<PublicKey>,
    heads: Vec<Head>,
) -> Result<Result<Checked, Fault>, ReadError> {
    let mut verifier = Verifier::new(keys, heads);
    // The entries of the last seal that have not come yet.
    let mut open = Vec::new().into_iter().peekable();
    let mut number = 0;
    for (place, text) in (1..).zip(input.lines()) {
        let at = |error| ReadError::Line(place, Box::new(error));
        let text = text.map_err(|error| at(error.into()))?;
        let verdict = match Line::read(&text).map_err(at)? {
            Line::Seal(seal, hash, signature) => {
                for leaf in open {
                    if let Some(fault) = missing(&mut verifier, number, Some(leaf)) {
                        return Ok(Err(fault));
                    }
                }
                let verdict = verifier.seal(&seal, &hash, signature.as_ref());
                number = seal.number;
                open = seal.leaves.into_iter().peekable();
                verdict
            }
            Line::Retirement(word, hash, signature) => {
                verifier.retirement(word, &hash, signature.as_ref())
            }
            Line::Entry(text) => {
                let hash = hash_of(text.as_bytes());
                // Entries that were let go have no line.
                while let Some(leaf) = open.next_if(|leaf| verifier.lets_go(number, leaf, &hash)) {
                    if let Some(fault) = missing(&mut verifier, number, Some(leaf)) {
                        return Ok(Err(fault));
                    }
                }
                let leaf = open.next().ok_or_else(|| at(ReadError::Extra))?;
                verifier.entry(number, &leaf, Some(&hash))
            }
        };
        if let Err(fault) = verdict {
            return Ok(Err(fault));
        }
    }
    for leaf in open {
        if let Some(fault) = missing(&mut verifier, number, Some(leaf)) {
            return Ok(Err(fault));
        }
    }
    Ok(verifier.end())
}

fn missing(verifier: &mut Verifier, number: u64, leaf: Option<Leaf>) -> Option<Fault> {
    verifier.entry(number, &leaf?, None).err()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::key::a_key;

    #[test]
    fn lines_are_read_as_they_were_written() {
        let seal = Seal {
            number: 3,
            at: -5,
            previous: [1; 32],
            leaves: vec![Leaf {
                id: Uuid::from_u128(7),
                at: 9,
                hash: hash_of(b"x"),
            }],
        };
        let hash = seal.hash();
        let lines = [
            Line::Seal(seal.clone(), hash, Some(a_key().sign(&hash))),
            Line::Seal(seal, hash, None),
            Line::Entry(r#"{"id": "x", "seal": 1}"#.to_owned()),
        ];
        for line in lines {
            assert_eq!(Line::read(&line.write()).unwrap(), line);
        }
        for bad in ["", "no", "[", r#"{"seal":1}"#, r#"{"seal":{"number":1}}"#] {
            assert!(Line::read(bad).is_err(), "{bad}");
        }
    }

    fn exported(texts: &[&[&str]]) -> Vec<String> {
        let mut lines = Vec::new();
        let mut previous = [0; 32];
        for (number, texts) in (1..).zip(texts) {
            let leaf = |text: &&str| Leaf {
                id: Uuid::from_u128(7),
                at: 9,
                hash: hash_of(text.as_bytes()),
            };
            let seal = Seal {
                number,
                at: 0,
                previous,
                leaves: texts.iter().map(leaf).collect(),
            };
            previous = seal.hash();
            lines.push(Line::Seal(seal, previous, None).write());
            lines.extend(texts.iter().map(|text| (*text).to_owned()));
        }
        lines
    }

    #[test]
    fn entries_that_were_let_go_have_no_line() {
        let mut lines = exported(&[&["1", "2"], &["3"]]);
        let heads: Vec<Head> = lines
            .iter()
            .filter_map(|line| match Line::read(line).unwrap() {
                Line::Seal(seal, hash, _) => Some((seal.number, hash)),
                Line::Entry(_) | Line::Retirement(..) => None,
            })
            .map(|(number, hash)| Head { number, hash })
            .collect();
        let word = |head, before| {
            let word = Retirement {
                before,
                at: 0,
                head,
            };
            Line::Retirement(word, word.hash(), Some(a_key().sign(&word.hash())))
        };
        let line = word(heads[0], 10);
        assert_eq!(Line::read(&line.write()).unwrap(), line);
        // The second entry of the first seal, and the first one.
        lines.remove(2);
        lines.remove(1);
        let read = |first: Line| {
            let text = format!("{}\n{}", first.write(), lines.join("\n"));
            verify_export(text.as_bytes(), Vec::new(), Vec::new()).unwrap()
        };
        let checked = read(word(heads[0], 10)).unwrap();
        assert_eq!((checked.entries, checked.retired), (1, 2));
        // Not old enough, or of a chain that is another one.
        let entry = Uuid::from_u128(7);
        let missing = Fault::EntryMissing { entry, number: 1 };
        assert_eq!(read(word(heads[0], 9)), Err(missing));
        let other = Head {
            number: 1,
            hash: [9; 32],
        };
        assert_eq!(read(word(other, 10)), Err(Fault::OtherChain(1)));
    }

    #[test]
    fn an_export_is_verified_while_it_is_read() {
        let whole = exported(&[&["1", "2"], &["3"]]);
        let read =
            |lines: &[String]| verify_export(lines.join("\n").as_bytes(), Vec::new(), Vec::new());
        let checked = read(&whole).unwrap().unwrap();
        assert_eq!((checked.seals, checked.entries), (2, 3));
        assert_eq!(read(&[]).unwrap(), Ok(Checked::default()));

        let entry = Uuid::from_u128(7);
        for (gone, number) in [(1, 1), (2, 1), (4, 2)] {
            let mut lines = whole.clone();
            lines.remove(gone);
            let fault = read(&lines).unwrap().unwrap_err();
            let named = [
                Fault::EntryMissing { entry, number },
                Fault::EntryChanged { entry, number },
            ];
            assert!(named.contains(&fault), "{gone}: {fault}");
        }
        let mut lines = whole.clone();
        lines[4] = "4".to_owned();
        assert_eq!(
            read(&lines).unwrap(),
            Err(Fault::EntryChanged { entry, number: 2 })
        );
        lines[4] = "not JSON".to_owned();
        assert!(matches!(read(&lines), Err(ReadError::Line(5, _))));
        let mut lines = whole;
        lines.push("5".to_owned());
        assert!(matches!(read(&lines), Err(ReadError::Line(6, _))));
    }
}
