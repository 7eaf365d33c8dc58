-- The feed of events: what people, policies, timers and the worker did, and what AWS was seen to do, in one order without gaps. An event says what it is
-- about; what that is like now has to be read. It is written behind the transactions that it tells of, in batches, so that none of them waits for another.
CREATE TABLE events (
    -- 1, 2, 3 and so on, in the order in which events can be read: whoever has read up to one has missed none before it.
    position             bigint NOT NULL,
    -- When it got its position; the month it is kept with.
    noted_at             timestamptz NOT NULL,
    -- When it happened.
    at                   timestamptz NOT NULL,
    -- The audit entry or the observation that it was made from.
    source_id            uuid NOT NULL,
    kind                 text NOT NULL,
    subject_kind         text NOT NULL,
    subject_id           uuid NOT NULL,
    -- The service that it is about, or whose connection it is about.
    endpoint_service_id  uuid,
    decision_id          uuid,
    request_id           text,
    -- Of an observation: the states in AWS.
    from_state           text,
    to_state             text,
    CONSTRAINT events_pkey PRIMARY KEY (position, noted_at)
) PARTITION BY RANGE (noted_at);
CREATE INDEX events_by_subject ON events (subject_id, position);
CREATE INDEX events_by_service ON events (endpoint_service_id, position);

-- Where the feed begins and ends. Its lock is what makes the order.
CREATE TABLE event_feed (
    whole  boolean NOT NULL DEFAULT true,
    -- The oldest position that is kept.
    first  bigint NOT NULL,
    last   bigint NOT NULL,
    CONSTRAINT event_feed_pkey PRIMARY KEY (whole),
    CONSTRAINT event_feed_one_row CHECK (whole),
    CONSTRAINT event_feed_whole CHECK (first >= 1 AND last >= first - 1)
);
INSERT INTO event_feed (first, last) VALUES (1, 0);

-- What has no position yet. A row comes with the transaction that it tells of.
CREATE TABLE events_waiting (
    at        timestamptz NOT NULL,
    id        uuid NOT NULL,
    -- Whether it is an observation; an audit entry otherwise.
    observed  boolean NOT NULL,
    CONSTRAINT events_waiting_pkey PRIMARY KEY (at, id)
);

CREATE FUNCTION await_position() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO events_waiting (at, id, observed) SELECT at, id, TG_ARGV[0] = 'observed' FROM written;
    RETURN NULL;
END
$$;
CREATE TRIGGER audit_entries_await_position AFTER INSERT ON audit_entries
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION await_position('done');
CREATE TRIGGER observations_await_position AFTER INSERT ON observations
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION await_position('observed');

SELECT ensure_month_partitions('events', now());
