//! The groups of verbs: one file each.

mod access;
mod account_regions;
mod api;
mod audit;
mod connections;
mod consumers;
mod decide;
mod drifts;
mod events;
mod files;
mod filters;
mod operations;
mod policies;
mod policy_runs;
mod reviews;
mod services;
mod stalls;
mod tokens;
mod whoami;

use clap::Subcommand;

use crate::outcome::Failure;
use crate::session::Session;

/// The groups.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Who the token names, and whether the API takes it
    Whoami,
    /// AWS accounts in Regions
    #[command(subcommand)]
    AccountRegions(account_regions::Command),
    /// Endpoint services
    #[command(subcommand)]
    Services(services::Command),
    /// Connections: who asks, how they stand, and why
    #[command(subcommand)]
    Connections(connections::Command),
    /// Decide about connections: one or many
    #[command(subcommand)]
    Decide(decide::Command),
    /// What waits for a decision
    #[command(subcommand)]
    Reviews(reviews::Command),
    /// Acceptance policies
    #[command(subcommand)]
    Policies(policies::Command),
    /// What AWS shows and no decision explains
    #[command(subcommand)]
    Drifts(drifts::Command),
    /// Who connects, and their AWS accounts
    #[command(subcommand)]
    Consumers(consumers::Command),
    /// Access asked for before there is an endpoint
    #[command(subcommand)]
    AccessRequests(access::Command),
    /// What the worker gave up on
    #[command(subcommand)]
    Stalls(stalls::Command),
    /// What happens, in the order in which it happened
    #[command(subcommand)]
    Events(events::Command),
    /// Work that goes on for longer than a request
    #[command(subcommand)]
    Operations(operations::Command),
    /// Tokens of programs. Only people who are admins manage them
    #[command(subcommand)]
    Tokens(tokens::Command),
    /// Who did what, when and why. `portcullis audit verify` verifies the trail
    #[command(subcommand)]
    Audit(audit::Command),
    /// Any request
    Api(api::Args),
}

/// Runs one.
pub(crate) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    match command {
        Command::Whoami => whoami::run(session).await,
        Command::AccountRegions(command) => account_regions::run(session, command).await,
        Command::Services(command) => services::run(session, command).await,
        Command::Connections(command) => connections::run(session, command).await,
        Command::Decide(command) => decide::run(session, command).await,
        Command::Reviews(command) => reviews::run(session, command).await,
        Command::Policies(command) => policies::run(session, command).await,
        Command::Drifts(command) => drifts::run(session, command).await,
        Command::Consumers(command) => consumers::run(session, command).await,
        Command::AccessRequests(command) => access::run(session, command).await,
        Command::Stalls(command) => stalls::run(session, command).await,
        Command::Events(command) => events::run(session, command).await,
        Command::Operations(command) => operations::run(session, command).await,
        Command::Tokens(command) => tokens::run(session, command).await,
        Command::Audit(command) => audit::run(session, command).await,
        Command::Api(args) => api::run(session, args).await,
    }
}
