-- Tables that grow for ever are partitioned by month (their `at` column, UTC). This makes the partitions for the month of `at` and
-- the one after it. It is called when the schema is migrated and by the worker, so rows always find a partition; it is safe to call
-- at any time, by several replicas at once.
CREATE FUNCTION ensure_month_partitions(parent text, at timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    month date;
    name  text;
BEGIN
    FOR ahead IN 0..1 LOOP
        month := (date_trunc('month', at AT TIME ZONE 'UTC') + make_interval(months => ahead))::date;
        name := parent || '_' || to_char(month, 'YYYYMM');
        IF to_regclass(name) IS NULL THEN
            -- One maker at a time: two replicas may both have seen it missing.
            PERFORM pg_advisory_xact_lock(hashtext('ensure_month_partitions'));
            EXECUTE format(
                'CREATE TABLE IF NOT EXISTS %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
                name, parent,
                to_char(month, 'YYYY-MM-DD') || ' 00:00:00+00',
                to_char(month + interval '1 month', 'YYYY-MM-DD') || ' 00:00:00+00');
        END IF;
    END LOOP;
END
$$;
