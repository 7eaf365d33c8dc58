//! The simulator over HTTP: AWS's wire protocols on `/`, the control API below `/_sim`.

mod aws;
mod calls;
mod control;
mod control_elb;
mod credential;
mod cut;
mod keys;
mod lattice;
mod names;
mod object;
mod signature;
mod sns;
mod sqs;
mod states;

use std::net::TcpListener;

use actix_web::dev::{Server, ServerHandle};
use actix_web::{App, HttpServer, web};

use crate::Simulator;
pub use signature::WELL_KNOWN_SECRET;

/// Larger bodies of AWS requests are refused; AWS's own limits are far lower.
pub const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

/// Larger bodies of control requests are refused. Snapshots are large.
pub const MAX_CONTROL_BODY_BYTES: usize = 512 * 1024 * 1024;

impl Simulator {
    /// Serves on a listener that is bound already. The server runs when it is awaited or spawned; the handle stops it.
    /// It leaves signals to the program around it.
    pub fn serve(&self, listener: TcpListener) -> std::io::Result<(Server, ServerHandle)> {
        let simulator = self.clone();
        let server = HttpServer::new(move || {
            // Each worker posts what SNS owes to HTTP(S) endpoints; when the workers end, so does that.
            let posting = simulator.clone();
            actix_web::rt::spawn(async move { posting.deliver_messages().await });
            App::new()
                .app_data(web::Data::new(simulator.clone()))
                .app_data(web::PayloadConfig::new(MAX_BODY_BYTES))
                .service(control::scope())
                .service(
                    web::resource("/")
                        .route(web::post().to(aws::post))
                        .route(web::get().to(aws::get)),
                )
                // Old clients post to the queue's own URL.
                .route("/{account:[0-9]{12}}/{queue}", web::post().to(aws::post))
                .route(
                    "/{file:SimpleNotificationService-[0-9a-f]{32}\\.pem}",
                    web::get().to(sns::certificate),
                )
                .default_service(web::to(aws::elsewhere))
        })
        .on_connect(cut::remember)
        .disable_signals()
        .shutdown_timeout(1)
        .workers(2)
        .listen(listener)?
        .run();
        let handle = server.handle();
        Ok((server, handle))
    }
}

#[cfg(test)]
mod control_tests;
#[cfg(test)]
mod delivery_tests;
#[cfg(test)]
mod delivery_tls_tests;
#[cfg(test)]
mod elb_tests;
#[cfg(test)]
mod endpoint_wire_tests;
#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod fuzz_size_tests;
#[cfg(test)]
mod fuzz_tests;
#[cfg(test)]
mod messaging_tests;
#[cfg(test)]
mod paging_tests;

#[cfg(test)]
mod provider_wire_tests;
#[cfg(test)]
mod request_tests;
#[cfg(test)]
mod signature_tests;
#[cfg(test)]
mod sts_tests;
#[cfg(test)]
mod wire_tests;
