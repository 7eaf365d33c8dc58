//! The little of PostgreSQL's protocol (version 3.0, simple query) that the launcher needs: is it ready, make a database, run a
//! script. The fetched programs come without `psql`, and a driver would be a hundred crates.
//!
//! See "Frontend/Backend Protocol" in the PostgreSQL manual for the message letters.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::create::ROLE;
use crate::error::{During, Error};

/// What a statement returned: rows of values as text, `None` for NULL.
pub type Rows = Vec<Vec<Option<String>>>;

/// Version 3.0 of the protocol, as the start-up message says it.
const PROTOCOL: i32 = 3 << 16;

/// No message we ask for is longer: a larger length means that we talk to something else.
const LONGEST_MESSAGE: usize = 64 << 20;

/// One open session.
pub(crate) struct Session {
    stream: UnixStream,
}

impl Session {
    /// Opens a session on `database`. Fails with [`Error::Io`] while nobody listens and with [`Error::Refused`] while the server
    /// starts up.
    pub(crate) fn open(socket: &Path, database: &str) -> Result<Self, Error> {
        let stream = UnixStream::connect(socket).during(|| "reach the server".to_owned())?;
        stream
            .set_read_timeout(Some(Duration::from_mins(10)))
            .during(|| "set a time limit".to_owned())?;
        let mut session = Self { stream };
        let mut body = PROTOCOL.to_be_bytes().to_vec();
        for word in [
            "user",
            ROLE,
            "database",
            database,
            "client_encoding",
            "UTF8",
            "",
        ] {
            body.extend_from_slice(word.as_bytes());
            body.push(0);
        }
        session.send(None, &body)?;
        session.until_ready()?;
        Ok(session)
    }

    /// Runs one or more statements; all rows of all of them.
    pub(crate) fn query(&mut self, sql: &str) -> Result<Rows, Error> {
        let mut body = sql.as_bytes().to_vec();
        body.push(0);
        self.send(Some(b'Q'), &body)?;
        self.until_ready()
    }

    fn send(&mut self, letter: Option<u8>, body: &[u8]) -> Result<(), Error> {
        let length = i32::try_from(body.len() + 4)
            .map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))
            .during(|| "send so long a statement".to_owned())?;
        let mut message: Vec<u8> = letter.into_iter().collect();
        message.extend_from_slice(&length.to_be_bytes());
        message.extend_from_slice(body);
        self.stream
            .write_all(&message)
            .during(|| "write to the server".to_owned())
    }

    /// Reads until the server waits for us again, and keeps rows and the first error.
    fn until_ready(&mut self) -> Result<Rows, Error> {
        let mut rows = Rows::new();
        let mut refused = None;
        loop {
            let (letter, body) = self
                .receive()
                .during(|| "read from the server".to_owned())?;
            match letter {
                b'D' => rows.push(row(&body)),
                b'E' => {
                    let error = refusal(&body);
                    if is_fatal(&body) {
                        return Err(error);
                    }
                    refused.get_or_insert(error);
                }
                // Anything but "you are in" means that somebody asks for a password, which our own cluster never does.
                b'R' if body != [0; 4] => {
                    return Err(Error::Refused {
                        message: "the server asks for a password".to_owned(),
                        code: "28000".to_owned(),
                    });
                }
                b'Z' => return refused.map_or(Ok(rows), Err),
                _ => {}
            }
        }
    }

    fn receive(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut head = [0; 5];
        self.stream.read_exact(&mut head)?;
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
        let length = usize::try_from(length)
            .unwrap_or(usize::MAX)
            .saturating_sub(4);
        if length > LONGEST_MESSAGE {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok((head[0], body))
    }
}

/// The columns of a data row: a count, then for each a length (-1 is NULL) and that many bytes.
fn row(body: &[u8]) -> Vec<Option<String>> {
    let mut values = Vec::new();
    let mut rest = body.get(2..).unwrap_or_default();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = usize::try_from(i32::from_be_bytes(*length)).ok();
        let bytes = length.and_then(|length| after.get(..length));
        values.push(bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned()));
        rest = after.get(length.unwrap_or(0)..).unwrap_or_default();
    }
    values
}

/// The text of one field of an error, by its letter.
fn field(body: &[u8], letter: u8) -> Option<String> {
    body.split(|byte| *byte == 0)
        .find(|part| part.first() == Some(&letter))
        .map(|part| String::from_utf8_lossy(&part[1..]).into_owned())
}

fn refusal(body: &[u8]) -> Error {
    Error::Refused {
        message: field(body, b'M').unwrap_or_default(),
        code: field(body, b'C').unwrap_or_default(),
    }
}

/// Whether the server closes the session with this error; `V` is the severity in English.
fn is_fatal(body: &[u8]) -> bool {
    matches!(field(body, b'V').as_deref(), Some("FATAL" | "PANIC"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_keeps_null_and_empty_apart() {
        let body = [&[0, 3][..], &[0, 0, 0, 2], b"ab", &[255; 4], &[0; 4]].concat();
        assert_eq!(
            row(&body),
            [Some("ab".to_owned()), None, Some(String::new())]
        );
    }

    #[test]
    fn a_refusal_carries_the_message_and_the_code() {
        let body = b"SERROR\0VERROR\0C42P04\0Mdatabase \"x\" already exists\0\0";
        let error = refusal(body);
        assert!(
            matches!(&error, Error::Refused { code, .. } if code == "42P04"),
            "{error}"
        );
        assert!(!is_fatal(body));
    }
}
