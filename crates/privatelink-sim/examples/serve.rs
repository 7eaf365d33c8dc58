//! Serves a simulator on its own: `cargo run -p privatelink-sim --example serve -- 127.0.0.1:4600 [state file]`.

use std::error::Error;
use std::net::TcpListener;

use privatelink_sim::{SimConfig, Simulator};

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments
        .next()
        .unwrap_or_else(|| "127.0.0.1:4600".to_owned());
    let simulator = Simulator::new(SimConfig {
        state_file: arguments.next().map(Into::into),
        ..SimConfig::default()
    })?;
    let listener = TcpListener::bind(address)?;
    println!("http://{}", listener.local_addr()?);
    let (server, _handle) = simulator.serve(listener)?;
    server.await?;
    Ok(())
}
