-- Acceptance policies: what is asked about a connection that no gate stops. One set may decide for every service, and one for each service; both are
-- asked together. A row is one text with its life: draft, validated, tested, active, superseded; or discarded on the way.
CREATE TABLE policies (
    id                   uuid NOT NULL,
    -- The service that it is for; none: every service.
    endpoint_service_id  uuid REFERENCES endpoint_services (id),
    -- Counts the policies of one scope.
    number               bigint NOT NULL,
    state                text NOT NULL,
    text                 text NOT NULL,
    -- SHA-256 of the text: what judgements name the version by.
    digest               text NOT NULL,
    note                 text,
    -- Requests that it is tried with: a list of name, facts and expected outcome.
    cases                jsonb NOT NULL DEFAULT '[]',
    -- Rises with every change; whoever changes or activates names the one that they have read.
    version              bigint NOT NULL DEFAULT 1,
    created_at           timestamptz NOT NULL,
    created_by           text NOT NULL,
    -- Who gave it the text that it has.
    written_at           timestamptz NOT NULL,
    written_by           text NOT NULL,
    validated_at         timestamptz,
    validated_by         text,
    -- When all its cases came out as expected, with this text.
    passed_at            timestamptz,
    tested_at            timestamptz,
    tested_by            text,
    activated_at         timestamptz,
    activated_by         text,
    activated_reason     text,
    -- Who gave it up, replaced it or took it out of force.
    ended_at             timestamptz,
    ended_by             text,
    ended_reason         text,
    -- What took its place; none where nothing did.
    superseded_by        uuid REFERENCES policies (id),
    CONSTRAINT policies_pkey PRIMARY KEY (id),
    CONSTRAINT policies_state_known CHECK (state IN ('draft', 'validated', 'tested', 'active', 'superseded', 'discarded')),
    CONSTRAINT policies_digest_shape CHECK (digest ~ '^[0-9a-f]{64}$'),
    CONSTRAINT policies_cases_list CHECK (jsonb_typeof(cases) = 'array'),
    CONSTRAINT policies_validated_whole CHECK ((validated_at IS NULL) = (validated_by IS NULL)),
    CONSTRAINT policies_tested_whole CHECK ((tested_at IS NULL) = (tested_by IS NULL)),
    CONSTRAINT policies_steps_in_order CHECK (
        (state <> 'draft' OR num_nonnulls(validated_at, tested_at) = 0)
        AND (state NOT IN ('validated', 'tested', 'active', 'superseded') OR validated_at IS NOT NULL)
        AND (state NOT IN ('tested', 'active', 'superseded') OR num_nonnulls(passed_at, tested_at) = 2)),
    CONSTRAINT policies_activated_whole
        CHECK ((state IN ('active', 'superseded')) = (activated_at IS NOT NULL) AND (activated_at IS NULL) = (activated_by IS NULL)
               AND (activated_at IS NULL) = (activated_reason IS NULL)),
    CONSTRAINT policies_ended_whole
        CHECK ((state IN ('superseded', 'discarded')) = (ended_at IS NOT NULL) AND (ended_at IS NULL) = (ended_by IS NULL)
               AND (ended_at IS NULL) = (ended_reason IS NULL)),
    CONSTRAINT policies_superseded_when_ended CHECK (superseded_by IS NULL OR state = 'superseded')
);
CREATE UNIQUE INDEX policies_one_active ON policies (endpoint_service_id) NULLS NOT DISTINCT WHERE state = 'active';
CREATE UNIQUE INDEX policies_number_unique ON policies (endpoint_service_id, number) NULLS NOT DISTINCT;
-- Finding the text that a judgement names.
CREATE INDEX policies_by_digest ON policies (digest);

-- What decided, or was given up, stays as it was: only a candidate gets another text, and nothing comes back.
CREATE FUNCTION keep_policy() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state IN ('superseded', 'discarded')
        OR (OLD.state = 'active' AND NEW.state NOT IN ('active', 'superseded'))
        OR ((OLD.state = 'active' OR NEW.state NOT IN ('draft', 'validated', 'tested'))
            AND (OLD.text, OLD.digest, OLD.cases) IS DISTINCT FROM (NEW.text, NEW.digest, NEW.cases))
        OR (OLD.endpoint_service_id, OLD.number, OLD.id) IS DISTINCT FROM (NEW.endpoint_service_id, NEW.number, NEW.id)
    THEN
        RAISE EXCEPTION 'policy % is %: it stays as it is', OLD.id, OLD.state USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER policies_kept BEFORE UPDATE ON policies FOR EACH ROW EXECUTE FUNCTION keep_policy();
CREATE TRIGGER policies_no_delete BEFORE DELETE ON policies FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER policies_no_truncate BEFORE TRUNCATE ON policies FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

ALTER TABLE audit_entries
    DROP CONSTRAINT audit_entries_subject_kind_known,
    ADD CONSTRAINT audit_entries_subject_kind_known
        CHECK (subject_kind IN ('account_region', 'endpoint_service', 'connection', 'consumer', 'denial', 'block', 'policy',
                                'access_request', 'access_removal', 'rejudgement'));
