//! The control API about VPC Lattice, which is registered and not simulated.

use actix_web::{HttpResponse, web};

use super::control::{Asked, failed, refused};
use crate::Simulator;
use crate::world::lattice::Registration;

pub(super) async fn registered(simulator: web::Data<Simulator>) -> HttpResponse {
    HttpResponse::Ok().json(simulator.world().registered_lattice())
}

pub(super) async fn register(
    simulator: web::Data<Simulator>,
    new: Asked<Registration>,
) -> HttpResponse {
    match simulator.with_world(|world| world.register_lattice(new.into_inner().0)) {
        Ok(Ok(())) => HttpResponse::NoContent().finish(),
        Ok(Err(error)) => refused(&error),
        Err(error) => failed(&error),
    }
}
