//! What a command works with: the API, and the place for what it shows.

use crate::client::Client;
use crate::options::Options;
use crate::outcome::Failure;
use crate::output::Output;
use crate::pages::Wanted;

/// One run of the program.
#[derive(Debug)]
pub(crate) struct Session {
    /// The API.
    pub(crate) client: Client,
    /// Standard output.
    pub(crate) output: Output,
    /// How much of a list is wanted.
    pub(crate) wanted: Wanted,
    /// Whether not to ask before what cannot be undone.
    pub(crate) yes: bool,
    /// The token, for those who read it.
    pub(crate) token: Option<String>,
}

impl Session {
    /// Reads the options; nothing is sent yet.
    pub(crate) fn open(options: &Options) -> Result<Self, Failure> {
        let token = options.token()?;
        Ok(Self {
            client: Client::new(
                &options.url,
                token.as_deref(),
                options.timeout(),
                options.retries,
            )?,
            output: Output::new(options.output),
            wanted: Wanted::new(options.limit, options.page_all),
            yes: options.yes,
            token,
        })
    }
}
