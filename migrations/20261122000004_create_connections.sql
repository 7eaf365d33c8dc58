-- A consumer's endpoint on a registered service. Three facts with three writers, never merged:
--   observed_*  what AWS says; written only by observers, from Describe calls
--   review_*    what the business decided; written only by people and policy
--   sync_*      is AWS told yet; written only by the worker (a decision makes it due)
-- Rows are never deleted.
CREATE TABLE connections (
    id                   uuid PRIMARY KEY,
    endpoint_service_id  uuid NOT NULL REFERENCES endpoint_services (id),
    account_region_id    uuid NOT NULL REFERENCES account_regions (id),
    endpoint_id          text NOT NULL,
    owner_account        text NOT NULL,

    observed_state       text NOT NULL,
    -- When the read that saw it began: an older read never overwrites a newer one.
    observed_at          timestamptz NOT NULL,
    aws_created_at       timestamptz,
    aws_connection_id    text,
    endpoint_region      text,
    ip_address_type      text,
    dns_entries          jsonb NOT NULL DEFAULT '[]',
    first_seen_at        timestamptz NOT NULL,

    review_state         text NOT NULL DEFAULT 'undecided',
    decision_id          uuid,

    sync_state           text NOT NULL DEFAULT 'idle',
    sync_due_at          timestamptz,
    -- When the worker gives up waiting and shows it as stalled.
    sync_deadline_at     timestamptz,
    sync_attempts        integer NOT NULL DEFAULT 0,
    sync_act             text,
    sync_act_at          timestamptz,
    sync_code            text,
    sync_message         text,

    -- Rises with every review; a review is written only over the version that its decider saw.
    version              bigint NOT NULL DEFAULT 1,

    -- One word for people and filters. domain::summary is the same table in Rust; a test compares them over every combination.
    summary              text NOT NULL GENERATED ALWAYS AS (
        CASE
            WHEN sync_state = 'stalled' THEN 'stalled'
            WHEN observed_state IN ('deleted', 'deleting', 'expired', 'failed') THEN observed_state
            WHEN observed_state NOT IN ('pendingAcceptance', 'pending', 'available', 'rejected', 'partial') THEN 'unknown'
            WHEN review_state = 'rejected' AND observed_state <> 'rejected' THEN 'rejecting'
            WHEN review_state = 'revoked' AND observed_state <> 'rejected' THEN 'revoking'
            WHEN review_state = 'revoked' THEN 'revoked'
            WHEN observed_state IN ('available', 'rejected', 'partial') THEN observed_state
            WHEN review_state = 'accepted' THEN 'accepting'
            WHEN observed_state = 'pendingAcceptance' THEN 'waiting'
            ELSE 'provisioning'
        END
    ) STORED,

    CONSTRAINT connections_endpoint_unique UNIQUE (endpoint_service_id, endpoint_id),
    CONSTRAINT connections_endpoint_id_shape CHECK (endpoint_id ~ '^vpce-[0-9a-f]{8,17}$'),
    CONSTRAINT connections_owner_account_shape CHECK (owner_account ~ '^[0-9]{12}$'),
    CONSTRAINT connections_review_state_known CHECK (review_state IN ('undecided', 'accepted', 'rejected', 'revoked')),
    CONSTRAINT connections_review_has_decision CHECK ((review_state = 'undecided') = (decision_id IS NULL)),
    CONSTRAINT connections_sync_state_known CHECK (sync_state IN ('idle', 'due', 'confirming', 'stalled')),
    CONSTRAINT connections_sync_timed CHECK ((sync_state IN ('due', 'confirming')) = (sync_due_at IS NOT NULL)),
    CONSTRAINT connections_sync_act_known CHECK (sync_act IN ('accept', 'reject')),
    CONSTRAINT connections_sync_act_whole CHECK ((sync_act IS NULL) = (sync_act_at IS NULL))
);

-- The sync worker's queue: what is out of step.
CREATE INDEX connections_sync_due ON connections (account_region_id, sync_due_at) WHERE sync_state IN ('due', 'confirming');
-- Listing by state, newest first; id is a UUIDv7 and so sorts by time.
CREATE INDEX connections_by_summary ON connections (summary, id DESC);
CREATE INDEX connections_by_owner ON connections (owner_account, id DESC);
-- Finding what a complete listing did not see.
CREATE INDEX connections_unseen ON connections (account_region_id, observed_at) WHERE observed_state <> 'deleted';

-- What the business decided, who and why. Append-only; the newest is the connection's review.
CREATE TABLE decisions (
    id              uuid PRIMARY KEY,
    connection_id   uuid NOT NULL REFERENCES connections (id),
    verb            text NOT NULL,
    actor_kind      text NOT NULL,
    actor           text NOT NULL,
    reason          text NOT NULL,
    -- What the decider could see, so that the decision can be explained later.
    inputs          jsonb NOT NULL,
    decided_at      timestamptz NOT NULL,
    CONSTRAINT decisions_verb_known CHECK (verb IN ('accept', 'reject', 'revoke')),
    CONSTRAINT decisions_actor_kind_known CHECK (actor_kind IN ('person', 'policy')),
    CONSTRAINT decisions_reason_given CHECK (reason <> '')
);
CREATE INDEX decisions_by_connection ON decisions (connection_id, id);

ALTER TABLE connections
    ADD CONSTRAINT connections_decision_exists FOREIGN KEY (decision_id) REFERENCES decisions (id);

-- Every change of the observed state, the first sight included.
CREATE TABLE observations (
    id              uuid NOT NULL,
    at              timestamptz NOT NULL,
    connection_id   uuid NOT NULL,
    from_state      text,
    to_state        text NOT NULL,
    PRIMARY KEY (id, at)
) PARTITION BY RANGE (at);
CREATE INDEX observations_by_connection ON observations (connection_id, at);

-- Every accept or reject whose end this program saw, one row for each endpoint in the call. A call cut off by a crash leaves none.
CREATE TABLE sync_attempts (
    id              uuid NOT NULL,
    at              timestamptz NOT NULL,
    connection_id   uuid NOT NULL,
    decision_id     uuid NOT NULL,
    act             text NOT NULL,
    outcome         text NOT NULL,
    aws_code        text,
    message         text,
    PRIMARY KEY (id, at),
    CONSTRAINT sync_attempts_act_known CHECK (act IN ('accept', 'reject')),
    CONSTRAINT sync_attempts_outcome_known CHECK (outcome IN ('recorded', 'refused', 'busy', 'unknown', 'denied', 'invalid', 'not_found'))
) PARTITION BY RANGE (at);
CREATE INDEX sync_attempts_by_connection ON sync_attempts (connection_id, at);

-- AWS and the review disagree, and not because of us: somebody acted behind our back, or the service accepts by itself.
CREATE TABLE drifts (
    id              uuid PRIMARY KEY,
    connection_id   uuid NOT NULL REFERENCES connections (id),
    kind            text NOT NULL,
    review_state    text NOT NULL,
    observed_state  text NOT NULL,
    detected_at     timestamptz NOT NULL,
    resolved_at     timestamptz,
    CONSTRAINT drifts_kind_known CHECK (kind IN ('accepted_outside', 'rejected_outside', 'auto_accepted', 'preexisting'))
);
CREATE UNIQUE INDEX drifts_one_open_per_kind ON drifts (connection_id, kind) WHERE resolved_at IS NULL;
