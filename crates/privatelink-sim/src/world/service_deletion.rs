//! `DeleteVpcEndpointServiceConfigurations`.

use super::services::Deletion;
use super::{Caller, Grave, World, later};
use crate::AwsError;
use crate::error::Unsuccessful;

impl World {
    /// Deletes services one by one. A refusal is an item of the answer, not an error of the call.
    pub fn delete_services(
        &mut self,
        caller: &Caller,
        ids: &[String],
    ) -> Result<Vec<Unsuccessful>, AwsError> {
        self.sweep(caller.now);
        if ids.is_empty() {
            return Err(AwsError::missing("ServiceId"));
        }
        Ok(ids
            .iter()
            .filter_map(|id| {
                let refused = caller
                    .forced_failure(id)
                    .map_or_else(|| self.delete_service(caller, id), Err);
                refused.err().map(|error| Unsuccessful {
                    resource_id: id.clone(),
                    error,
                })
            })
            .collect())
    }

    fn delete_service(&mut self, caller: &Caller, id: &str) -> Result<(), AwsError> {
        let (settle, deleting, linger) = (
            self.behavior.reject_settle_ms,
            self.behavior.service_deleting_ms,
            self.behavior.service_linger_ms,
        );
        let outlive = self.behavior.notifications_outlive_service;
        // The per-item code has no "Id" in its name, unlike the code of the whole call.
        let service = self.own_service_mut(caller, id).map_err(|error| {
            if error.code.ends_with("NotFound") {
                AwsError::new("InvalidVpcEndpointService.NotFound", error.message)
            } else {
                error
            }
        })?;
        if service.blocks_deletion(caller.now, settle) {
            return Err(AwsError::new(
                "ExistingVpcEndpointConnections",
                "Service has existing active VPC Endpoint connections!",
            ));
        }
        let done_at = later(caller.now, deleting);
        service.deletion = Some(Deletion {
            at: caller.now,
            done_at,
        });
        let id = service.id.clone();
        if !outlive {
            let rows = &mut self.place(caller).notifications;
            rows.retain(|_, row| row.service_id.as_ref() != Some(&id));
        }
        let grave = Grave::Service(id);
        self.graves
            .entry(later(done_at, linger))
            .or_default()
            .push(grave);
        Ok(())
    }
}
