-- What the worker gave up on waits for a person: since when, who takes care of it, and, where nothing can be done, who said so.
ALTER TABLE connections
    ADD COLUMN stalled_at      timestamptz,
    ADD COLUMN stall_owner     text,
    ADD COLUMN stall_owned_at  timestamptz,
    ADD COLUMN gave_up_at      timestamptz,
    ADD COLUMN gave_up_by      text,
    ADD COLUMN gave_up_reason  text,
    DROP CONSTRAINT connections_sync_state_known,
    ADD CONSTRAINT connections_sync_state_known
        CHECK (sync_state IN ('idle', 'due', 'confirming', 'stalled', 'given_up')),
    ADD CONSTRAINT connections_stall_owned_whole CHECK ((stall_owner IS NULL) = (stall_owned_at IS NULL)),
    ADD CONSTRAINT connections_gave_up_whole
        CHECK ((gave_up_at IS NULL) = (gave_up_by IS NULL) AND (gave_up_at IS NULL) = (gave_up_reason IS NULL));

ALTER TABLE endpoint_services
    ADD COLUMN stalled_at      timestamptz,
    ADD COLUMN stall_owner     text,
    ADD COLUMN stall_owned_at  timestamptz,
    ADD CONSTRAINT endpoint_services_stall_owned_whole CHECK ((stall_owner IS NULL) = (stall_owned_at IS NULL));

UPDATE connections SET stalled_at = now() WHERE sync_state = 'stalled';
UPDATE endpoint_services SET stalled_at = now() WHERE sync_state = 'stalled';

-- Many statements move a sync in and out of `stalled`. The table itself notes since when, and that whoever took care is done, so that
-- no statement can forget it. Nothing is decided by this time, so it is the database's.
CREATE FUNCTION note_stall() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.stall_owner := NULL;
    NEW.stall_owned_at := NULL;
    NEW.stalled_at := CASE WHEN NEW.sync_state = 'stalled' THEN now() END;
    RETURN NEW;
END
$$;

CREATE TRIGGER connections_note_stall BEFORE UPDATE OF sync_state ON connections FOR EACH ROW
    WHEN ((OLD.sync_state = 'stalled') IS DISTINCT FROM (NEW.sync_state = 'stalled'))
    EXECUTE FUNCTION note_stall();
CREATE TRIGGER endpoint_services_note_stall BEFORE UPDATE OF sync_state ON endpoint_services FOR EACH ROW
    WHEN ((OLD.sync_state = 'stalled') IS DISTINCT FROM (NEW.sync_state = 'stalled'))
    EXECUTE FUNCTION note_stall();

-- In the same way, what wakes a connection that was given up takes the word of whoever did away.
CREATE FUNCTION forget_giving_up() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.gave_up_at := NULL;
    NEW.gave_up_by := NULL;
    NEW.gave_up_reason := NULL;
    RETURN NEW;
END
$$;

CREATE TRIGGER connections_forget_giving_up BEFORE UPDATE OF sync_state ON connections FOR EACH ROW
    WHEN (OLD.sync_state = 'given_up' AND NEW.sync_state <> 'given_up')
    EXECUTE FUNCTION forget_giving_up();

-- The list of what is stalled, oldest first, and its count by code.
CREATE INDEX connections_stalled ON connections (stalled_at, id) WHERE sync_state = 'stalled';
CREATE INDEX endpoint_services_stalled ON endpoint_services (stalled_at, id) WHERE sync_state = 'stalled';

-- The one word learns `given_up`. PostgreSQL 15 cannot change the expression of a generated column, so it is made anew.
ALTER TABLE connections DROP COLUMN summary;
ALTER TABLE connections ADD COLUMN summary text NOT NULL GENERATED ALWAYS AS (
    CASE
        WHEN sync_state IN ('stalled', 'given_up') THEN sync_state
        WHEN observed_state IN ('deleted', 'deleting', 'expired', 'failed') THEN observed_state
        WHEN observed_state NOT IN ('pendingAcceptance', 'pending', 'available', 'rejected', 'partial') THEN 'unknown'
        WHEN review_state = 'rejected' AND observed_state <> 'rejected' THEN 'rejecting'
        WHEN review_state = 'revoked' AND observed_state <> 'rejected' THEN 'revoking'
        WHEN review_state = 'revoked' THEN 'revoked'
        WHEN observed_state IN ('available', 'rejected', 'partial') THEN observed_state
        WHEN review_state = 'accepted' THEN 'accepting'
        WHEN observed_state = 'pendingAcceptance' THEN 'waiting'
        ELSE 'provisioning'
    END
) STORED;
CREATE INDEX connections_by_summary ON connections (summary, id DESC);
