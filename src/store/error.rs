//! How the store fails, in its own words. No HTTP here.
#![deny(clippy::wildcard_enum_match_arm)]

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A named constraint refused the write.
    #[error("the write breaks {constraint}")]
    Duplicate {
        /// The constraint, as the migrations name it.
        constraint: String,
    },
    /// Another replica took over the AccountRegion: what this one learned is thrown away.
    #[error("another replica owns the AccountRegion now")]
    LostLease,
    /// A row holds what the code cannot have written.
    #[error("{table} row {row} is inconsistent: {what}")]
    Inconsistent {
        /// The table.
        table: &'static str,
        /// The row's id.
        row: String,
        /// What is wrong with it.
        what: String,
    },
    /// The database is out of reach, overloaded, or asked to try again.
    #[error("the database is unavailable")]
    Unavailable(#[source] sqlx::Error),
    /// Two want the transaction of one request at once: a bug.
    #[error("the transaction of the request is in use")]
    InUse,
    /// Any other database failure: a bug.
    #[error("a statement failed")]
    Database(#[source] sqlx::Error),
}

impl StoreError {
    /// For a row that holds what the code cannot have written.
    pub(crate) fn inconsistent(
        table: &'static str,
        row: impl std::fmt::Display,
        what: impl std::fmt::Display,
    ) -> Self {
        Self::Inconsistent {
            table,
            row: row.to_string(),
            what: what.to_string(),
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let Some(database) = error.as_database_error() else {
            let out_of_reach = matches!(
                error,
                sqlx::Error::Io(_)
                    | sqlx::Error::Tls(_)
                    | sqlx::Error::PoolTimedOut
                    | sqlx::Error::PoolClosed
                    | sqlx::Error::WorkerCrashed
            );
            return if out_of_reach {
                Self::Unavailable(error)
            } else {
                Self::Database(error)
            };
        };
        if database.is_unique_violation() {
            let constraint = database.constraint().unwrap_or_default().to_owned();
            return Self::Duplicate { constraint };
        }
        // Serialization failure, deadlock, lock or statement time-out, too many connections, shutting down or starting up: try again.
        let code = database.code().unwrap_or_default();
        let passing = matches!(code.as_ref(), "40001" | "40P01" | "55P03" | "57014")
            || ["08", "53", "57P"]
                .iter()
                .any(|class| code.starts_with(class));
        if passing {
            Self::Unavailable(error)
        } else {
            Self::Database(error)
        }
    }
}
