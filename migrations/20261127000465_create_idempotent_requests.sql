-- POSTs that named an Idempotency-Key and did something, with what they were answered: the same request gets the same answer again. The row is written in
-- the transaction that did it, so there is never one without the other.
CREATE TABLE idempotent_requests (
    -- Whose key it is, with the roles that they have: two callers may choose the same one.
    subject       text NOT NULL,
    key           text NOT NULL,
    -- SHA-256 of the method, the path with its query, and the body.
    request_hash  bytea NOT NULL,
    at            timestamptz NOT NULL,
    status        smallint NOT NULL,
    -- Pairs of name and value.
    headers       jsonb NOT NULL,
    body          bytea NOT NULL,
    CONSTRAINT idempotent_requests_pkey PRIMARY KEY (subject, key),
    CONSTRAINT idempotent_requests_hash_whole CHECK (octet_length(request_hash) = 32),
    CONSTRAINT idempotent_requests_status_good CHECK (status BETWEEN 200 AND 399)
);
-- They are forgotten after a day.
CREATE INDEX idempotent_requests_by_age ON idempotent_requests (at);
