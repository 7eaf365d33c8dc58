-- The word of one person where a service asks for two. It stands until it is used, overruled, withdrawn, or the endpoint is gone. Where one
-- person is enough, the decision says it all and there is no row. Rows are closed, not deleted.
CREATE TABLE approvals (
    id             uuid NOT NULL,
    connection_id  uuid NOT NULL REFERENCES connections (id),
    approver       text NOT NULL,
    reason         text NOT NULL,
    message        text,
    ticket_url     text,
    -- Until when the approver would give access. The earliest of those that are used counts.
    expires_at     timestamptz,
    approved_at    timestamptz NOT NULL,
    ended_at       timestamptz,
    ended_as       text,
    -- The decision that it was used for, or that overruled it.
    decision_id    uuid REFERENCES decisions (id),
    CONSTRAINT approvals_pkey PRIMARY KEY (id),
    CONSTRAINT approvals_reason_given CHECK (reason <> ''),
    CONSTRAINT approvals_ended_as_known CHECK (ended_as IN ('used', 'overruled', 'withdrawn', 'lapsed')),
    CONSTRAINT approvals_ended_whole CHECK ((ended_at IS NULL) = (ended_as IS NULL)),
    CONSTRAINT approvals_decided_whole CHECK ((coalesce(ended_as, '') IN ('used', 'overruled')) = (decision_id IS NOT NULL))
);
-- Two standing approvals are two persons.
CREATE UNIQUE INDEX approvals_one_standing ON approvals (connection_id, approver) WHERE ended_at IS NULL;
CREATE INDEX approvals_by_connection ON approvals (connection_id, id);
