-- Seals over the audit trail. An entry waits for its seal from its own transaction on; the sealer takes what waits, batch by batch, so that nobody who writes
-- an entry waits for another.
CREATE TABLE audit_unsealed (
    id  uuid NOT NULL,
    at  timestamptz NOT NULL,
    CONSTRAINT audit_unsealed_pkey PRIMARY KEY (id, at)
);

CREATE TABLE audit_seals (
    number     bigint NOT NULL,
    at         timestamptz NOT NULL,
    -- The hash of the seal before; zeros for the first.
    previous   bytea NOT NULL,
    -- Of each entry: id, microseconds since 1970, SHA-256 of its text.
    leaves     bytea NOT NULL,
    hash       bytea NOT NULL,
    -- Which key signed the hash, and how; neither where no key is configured.
    key_id     text,
    signature  bytea,
    CONSTRAINT audit_seals_pkey PRIMARY KEY (number),
    CONSTRAINT audit_seals_number_positive CHECK (number > 0),
    CONSTRAINT audit_seals_hashes_whole CHECK (octet_length(previous) = 32 AND octet_length(hash) = 32),
    CONSTRAINT audit_seals_leaves_whole CHECK (octet_length(leaves) > 0 AND octet_length(leaves) % 56 = 0),
    CONSTRAINT audit_seals_signature_whole CHECK ((key_id IS NULL) = (signature IS NULL))
);
CREATE TRIGGER audit_seals_append_only BEFORE UPDATE OR DELETE ON audit_seals
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_seals_no_truncate BEFORE TRUNCATE ON audit_seals
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The text of an entry, whose very bytes are hashed. It depends on no setting of a session, and must never change: what was sealed with it has to be
-- verified with it. A new column needs a new function, and seals that say which of the two they are of.
CREATE FUNCTION audit_text(entry audit_entries) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT jsonb_build_object(
        'id', entry.id,
        'at', to_char(entry.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'actor_kind', entry.actor_kind,
        'actor', entry.actor,
        'action', entry.action,
        'subject_kind', entry.subject_kind,
        'subject_id', entry.subject_id,
        'before', entry.before,
        'after', entry.after,
        'reason', entry.reason,
        'request_id', entry.request_id,
        'decision_id', entry.decision_id)::text
$$;

CREATE FUNCTION await_seal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_unsealed (id, at) SELECT id, at FROM written;
    RETURN NULL;
END
$$;
CREATE TRIGGER audit_entries_await_seal AFTER INSERT ON audit_entries
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION await_seal();

INSERT INTO audit_unsealed (id, at) SELECT id, at FROM audit_entries;
