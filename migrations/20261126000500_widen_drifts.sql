-- The drift inbox: every disagreement between AWS and us that no decision of ours explains. Until now only connections had drifts.
--
-- A row stands while the disagreement does (`resolved_at` is NULL). An open row waits for a person; an ignored one stands too, and keeps
-- quiet until what it is about changes or heals. Adopted, reverted and resolved rows are closed for good.
ALTER TABLE drifts
    ALTER COLUMN connection_id DROP NOT NULL,
    ALTER COLUMN review_state DROP NOT NULL,
    ALTER COLUMN observed_state DROP NOT NULL,
    ADD COLUMN account_region_id   uuid REFERENCES account_regions (id),
    -- The registered service that it is about, or whose connection it is about.
    ADD COLUMN endpoint_service_id uuid REFERENCES endpoint_services (id),
    -- Which one of its kind: an endpoint, a principal, or a service by AWS's id.
    ADD COLUMN subject             text,
    -- What was decided or desired, and what AWS shows. The two are the content: when it changes, a new row begins.
    ADD COLUMN before              jsonb,
    ADD COLUMN after               jsonb,
    -- What else was seen, for whoever has to judge it.
    ADD COLUMN evidence            jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN state               text NOT NULL DEFAULT 'open',
    ADD COLUMN settled_at          timestamptz,
    ADD COLUMN settled_by_kind     text,
    ADD COLUMN settled_by          text,
    ADD COLUMN settled_reason      text;

UPDATE drifts AS d
   SET account_region_id = c.account_region_id, endpoint_service_id = c.endpoint_service_id, subject = c.endpoint_id,
       before = jsonb_build_object('review', d.review_state), after = jsonb_build_object('observed', d.observed_state),
       state = CASE WHEN d.resolved_at IS NULL THEN 'open' ELSE 'resolved' END,
       settled_at = d.resolved_at,
       settled_by_kind = CASE WHEN d.resolved_at IS NULL THEN NULL ELSE 'worker' END,
       settled_by = CASE WHEN d.resolved_at IS NULL THEN NULL ELSE 'worker' END,
       settled_reason = CASE WHEN d.resolved_at IS NULL THEN NULL ELSE 'settled before it was recorded by whom' END
  FROM connections c
 WHERE c.id = d.connection_id;

-- While a release rolls out, replicas of the version before still write rows the old way. This fills in what they do not know of.
CREATE FUNCTION fill_drift() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.account_region_id IS NULL THEN
        SELECT c.account_region_id, c.endpoint_service_id, c.endpoint_id
          INTO NEW.account_region_id, NEW.endpoint_service_id, NEW.subject
          FROM connections c WHERE c.id = NEW.connection_id;
        NEW.before := jsonb_build_object('review', NEW.review_state);
        NEW.after := jsonb_build_object('observed', NEW.observed_state);
    END IF;
    IF NEW.resolved_at IS NOT NULL AND NEW.state = 'open' THEN
        NEW.state := 'resolved';
        NEW.settled_at := NEW.resolved_at;
        NEW.settled_by_kind := 'worker';
        NEW.settled_by := 'worker';
        NEW.settled_reason := 'settled before it was recorded by whom';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER drifts_filled BEFORE INSERT OR UPDATE ON drifts
    FOR EACH ROW EXECUTE FUNCTION fill_drift();

ALTER TABLE drifts
    DROP CONSTRAINT drifts_kind_known,
    ADD CONSTRAINT drifts_kind_known CHECK (kind IN ('accepted_outside', 'rejected_outside', 'auto_accepted', 'preexisting',
                                                     'service_reconfigured', 'unknown_principal', 'unknown_service')),
    ALTER COLUMN account_region_id SET NOT NULL,
    ALTER COLUMN subject SET NOT NULL,
    ADD CONSTRAINT drifts_about_what_its_kind_says CHECK (
        CASE kind
            WHEN 'unknown_service' THEN connection_id IS NULL AND endpoint_service_id IS NULL
            WHEN 'service_reconfigured' THEN connection_id IS NULL AND endpoint_service_id IS NOT NULL
            WHEN 'unknown_principal' THEN connection_id IS NULL AND endpoint_service_id IS NOT NULL
            ELSE connection_id IS NOT NULL AND endpoint_service_id IS NOT NULL
        END),
    ADD CONSTRAINT drifts_state_known CHECK (state IN ('open', 'adopted', 'reverted', 'ignored', 'resolved')),
    ADD CONSTRAINT drifts_state_stands CHECK (
        CASE state WHEN 'open' THEN resolved_at IS NULL WHEN 'ignored' THEN true ELSE resolved_at IS NOT NULL END),
    ADD CONSTRAINT drifts_settled_whole CHECK (
        (state = 'open') = (settled_at IS NULL) AND (settled_at IS NULL) = (settled_by_kind IS NULL)
        AND (settled_at IS NULL) = (settled_by IS NULL) AND (settled_at IS NULL) = (settled_reason IS NULL));

-- The same disagreement stands once.
CREATE UNIQUE INDEX drifts_one_standing ON drifts (account_region_id, kind, endpoint_service_id, subject) NULLS NOT DISTINCT
    WHERE resolved_at IS NULL;
-- The inbox, newest first, and its count by kind.
CREATE INDEX drifts_open ON drifts (account_region_id, kind, id DESC) WHERE state = 'open';
CREATE INDEX drifts_by_service ON drifts (endpoint_service_id, id DESC);
CREATE INDEX drifts_by_connection ON drifts (connection_id, id DESC) WHERE connection_id IS NOT NULL;

-- When AWS last took a change of ours and was seen to agree. For a while after that a read may still show the state from before.
ALTER TABLE endpoint_services ADD COLUMN applied_at timestamptz;
