//! `cargo xtask db`: the database of the edit loop. It keeps its data between runs, in `.portcullis/dev`.

use std::time::Duration;

use private_postgres::{Cluster, Options};

use crate::{Result, database, place};

/// Starts, migrates, prints the URL and stays. Ctrl-C ends us, and the cluster with us.
pub(crate) fn run() -> Result {
    let mut options = Options::new(place::root().join(".portcullis/dev"));
    options.progress = |sentence| eprintln!("{sentence}");
    let mut cluster = Cluster::start(&options)?;
    cluster.create_database("portcullis")?;
    let applied = database::migrate(&cluster, "portcullis")?;
    eprintln!(
        "PostgreSQL {} in {}, {applied} new migrations; Ctrl-C stops it. In another terminal:",
        cluster.major_version(),
        cluster.home().display()
    );
    println!("export DATABASE_URL='{}'", cluster.url("portcullis"));
    while !cluster.has_ended() {
        std::thread::park_timeout(Duration::from_secs(1));
    }
    Err(format!(
        "the database ended by itself: see {}",
        cluster.log_file().display()
    )
    .into())
}
