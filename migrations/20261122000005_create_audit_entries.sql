-- Who did what, when and why. Written in the transaction of the change it tells about; never changed afterwards.
CREATE TABLE audit_entries (
    id              uuid NOT NULL,
    at              timestamptz NOT NULL,
    actor_kind      text NOT NULL,
    actor           text NOT NULL,
    action          text NOT NULL,
    subject_kind    text NOT NULL,
    subject_id      uuid NOT NULL,
    before          jsonb,
    after           jsonb,
    reason          text,
    request_id      text,
    decision_id     uuid,
    PRIMARY KEY (id, at),
    CONSTRAINT audit_entries_actor_kind_known CHECK (actor_kind IN ('person', 'policy', 'worker', 'aws')),
    CONSTRAINT audit_entries_subject_kind_known CHECK (subject_kind IN ('account_region', 'endpoint_service', 'connection'))
) PARTITION BY RANGE (at);
CREATE INDEX audit_entries_by_subject ON audit_entries (subject_id, at);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER audit_entries_append_only BEFORE UPDATE OR DELETE ON audit_entries
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_entries_no_truncate BEFORE TRUNCATE ON audit_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER decisions_no_truncate BEFORE TRUNCATE ON decisions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER decisions_append_only BEFORE UPDATE OR DELETE ON decisions
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

SELECT ensure_month_partitions('observations', now()),
       ensure_month_partitions('sync_attempts', now()),
       ensure_month_partitions('audit_entries', now());
