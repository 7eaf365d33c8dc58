-- The word that audit entries before a time were let go, because they were kept for as long as they are to be kept: what a verification accepts as missing.
-- The seals that name the entries stay.
CREATE TABLE audit_retirements (
    number     bigint NOT NULL,
    before     timestamptz NOT NULL,
    at         timestamptz NOT NULL,
    -- The end of the chain then.
    seal       bigint NOT NULL REFERENCES audit_seals (number),
    seal_hash  bytea NOT NULL,
    hash       bytea NOT NULL,
    -- Which key signed the hash, and how; neither where no key is configured.
    key_id     text,
    signature  bytea,
    CONSTRAINT audit_retirements_pkey PRIMARY KEY (number),
    CONSTRAINT audit_retirements_number_positive CHECK (number > 0),
    CONSTRAINT audit_retirements_hashes_whole CHECK (octet_length(seal_hash) = 32 AND octet_length(hash) = 32),
    CONSTRAINT audit_retirements_signature_whole CHECK ((key_id IS NULL) = (signature IS NULL))
);
CREATE TRIGGER audit_retirements_append_only BEFORE UPDATE OR DELETE ON audit_retirements
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_retirements_no_truncate BEFORE TRUNCATE ON audit_retirements
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The partitions of a table whose months have ended before a time.
CREATE FUNCTION month_partitions_before(parent text, before timestamptz) RETURNS SETOF text LANGUAGE sql STABLE AS $$
    SELECT child.relname::text
      FROM pg_inherits AS link
      JOIN pg_class AS child ON child.oid = link.inhrelid
     WHERE link.inhparent = to_regclass(parent)
       AND right(child.relname, 6) ~ '^[0-9]{6}$'
       AND to_date(right(child.relname, 6), 'YYYYMM') + interval '1 month' <= before AT TIME ZONE 'UTC'
     ORDER BY 1
$$;

-- Drops them. Whoever asks holds a short lock time-out: writers wait behind whoever waits here.
CREATE FUNCTION drop_month_partitions(parent text, before timestamptz) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    name     text;
    dropped  integer := 0;
BEGIN
    FOR name IN SELECT month_partitions_before(parent, before) LOOP
        EXECUTE format('DROP TABLE %I', name);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END
$$;
