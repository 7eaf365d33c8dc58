//! The chaos run: a PostgreSQL, the simulator and two replicas of the built program, people and consumers who use them, and trouble
//! of every kind that one machine can make. Then everything is left in peace, and the history checker reads what came of it.
//!
//! The seed chooses who does what and what goes wrong; when exactly it happens is up to the machine. A run that fails names its seed,
//! and that seed leads to the same trouble again, not to the same moments. Every loop ends by count or by time, and nothing outside
//! this machine is spoken to.

mod chance;
mod end;
mod line;
mod people;
mod process;
mod rest;
mod scene;
mod sim;
mod standby;
mod tally;
mod trouble;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

/// What went wrong, as a sentence.
type Failure = Box<dyn std::error::Error + Send + Sync>;
type Result<T = ()> = std::result::Result<T, Failure>;

#[derive(Parser)]
#[command(about = "Kills, stops, delays and lies, and checks that nothing was lost.")]
struct Arguments {
    /// Chooses who does what and what goes wrong.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How long the trouble lasts; the peace afterwards takes a minute or two.
    #[arg(long, default_value_t = 1.0)]
    minutes: f64,
    /// The built program.
    #[arg(long)]
    program: PathBuf,
    /// The build that the replicas run, when it is another: an older release against a newer schema, for example.
    #[arg(long)]
    replicas: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seed = arguments.seed;
    let lasts = Duration::from_secs_f64((arguments.minutes * 60.0).clamp(5.0, 6.0 * 3_600.0));
    match run(&arguments, lasts).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("chaos: an invariant was broken; seed {seed}");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("chaos: the run itself failed; seed {seed}: {error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                eprintln!("chaos: because {error}");
                cause = error.source();
            }
            ExitCode::FAILURE
        }
    }
}

/// The whole run. Answers whether all invariants hold.
async fn run(arguments: &Arguments, lasts: Duration) -> Result<bool> {
    let mut scene = scene::Scene::set_up(arguments).await?;
    println!(
        "chaos: seed {}, {} s of trouble",
        arguments.seed,
        lasts.as_secs()
    );
    let people = people::begin(&scene, arguments.seed);
    let weather = trouble::Weather::begin(&scene, arguments.seed);
    let made = trouble::make(&mut scene, arguments.seed, lasts).await;
    let weather = weather.end().await;
    people.stop().await;
    let held = match made.and(weather) {
        Ok(()) => end::peace_and_check(&mut scene).await,
        Err(error) => Err(error),
    };
    if !matches!(held, Ok(true)) {
        scene.keep_logs();
    }
    held
}
