-- Tokens of programs, each with what it may do and until when. The secret itself is nowhere: it has 256 bits of chance, so its SHA-256 gives nothing away
-- and needs no salt.
CREATE TABLE service_tokens (
    id              uuid NOT NULL,
    name            text NOT NULL,
    roles           text[] NOT NULL,
    -- The permissions that it is narrowed to; none: all that its roles grant.
    scopes          text[],
    secret_hash     bytea NOT NULL,
    -- The secret before the last rotation, and until when it goes on.
    previous_hash   bytea,
    previous_until  timestamptz,
    made_at         timestamptz NOT NULL,
    made_by         text NOT NULL,
    expires_at      timestamptz NOT NULL,
    rotated_at      timestamptz,
    rotated_by      text,
    -- Noted every few minutes, not with each request.
    last_used_at    timestamptz,
    revoked_at      timestamptz,
    revoked_by      text,
    revoked_reason  text,
    CONSTRAINT service_tokens_pkey PRIMARY KEY (id),
    CONSTRAINT service_tokens_name_given CHECK (name <> ''),
    CONSTRAINT service_tokens_roles_known CHECK (cardinality(roles) > 0 AND roles <@ ARRAY['viewer', 'auditor', 'approver', 'admin']),
    CONSTRAINT service_tokens_scopes_known CHECK (cardinality(scopes) > 0 AND scopes <@ ARRAY['read', 'audit', 'decide', 'manage']),
    CONSTRAINT service_tokens_hashes_whole CHECK (octet_length(secret_hash) = 32 AND octet_length(previous_hash) = 32),
    CONSTRAINT service_tokens_previous_whole CHECK ((previous_hash IS NULL) = (previous_until IS NULL) AND (previous_hash IS NULL OR rotated_at IS NOT NULL)),
    CONSTRAINT service_tokens_ends_later CHECK (expires_at > made_at),
    CONSTRAINT service_tokens_rotated_whole CHECK ((rotated_at IS NULL) = (rotated_by IS NULL)),
    CONSTRAINT service_tokens_revoked_whole CHECK ((revoked_at IS NULL) = (revoked_by IS NULL) AND (revoked_at IS NULL) = (revoked_reason IS NULL))
);
-- Whoever looks for a program's token finds one.
CREATE UNIQUE INDEX service_tokens_name_unique ON service_tokens (name) WHERE revoked_at IS NULL;

-- What a token may do never changes, and what was revoked stays so.
CREATE FUNCTION keep_service_token() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.revoked_at IS NOT NULL
        OR (OLD.id, OLD.name, OLD.roles, OLD.scopes, OLD.made_at, OLD.made_by, OLD.expires_at)
            IS DISTINCT FROM (NEW.id, NEW.name, NEW.roles, NEW.scopes, NEW.made_at, NEW.made_by, NEW.expires_at)
    THEN
        RAISE EXCEPTION 'service token %: what it may do and that it is revoked stay as they are', OLD.id USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER service_tokens_kept BEFORE UPDATE ON service_tokens FOR EACH ROW EXECUTE FUNCTION keep_service_token();
CREATE TRIGGER service_tokens_no_delete BEFORE DELETE ON service_tokens FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER service_tokens_no_truncate BEFORE TRUNCATE ON service_tokens FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Programs act as well, and are acted upon.
ALTER TABLE audit_entries
    DROP CONSTRAINT audit_entries_subject_kind_known,
    ADD CONSTRAINT audit_entries_subject_kind_known
        CHECK (subject_kind IN ('account_region', 'endpoint_service', 'connection', 'consumer', 'denial', 'block', 'policy',
                                'access_request', 'access_removal', 'rejudgement', 'service_token')),
    DROP CONSTRAINT audit_entries_actor_kind_known,
    ADD CONSTRAINT audit_entries_actor_kind_known CHECK (actor_kind IN ('person', 'service_token', 'policy', 'worker', 'aws'));
ALTER TABLE decisions
    DROP CONSTRAINT decisions_actor_kind_known,
    ADD CONSTRAINT decisions_actor_kind_known CHECK (actor_kind IN ('person', 'service_token', 'policy'));
ALTER TABLE reviews
    DROP CONSTRAINT reviews_held_by_kind_known,
    ADD CONSTRAINT reviews_held_by_kind_known CHECK (held_by_kind IN ('person', 'service_token', 'policy'));
ALTER TABLE access_removals
    DROP CONSTRAINT access_removals_actor_kind_known,
    ADD CONSTRAINT access_removals_actor_kind_known CHECK (actor_kind IN ('person', 'service_token', 'policy'));
