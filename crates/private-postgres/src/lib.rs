//! Starts and owns a private PostgreSQL cluster.
//!
//! [`Cluster::start`] turns a directory into a running server and gives it back when the value is dropped. It finds the server's
//! programs (or fetches them), creates the cluster once, reuses it afterwards and heals what a crash left behind. There is no
//! async here and no database driver: the few statements the launcher needs are spoken by `wire` over the socket.
//!
//! Three rules hold everywhere:
//!
//! * **The server never outlives us.** It runs under a small shell guard that holds one end of a pipe; when we stop, for
//!   whatever reason and even by `SIGKILL`, the pipe closes and the guard stops the server.
//! * **Only its owner can reach it.** The server has no TCP port. Its Unix socket is in a directory that only the account it
//!   runs as may enter, so local connections need no password (`trust`) and there is no secret to store, print or leak.
//! * **One starter at a time.** A locked file in the data directory is held for as long as the cluster runs.
//!
//! PostgreSQL refuses to run as root. When we are root, every program of the server runs as `postgres`, else `nobody`.

mod account;
mod binaries;
mod cluster;
mod create;
mod error;
mod guard;
mod heal;
mod lock;
mod obtain;
mod options;
mod pause;
mod place;
mod wire;

pub use cluster::Cluster;
pub use error::Error;
pub use options::{Durability, Options};
pub use wire::Rows;

/// The oldest major version of PostgreSQL that the launcher accepts.
pub const OLDEST_MAJOR: u32 = 15;
