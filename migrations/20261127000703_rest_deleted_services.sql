-- A worker that died right after it had noted a deletion left the sync of the service due, and nobody looks at a service that AWS does not have.
UPDATE endpoint_services
   SET sync_state = 'idle', sync_attempts = 0, sync_code = NULL, sync_message = NULL, waiting = NULL, refresh_zones_at = NULL
 WHERE lifecycle = 'deleted' AND sync_state <> 'idle';
