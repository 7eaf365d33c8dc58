-- What the consumer of a connection is to be told, once for each occasion. Nothing is sent from here: whatever tells consumers reads these rows.
-- `since` is when the occasion began, so that a service that is drained a second time is announced a second time.
CREATE TABLE connection_notices (
    id             uuid NOT NULL,
    connection_id  uuid NOT NULL REFERENCES connections (id),
    kind           text NOT NULL,
    since          timestamptz NOT NULL,
    at             timestamptz NOT NULL,
    -- The words and times that are to be told.
    content        jsonb NOT NULL,
    CONSTRAINT connection_notices_pkey PRIMARY KEY (id),
    CONSTRAINT connection_notices_once UNIQUE (connection_id, kind, since),
    CONSTRAINT connection_notices_kind_known CHECK (kind IN ('service_draining', 'service_drain_cancelled'))
);
