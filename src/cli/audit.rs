//! `portcullis audit`: verifying the audit trail, keeping its head, and reading it out.

use std::io::{self, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use audit_chain::{Checked, Fault, Head, PublicKey, verify_export};
use clap::{Args, Subcommand};

use super::{ConfigArgs, Failure};
use crate::api::auth::open_key_file;
use crate::app::verify_audit::{self, AT_ONCE};
use crate::config::Settings;
use crate::store::{self, PgPool, PoolLimits};

#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Verify the trail in the database, or one that was exported; says the first thing that is wrong and exits with 1
    Verify(VerifyArgs),
    /// Print the end of the chain, to be kept where nobody who can write the database can write
    Head(ConfigArgs),
    /// Write the sealed trail to standard output as JSON Lines
    Export(ConfigArgs),
    /// Print the public key of a signing key, which is made if missing
    PublicKey(KeyArgs),
}

#[derive(Debug, Args)]
struct VerifyArgs {
    /// An export to verify, without a database; `-` reads standard input
    #[arg(long)]
    file: Option<PathBuf>,
    /// A public key that seals may be signed by; without one, signatures are not looked at
    #[arg(long = "public-key", value_name = "PEM FILE")]
    public_keys: Vec<PathBuf>,
    /// A head that was kept: the chain has to lead over it
    #[arg(long = "head", value_name = "NUMBER:HASH")]
    heads: Vec<Head>,
    #[command(flatten)]
    config: ConfigArgs,
}

#[derive(Debug, Args)]
struct KeyArgs {
    /// The signing key's file
    #[arg(long)]
    key_file: PathBuf,
}

pub(super) async fn run(args: AuditArgs) -> Result<ExitCode, Failure> {
    match args.command {
        Command::Verify(args) => verify(args).await,
        Command::Head(args) => head(&args).await,
        Command::Export(args) => export(&args).await,
        Command::PublicKey(args) => {
            let key = open_key_file(&args.key_file)?;
            let key = audit_chain::SealingKey::from_pkcs8(&key.pkcs8)?;
            print!("{}", key.public().to_pem());
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn pool(args: &ConfigArgs) -> Result<PgPool, Failure> {
    let settings = Settings::load(args.config.as_deref())?;
    let limits = PoolLimits {
        max_connections: u32::try_from(AT_ONCE)?,
        ..settings.database.pool_limits()
    };
    Ok(store::pool(settings.database_url()?, limits)?)
}

async fn verify(args: VerifyArgs) -> Result<ExitCode, Failure> {
    let mut keys = Vec::new();
    for path in &args.public_keys {
        let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| named(&error))?;
        keys.push(PublicKey::from_pem(&text).map_err(|error| named(&error))?);
    }
    let signed = !keys.is_empty();
    let (found, waiting) = match &args.file {
        Some(path) => (verify_file(path, keys, args.heads)?, None),
        None => match verify_audit::verify(&pool(&args.config)?, keys, args.heads).await? {
            Ok(verified) => (Ok(verified.checked), Some(verified.waiting)),
            Err(fault) => (Err(fault), None),
        },
    };
    match found {
        Ok(checked) => {
            tell(&checked, signed, waiting);
            Ok(ExitCode::SUCCESS)
        }
        Err(fault) => {
            eprintln!("portcullis: the audit trail is not what it was: {fault}");
            Ok(ExitCode::from(1))
        }
    }
}

fn tell(checked: &Checked, signed: bool, waiting: Option<i64>) {
    println!(
        "{} entries in {} seals are as they were written",
        checked.entries, checked.seals
    );
    if checked.retired > 0 {
        println!(
            "{} older entries were let go by a signed word",
            checked.retired
        );
    }
    if signed {
        println!("{} signatures are good", checked.signatures);
    } else {
        println!("signatures were not looked at: name a --public-key");
    }
    if let Some(waiting) = waiting {
        println!("{waiting} entries wait for their seal");
    }
    if let Some(head) = checked.head {
        println!("head {head}");
    }
}

fn verify_file(
    path: &Path,
    keys: Vec<PublicKey>,
    heads: Vec<Head>,
) -> Result<Result<Checked, Fault>, Failure> {
    let input: Box<dyn io::Read> = if path == Path::new("-") {
        Box::new(io::stdin())
    } else {
        let named = |error: io::Error| format!("{}: {error}", path.display());
        Box::new(std::fs::File::open(path).map_err(named)?)
    };
    Ok(verify_export(BufReader::new(input), keys, heads)?)
}

async fn head(args: &ConfigArgs) -> Result<ExitCode, Failure> {
    match verify_audit::head(&pool(args)?).await? {
        Some(head) => println!("{head}"),
        None => return Err("nothing is sealed yet".into()),
    }
    Ok(ExitCode::SUCCESS)
}

async fn export(args: &ConfigArgs) -> Result<ExitCode, Failure> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    verify_audit::export(&pool(args)?, |line| writeln!(out, "{line}")).await?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
