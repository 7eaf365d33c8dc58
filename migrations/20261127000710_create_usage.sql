-- The ledger of use: how much of each dimension an agreement used, hour by hour. A row is open while its hour is not over, and sealed some minutes later. What is sealed
-- never changes; what becomes known of its hour afterwards is a row of its own, the next part, with the difference.
CREATE TABLE usage_hours (
    id             uuid NOT NULL,
    agreement_id   uuid NOT NULL,
    dimension      text NOT NULL,
    unit           text NOT NULL,
    -- The connection that it was used over. None where the provider reported without naming one.
    connection_id  uuid,
    -- The account that the provider reported it for.
    account_id     text,
    -- When the hour begins.
    hour           timestamptz NOT NULL,
    source         text NOT NULL,
    -- unbillable_grace: used after the agreement's end, so nobody can be asked to pay for it.
    billing        text NOT NULL,
    part           integer NOT NULL,
    -- Endpoint-hours, in whole seconds: the exact figure. In a later part it is the difference.
    seconds        integer,
    quantity       numeric(28, 8) NOT NULL,
    -- As the agreement pins them, of one of the unit. None where nothing is charged for use.
    price          numeric(20, 8),
    currency       text,
    amount         numeric(48, 8) GENERATED ALWAYS AS
                       (CASE WHEN billing = 'billable' THEN round(coalesce(seconds::numeric * price / 3600, quantity * price), 8) END) STORED,
    state          text NOT NULL,
    -- Of a later part: why it is there.
    reason         text,
    recorded_at    timestamptz NOT NULL,
    sealed_at      timestamptz,
    CONSTRAINT usage_hours_pkey PRIMARY KEY (id),
    CONSTRAINT usage_hours_agreement FOREIGN KEY (agreement_id) REFERENCES agreements (id),
    CONSTRAINT usage_hours_connection FOREIGN KEY (connection_id) REFERENCES connections (id),
    CONSTRAINT usage_hours_one_of_each UNIQUE NULLS NOT DISTINCT (agreement_id, hour, dimension, connection_id, account_id, billing, part),
    CONSTRAINT usage_hours_account_id_shape CHECK (account_id ~ '^[0-9]{12}$'),
    CONSTRAINT usage_hours_whole_hour CHECK (date_trunc('hour', hour, 'UTC') = hour),
    CONSTRAINT usage_hours_source_known CHECK (source IN ('endpoint_hours', 'reported')),
    CONSTRAINT usage_hours_billing_known CHECK (billing IN ('billable', 'unbillable_grace')),
    CONSTRAINT usage_hours_part_counts CHECK (part >= 1),
    CONSTRAINT usage_hours_counted_whole CHECK ((source = 'endpoint_hours') = (seconds IS NOT NULL)
        AND (seconds IS NULL OR (connection_id IS NOT NULL AND account_id IS NULL AND quantity = round(seconds::numeric / 3600, 8)))),
    CONSTRAINT usage_hours_within_the_hour CHECK (seconds BETWEEN -3600 AND 3600),
    CONSTRAINT usage_hours_priced_whole CHECK ((price IS NULL) = (currency IS NULL) AND price >= 0),
    CONSTRAINT usage_hours_state_known CHECK (state IN ('open', 'sealed')),
    CONSTRAINT usage_hours_sealed_whole CHECK ((state = 'sealed') = (sealed_at IS NOT NULL)),
    CONSTRAINT usage_hours_later_part_explained CHECK (part = 1 OR reason IS NOT NULL),
    CONSTRAINT usage_hours_first_part_positive CHECK (part > 1 OR quantity >= 0)
);
CREATE INDEX usage_hours_by_hour ON usage_hours (hour, id);
CREATE INDEX usage_hours_by_agreement ON usage_hours (agreement_id, id);
CREATE INDEX usage_hours_by_connection ON usage_hours (connection_id, id) WHERE connection_id IS NOT NULL;
CREATE INDEX usage_hours_open ON usage_hours (agreement_id, hour) WHERE state = 'open';

CREATE FUNCTION keep_usage() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state = 'sealed' THEN
        RAISE EXCEPTION 'usage %: what is sealed never changes', OLD.id USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF (OLD.id, OLD.agreement_id, OLD.dimension, OLD.unit, OLD.connection_id, OLD.account_id, OLD.hour, OLD.source, OLD.billing, OLD.part, OLD.price, OLD.currency,
        OLD.reason, OLD.recorded_at)
            IS DISTINCT FROM
       (NEW.id, NEW.agreement_id, NEW.dimension, NEW.unit, NEW.connection_id, NEW.account_id, NEW.hour, NEW.source, NEW.billing, NEW.part, NEW.price, NEW.currency,
        NEW.reason, NEW.recorded_at)
    THEN
        RAISE EXCEPTION 'usage %: what it is a figure of stays as it is', OLD.id USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER usage_hours_kept BEFORE UPDATE ON usage_hours FOR EACH ROW EXECUTE FUNCTION keep_usage();
CREATE TRIGGER usage_hours_no_delete BEFORE DELETE ON usage_hours FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER usage_hours_no_truncate BEFORE TRUNCATE ON usage_hours FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What the provider's own software reported, each event once, and the row that it went to.
CREATE TABLE usage_reports (
    agreement_id   uuid NOT NULL,
    event_id       text NOT NULL,
    usage_hour_id  uuid NOT NULL,
    dimension      text NOT NULL,
    at             timestamptz NOT NULL,
    connection_id  uuid,
    account_id     text,
    quantity       numeric(20, 8) NOT NULL,
    -- Of a correction: why.
    reason         text,
    reported_at    timestamptz NOT NULL,
    reported_by    text NOT NULL,
    CONSTRAINT usage_reports_pkey PRIMARY KEY (agreement_id, event_id),
    CONSTRAINT usage_reports_agreement FOREIGN KEY (agreement_id) REFERENCES agreements (id),
    CONSTRAINT usage_reports_usage_hour FOREIGN KEY (usage_hour_id) REFERENCES usage_hours (id),
    CONSTRAINT usage_reports_event_id_given CHECK (event_id <> ''),
    CONSTRAINT usage_reports_correction_explained CHECK (quantity >= 0 OR reason IS NOT NULL)
);
CREATE INDEX usage_reports_of_row ON usage_reports (usage_hour_id);
CREATE TRIGGER usage_reports_append_only BEFORE UPDATE OR DELETE ON usage_reports FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER usage_reports_no_truncate BEFORE TRUNCATE ON usage_reports FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- How far the worker has counted the endpoint-hours of an agreement.
CREATE TABLE usage_marks (
    agreement_id  uuid NOT NULL,
    -- All hours before this one are sealed.
    sealed_until  timestamptz,
    -- What happened from then on has to be counted again.
    recount_from  timestamptz,
    -- Until when the agreement paid for what is used, as it was counted.
    pays_until    timestamptz,
    due_at        timestamptz,
    CONSTRAINT usage_marks_pkey PRIMARY KEY (agreement_id),
    CONSTRAINT usage_marks_agreement FOREIGN KEY (agreement_id) REFERENCES agreements (id)
);
CREATE INDEX usage_marks_due ON usage_marks (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX agreement_bindings_of_connection ON agreement_bindings (connection_id, since);

-- Whoever binds or unbinds a connection has the worker count again from there: for the agreement itself, and for those that paid for the connection at that time.
CREATE FUNCTION recount_usage_of_binding() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    changed timestamptz := CASE WHEN TG_OP = 'INSERT' THEN NEW.since ELSE least(OLD.ended_at, NEW.ended_at) END;
BEGIN
    INSERT INTO usage_marks AS m (agreement_id, recount_from, due_at)
    SELECT b.agreement_id, changed, changed
      FROM agreement_bindings b
     WHERE b.connection_id = NEW.connection_id AND (b.agreement_id = NEW.agreement_id OR b.ended_at IS NULL OR b.ended_at > changed)
     GROUP BY b.agreement_id
     ORDER BY b.agreement_id
    ON CONFLICT ON CONSTRAINT usage_marks_pkey DO UPDATE
       SET recount_from = least(m.recount_from, EXCLUDED.recount_from), due_at = least(m.due_at, EXCLUDED.due_at);
    RETURN NULL;
END
$$;
CREATE TRIGGER agreement_bindings_counted AFTER INSERT OR UPDATE ON agreement_bindings FOR EACH ROW EXECUTE FUNCTION recount_usage_of_binding();

-- An agreement that ends has its open hour sealed at once.
CREATE FUNCTION recount_usage_of_agreement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE usage_marks SET due_at = least(due_at, NEW.stood_at) WHERE agreement_id = NEW.id;
    RETURN NULL;
END
$$;
CREATE TRIGGER agreements_counted AFTER UPDATE ON agreements FOR EACH ROW WHEN (OLD.version <> NEW.version)
    EXECUTE FUNCTION recount_usage_of_agreement();

INSERT INTO usage_marks (agreement_id, recount_from, due_at)
SELECT agreement_id, min(since), min(since) FROM agreement_bindings GROUP BY agreement_id;
