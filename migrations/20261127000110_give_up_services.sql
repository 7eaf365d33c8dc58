-- A person can accept that AWS cannot be brought in step about a service, as about a connection.
ALTER TABLE endpoint_services
    ADD COLUMN gave_up_at      timestamptz,
    ADD COLUMN gave_up_by      text,
    ADD COLUMN gave_up_reason  text,
    DROP CONSTRAINT endpoint_services_sync_state_known,
    ADD CONSTRAINT endpoint_services_sync_state_known CHECK (sync_state IN ('idle', 'due', 'stalled', 'given_up')),
    ADD CONSTRAINT endpoint_services_gave_up_whole
        CHECK ((gave_up_at IS NULL) = (gave_up_by IS NULL) AND (gave_up_at IS NULL) = (gave_up_reason IS NULL));

CREATE TRIGGER endpoint_services_forget_giving_up BEFORE UPDATE OF sync_state ON endpoint_services FOR EACH ROW
    WHEN (OLD.sync_state = 'given_up' AND NEW.sync_state <> 'given_up')
    EXECUTE FUNCTION forget_giving_up();

-- What was given up is not due, as what is stalled is not.
DROP INDEX endpoint_services_due;
CREATE INDEX endpoint_services_due ON endpoint_services (account_region_id, sync_due_at) WHERE sync_state NOT IN ('stalled', 'given_up');
