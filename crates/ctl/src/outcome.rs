//! How a command ends: what is told on standard error, and the exit code.

use std::io::{self, IsTerminal as _};

use crate::problem::Refusal;
use crate::safe;

/// What each exit code means; shown by `--help`.
pub const EXIT_CODES: &str = "Exit codes:
  0  done
  1  refused: the server said no, or one of several items was refused
  2  usage: wrong arguments, a file that cannot be read, or --yes is missing
  3  unreachable: no answer, or 429 or 503 to the end of all tries
  4  not authenticated, or not allowed
  5  the server failed, or answered what cannot be read
  6  not confirmed";

/// Why a command ended without having done what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The server refused; the refusal says why.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// What was asked for was not done for some, or not found good. Shown already.
    #[error("{0}")]
    NotAll(String),
    /// The command cannot be carried out as it was given.
    #[error("{0}")]
    Usage(String),
    /// The server was not reached.
    #[error("{0}")]
    Unreachable(String),
    /// The answer cannot be read.
    #[error("{0}")]
    Garbled(String),
    /// The person said no.
    #[error("nothing was done")]
    NotConfirmed,
    /// Standard output cannot be written.
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    /// See [`EXIT_CODES`].
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Refused(refusal) => match refusal.status {
                401 | 403 => 4,
                429 | 503 => 3,
                500.. => 5,
                _ => 1,
            },
            Self::NotAll(_) => 1,
            Self::Unreachable(_) => 3,
            Self::Garbled(_) => 5,
            Self::NotConfirmed => 6,
            // Whoever read our output has had enough, as `head` does.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            Self::Usage(_) | Self::Output(_) => 2,
        }
    }

    /// Says what went wrong on standard error.
    pub(crate) fn tell(&self) {
        if self.exit_code() == 0 {
            return;
        }
        let red = io::stderr().is_terminal() && safe::colour_is_wanted();
        let (on, off) = if red {
            ("\u{1b}[31m", "\u{1b}[0m")
        } else {
            ("", "")
        };
        // The text may come from the server: nothing in it may steer the terminal.
        eprintln!("{on}portcullis:{off} {}", safe::lines(&self.to_string()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16) -> u8 {
        Failure::Refused(Box::new(Refusal::read(status, "", None))).exit_code()
    }

    #[test]
    fn the_status_decides_the_exit_code() {
        let codes = [400, 404, 409, 422, 401, 403, 429, 503, 500, 502].map(refused);
        assert_eq!(codes, [1, 1, 1, 1, 4, 4, 3, 3, 5, 5]);
    }

    #[test]
    fn a_reader_that_has_had_enough_is_no_failure() {
        let closed = Failure::Output(io::ErrorKind::BrokenPipe.into());
        let full = Failure::Output(io::ErrorKind::StorageFull.into());
        assert_eq!((closed.exit_code(), full.exit_code()), (0, 2));
    }
}
