-- The ledger of use is kept by month of the hour, as the other tables that grow for ever are: its triggers refuse to delete a row, so whole months are what can be let go
-- of, and a month that is sealed is written no more, whatever the size of the others.

-- From which hour on the ledger is kept. What is before was let go of, and is never written again: nobody is to be billed twice for it.
CREATE TABLE usage_kept (
    whole      boolean NOT NULL DEFAULT true,
    from_hour  timestamptz NOT NULL,
    CONSTRAINT usage_kept_pkey PRIMARY KEY (whole),
    CONSTRAINT usage_kept_one_row CHECK (whole)
);
INSERT INTO usage_kept (from_hour) VALUES ('-infinity');

-- Reports name their row by id and hour. A reference would keep the row's month from being dropped; a trigger sees to it that reports come after their row and go after it.
ALTER TABLE usage_reports
    DROP CONSTRAINT usage_reports_usage_hour,
    ADD COLUMN hour timestamptz NOT NULL GENERATED ALWAYS AS (date_bin('1 hour', at, timestamptz '2000-01-01 00:00:00+00')) STORED;

ALTER TABLE usage_hours RENAME TO usage_hours_before;
ALTER TABLE usage_hours_before DROP CONSTRAINT usage_hours_pkey, DROP CONSTRAINT usage_hours_one_of_each;
DROP INDEX usage_hours_by_hour, usage_hours_by_agreement, usage_hours_by_connection, usage_hours_open;

CREATE TABLE usage_hours (
    LIKE usage_hours_before INCLUDING GENERATED INCLUDING CONSTRAINTS,
    CONSTRAINT usage_hours_pkey PRIMARY KEY (id, hour),
    CONSTRAINT usage_hours_agreement FOREIGN KEY (agreement_id) REFERENCES agreements (id),
    CONSTRAINT usage_hours_connection FOREIGN KEY (connection_id) REFERENCES connections (id),
    CONSTRAINT usage_hours_one_of_each UNIQUE NULLS NOT DISTINCT (agreement_id, hour, dimension, connection_id, account_id, billing, part)
) PARTITION BY RANGE (hour);

-- Makes the partitions of a time, unless they were let go of.
CREATE FUNCTION ensure_usage_partitions(from_hour timestamptz, until_hour timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    month timestamp;
BEGIN
    FOR month IN SELECT generate_series(date_trunc('month', greatest(from_hour, (SELECT k.from_hour FROM usage_kept k)) AT TIME ZONE 'UTC'),
                                        until_hour AT TIME ZONE 'UTC', interval '1 month')
    LOOP
        PERFORM ensure_month_partitions('usage_hours', month AT TIME ZONE 'UTC');
    END LOOP;
END
$$;
-- The longest ago that use may be reported, and 1 day; and whatever is there.
SELECT ensure_usage_partitions(least((SELECT min(hour) FROM usage_hours_before), now() - interval '93 days'), greatest((SELECT max(hour) FROM usage_hours_before), now()));

INSERT INTO usage_hours (id, agreement_id, dimension, unit, connection_id, account_id, hour, source, billing, part, seconds, quantity, price, currency, state, reason,
                         recorded_at, sealed_at)
SELECT id, agreement_id, dimension, unit, connection_id, account_id, hour, source, billing, part, seconds, quantity, price, currency, state, reason, recorded_at, sealed_at
  FROM usage_hours_before ORDER BY id;
DO $$
BEGIN
    IF (SELECT count(*) FROM usage_hours) <> (SELECT count(*) FROM usage_hours_before) THEN
        RAISE EXCEPTION 'rows of the usage ledger are missing';
    END IF;
END
$$;
DROP TABLE usage_hours_before;

CREATE INDEX usage_hours_by_agreement ON usage_hours (agreement_id, id);
CREATE INDEX usage_hours_by_connection ON usage_hours (connection_id, id) WHERE connection_id IS NOT NULL;
CREATE INDEX usage_hours_open ON usage_hours (agreement_id, hour) WHERE state = 'open';
CREATE TRIGGER usage_hours_kept BEFORE UPDATE ON usage_hours FOR EACH ROW EXECUTE FUNCTION keep_usage();
CREATE TRIGGER usage_hours_no_delete BEFORE DELETE ON usage_hours FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER usage_hours_no_truncate BEFORE TRUNCATE ON usage_hours FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE FUNCTION keep_report() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    of    usage_reports := CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
    kept  boolean := EXISTS (SELECT FROM usage_hours WHERE id = of.usage_hour_id AND hour = of.hour);
BEGIN
    IF TG_OP = 'INSERT' AND NOT kept THEN
        RAISE EXCEPTION 'report % of % has no row', of.event_id, of.agreement_id USING ERRCODE = 'foreign_key_violation';
    END IF;
    IF TG_OP = 'DELETE' AND kept THEN
        RAISE EXCEPTION 'usage_reports is append-only while the row is kept' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN of;
END
$$;
DROP TRIGGER usage_reports_append_only ON usage_reports;
CREATE TRIGGER usage_reports_append_only BEFORE UPDATE ON usage_reports FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER usage_reports_outlive_their_row BEFORE DELETE ON usage_reports FOR EACH ROW EXECUTE FUNCTION keep_report();
-- The hour is worked out after the triggers that come before.
CREATE TRIGGER usage_reports_after_their_row AFTER INSERT ON usage_reports FOR EACH ROW EXECUTE FUNCTION keep_report();
DROP INDEX usage_reports_of_row;
CREATE INDEX usage_reports_by_hour ON usage_reports (hour);
