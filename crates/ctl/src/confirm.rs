//! Asking before what cannot be undone.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use crate::outcome::Failure;
use crate::safe;
use crate::session::Session;

/// Asks on the terminal, unless `--yes` was given. Fails where nobody can be asked.
pub(crate) fn ask(session: &Session, what: &str) -> Result<(), Failure> {
    if session.yes {
        return Ok(());
    }
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Err(Failure::Usage(format!(
            "{what}: this cannot be undone; say --yes where nobody can be asked"
        )));
    }
    eprint!(
        "{} This cannot be undone. Go ahead? [y/N] ",
        safe::line(what)
    );
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    if is_yes(&answer) {
        Ok(())
    } else {
        Err(Failure::NotConfirmed)
    }
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        assert!(is_yes("y\n") && is_yes(" YES "));
        for no in ["", "\n", "n", "yep", "yes please"] {
            assert!(!is_yes(no), "{no:?}");
        }
    }
}
