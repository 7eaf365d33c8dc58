-- Following hints: what became of each, the set-up in AWS that they come through, and what it misses.
ALTER TABLE hints
    -- How many times AWS was looked at because of it, and when to look again; NULL is at once. A read may lag behind the message.
    ADD COLUMN looks   integer NOT NULL DEFAULT 0,
    ADD COLUMN due_at  timestamptz,
    -- When AWS first showed everything that the message names.
    ADD COLUMN seen_at timestamptz,
    -- What following it came to.
    ADD COLUMN outcome text,
    ADD CONSTRAINT hints_outcome_known CHECK (outcome IN ('seen', 'listed', 'unseen', 'elsewhere')),
    ADD CONSTRAINT hints_outcome_whole CHECK ((followed_at IS NULL) = (outcome IS NULL));

-- The road that connection notifications take in an AccountRegion: a topic, a queue and its subscription. A table of its own, because it
-- is written with every batch of messages, and the AccountRegion's row carries the lease.
CREATE TABLE hint_setups (
    account_region_id uuid PRIMARY KEY REFERENCES account_regions (id),
    state             text NOT NULL,
    -- When the state was entered.
    since             timestamptz NOT NULL,
    topic_arn         text,
    queue_url         text,
    -- Why it failed: AWS's code and words.
    code              text,
    message           text,
    -- When all of it is looked at again; somebody may have changed it in AWS.
    check_at          timestamptz NOT NULL,
    last_message_at   timestamptz,
    -- From when on listings found new connections that no message had told of, and how many; NULL while messages come.
    silent_since      timestamptz,
    silent_missed     bigint,
    CONSTRAINT hint_setups_state_known CHECK (state IN ('off', 'setting_up', 'listening', 'failed')),
    CONSTRAINT hint_setups_failure_whole CHECK ((code IS NULL) = (message IS NULL) AND (state <> 'failed' OR code IS NOT NULL)),
    CONSTRAINT hint_setups_listening_has_queue CHECK (state <> 'listening' OR (topic_arn IS NOT NULL AND queue_url IS NOT NULL)),
    CONSTRAINT hint_setups_silence_whole CHECK ((silent_since IS NULL) = (silent_missed IS NULL))
);

-- The connection notification of a registered service. AWS's own row is the truth; this one remembers which is ours.
CREATE TABLE service_notifications (
    endpoint_service_id uuid PRIMARY KEY REFERENCES endpoint_services (id),
    -- Part of the client token. It rises when a notification that was there is gone, because AWS would answer the old token with the
    -- old notification and make none.
    generation          integer NOT NULL DEFAULT 0,
    notification_id     text,
    -- From when on AWS tells of the service's new connections.
    made_at             timestamptz,
    -- Why AWS would not make or mend it, and when to try again.
    code                text,
    message             text,
    retry_at            timestamptz,
    CONSTRAINT service_notifications_made_whole CHECK ((notification_id IS NULL) = (made_at IS NULL)),
    CONSTRAINT service_notifications_failure_whole
        CHECK ((code IS NULL) = (message IS NULL) AND (code IS NULL) = (retry_at IS NULL))
);

-- What was first seen since some time: to tell whether messages miss it.
CREATE INDEX connections_first_seen ON connections (account_region_id, first_seen_at);
