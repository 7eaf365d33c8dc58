-- The work of people on the review of a connection. One row for each connection that anybody, or a timer, did something about; a connection
-- without a row is nobody's, not held, and has no timers of its own. What was decided stays in `connections` and `decisions`.
--
-- Whoever writes here holds the lock of the connection's row.
CREATE TABLE reviews (
    connection_id   uuid NOT NULL REFERENCES connections (id),
    -- Who works on it. A claim keeps nobody from deciding, and ends by itself.
    claimed_by      text,
    claimed_at      timestamptz,
    claim_ends_at   timestamptz,
    -- Why it is not decided now. Until a time, or until somebody ends it.
    held_code       text,
    held_reason     text,
    held_until      timestamptz,
    held_by_kind    text,
    held_by         text,
    held_at         timestamptz,
    -- When people were told that it waits, and that it waits too long. Each counts for the deadline before which it lies.
    reminded_at     timestamptz,
    escalated_at    timestamptz,
    -- Access that was given for a time: until when, and when people were told that the time is over.
    expires_at      timestamptz,
    expiring_at     timestamptz,
    -- Access that somebody wants taken away at a time.
    revoke_at       timestamptz,
    revoke_reason   text,
    revoke_by       text,
    CONSTRAINT reviews_pkey PRIMARY KEY (connection_id),
    CONSTRAINT reviews_claim_whole CHECK ((claimed_by IS NULL) = (claimed_at IS NULL) AND (claimed_by IS NULL) = (claim_ends_at IS NULL)),
    CONSTRAINT reviews_hold_whole CHECK (
        (held_at IS NULL) = (held_code IS NULL) AND (held_at IS NULL) = (held_reason IS NULL)
        AND (held_at IS NULL) = (held_by_kind IS NULL) AND (held_at IS NULL) = (held_by IS NULL)
        AND (held_at IS NOT NULL OR held_until IS NULL)),
    CONSTRAINT reviews_held_by_kind_known CHECK (held_by_kind IN ('person', 'policy')),
    CONSTRAINT reviews_revocation_whole CHECK (
        (revoke_at IS NULL) = (revoke_reason IS NULL) AND (revoke_at IS NULL) = (revoke_by IS NULL))
);

-- The timers of what is accepted.
CREATE INDEX reviews_expiring ON reviews (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX reviews_revoking ON reviews (revoke_at) WHERE revoke_at IS NOT NULL;
-- The queue and its timers: what waits for somebody to decide.
CREATE INDEX connections_waiting ON connections (account_region_id, first_seen_at, id)
    WHERE review_state = 'undecided' AND observed_state = 'pendingAcceptance';

-- How a service wants its connections reviewed. They never reach AWS, so they have a version of their own. A service without a row has
-- the defaults, at version 1; NULL takes the installation's default.
CREATE TABLE review_rules (
    endpoint_service_id   uuid NOT NULL REFERENCES endpoint_services (id),
    version               bigint NOT NULL,
    approvals_required    smallint NOT NULL,
    review_sla_seconds    bigint,
    on_overdue            text,
    expiry_grace_seconds  bigint,
    CONSTRAINT review_rules_pkey PRIMARY KEY (endpoint_service_id),
    CONSTRAINT review_rules_approvals_required_known CHECK (approvals_required IN (1, 2)),
    CONSTRAINT review_rules_on_overdue_known CHECK (on_overdue IN ('keep', 'reject')),
    CONSTRAINT review_rules_sla_positive CHECK (review_sla_seconds > 0),
    CONSTRAINT review_rules_grace_not_negative CHECK (expiry_grace_seconds >= 0)
);
