-- The kill switch: a denial, and everything that lives of an account, a consumer or a service cut off, step by step. A worker looks at what is
-- left and does the next part, so a row here needs no note of how far it is.
CREATE TABLE blocks (
    id                     uuid PRIMARY KEY,
    subject                text NOT NULL,
    account_id             text,
    consumer_id            uuid REFERENCES consumers (id),
    endpoint_service_id    uuid REFERENCES endpoint_services (id),
    -- What keeps new connections from being accepted meanwhile.
    denial_id              uuid NOT NULL REFERENCES denials (id),
    -- cutting: something of it may live. standing: nothing does; what comes is cut off too. restoring: principals come back. lifted: over.
    state                  text NOT NULL,
    reason                 text NOT NULL,
    blocked_at             timestamptz NOT NULL,
    blocked_by             text NOT NULL,
    request_id             text,
    -- What was shown and confirmed before.
    confirmed_connections  bigint NOT NULL,
    confirmed_principals   bigint NOT NULL,
    -- Connections that were rejected or revoked for it so far.
    cut                    bigint NOT NULL DEFAULT 0,
    -- When everything was cut off for the first time.
    cut_at                 timestamptz,
    lifted_at              timestamptz,
    lifted_by              text,
    lifted_reason          text,
    -- When the last principal was back.
    restored_at            timestamptz,
    CONSTRAINT blocks_subject_known CHECK (subject IN ('account', 'consumer', 'service')),
    CONSTRAINT blocks_subject_whole
        CHECK ((subject = 'account') = (account_id IS NOT NULL) AND (subject = 'consumer') = (consumer_id IS NOT NULL)
               AND (subject = 'service') = (endpoint_service_id IS NOT NULL)),
    CONSTRAINT blocks_account_id_shape CHECK (account_id ~ '^[0-9]{12}$'),
    CONSTRAINT blocks_state_known CHECK (state IN ('cutting', 'standing', 'restoring', 'lifted')),
    CONSTRAINT blocks_reason_given CHECK (reason <> ''),
    CONSTRAINT blocks_lifted_whole
        CHECK ((lifted_at IS NULL) = (state IN ('cutting', 'standing')) AND (lifted_at IS NULL) = (lifted_by IS NULL)
               AND (lifted_at IS NULL) = (lifted_reason IS NULL)),
    CONSTRAINT blocks_restored_when_lifted CHECK ((state = 'lifted') = (restored_at IS NOT NULL))
);
-- One at a time for each subject.
CREATE UNIQUE INDEX blocks_one_standing ON blocks (subject, account_id, consumer_id, endpoint_service_id) NULLS NOT DISTINCT
    WHERE state IN ('cutting', 'standing');
-- The worker's queue.
CREATE INDEX blocks_open ON blocks (id) WHERE state <> 'lifted';
CREATE UNIQUE INDEX blocks_by_denial ON blocks (denial_id);

-- Principals that a block took out of what is desired of a service, so that they can come back.
CREATE TABLE block_principals (
    id                   uuid PRIMARY KEY,
    -- The block that still keeps it out: another one takes the row over when the first is lifted.
    block_id             uuid NOT NULL REFERENCES blocks (id),
    endpoint_service_id  uuid NOT NULL REFERENCES endpoint_services (id),
    principal            text NOT NULL,
    -- Whether everybody could connect unasked, and somebody had confirmed that.
    was_open             boolean NOT NULL,
    removed_at           timestamptz NOT NULL,
    restored_at          timestamptz
);
CREATE UNIQUE INDEX block_principals_out ON block_principals (block_id, endpoint_service_id, principal) WHERE restored_at IS NULL;
