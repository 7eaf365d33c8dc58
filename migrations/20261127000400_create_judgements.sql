-- When a request is to be judged (again) by gates and policies: at once when it is new, at a time, or when a wake says so. Only what waits for
-- a decision is looked for.
ALTER TABLE connections ADD COLUMN judge_due_at timestamptz NOT NULL DEFAULT '-infinity';
CREATE INDEX connections_to_judge ON connections (account_region_id, judge_due_at)
    WHERE review_state = 'undecided' AND observed_state = 'pendingAcceptance';

-- What gates and policies said of a connection, with everything they said it from: so that it can be explained, and made again from this row.
-- One row for each answer that differs from the one before. Append-only.
CREATE TABLE judgements (
    id               uuid NOT NULL,
    connection_id    uuid NOT NULL REFERENCES connections (id),
    judged_at        timestamptz NOT NULL,
    outcome          text NOT NULL,
    gate             text NOT NULL,
    -- A list of code and sentence.
    reasons          jsonb NOT NULL,
    -- The policies that determined it, by id, and the SHA-256 of each set that was asked.
    policies         text[] NOT NULL,
    policy_versions  text[] NOT NULL,
    licence          text,
    facts            jsonb NOT NULL,
    -- The decision that was made of it; none where it holds.
    decision_id      uuid REFERENCES decisions (id),
    CONSTRAINT judgements_pkey PRIMARY KEY (id),
    CONSTRAINT judgements_outcome_known CHECK (outcome IN ('accept', 'reject', 'hold')),
    CONSTRAINT judgements_hold_decides_nothing CHECK ((outcome = 'hold') = (decision_id IS NULL)),
    CONSTRAINT judgements_reasons_list CHECK (jsonb_typeof(reasons) = 'array')
);
CREATE INDEX judgements_by_connection ON judgements (connection_id, id DESC);
CREATE TRIGGER judgements_append_only BEFORE UPDATE OR DELETE ON judgements FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER judgements_no_truncate BEFORE TRUNCATE ON judgements FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Something changed that requests may be judged differently by. Written with the change; the judge loop makes what it concerns due, part by part,
-- and deletes the row.
CREATE TABLE judge_wakes (
    id                   uuid NOT NULL,
    account_id           text,
    endpoint_service_id  uuid REFERENCES endpoint_services (id),
    consumer_id          uuid REFERENCES consumers (id),
    woken_at             timestamptz NOT NULL,
    -- How far the judge loop is: the last connection that it made due, in the order of locks.
    after_service        uuid,
    after_endpoint       text,
    CONSTRAINT judge_wakes_pkey PRIMARY KEY (id),
    CONSTRAINT judge_wakes_after_whole CHECK ((after_service IS NULL) = (after_endpoint IS NULL)),
    -- None of the three means everything.
    CONSTRAINT judge_wakes_one_subject CHECK (num_nonnulls(account_id, endpoint_service_id, consumer_id) <= 1),
    CONSTRAINT judge_wakes_account_id_shape CHECK (account_id ~ '^[0-9]{12}$')
);
