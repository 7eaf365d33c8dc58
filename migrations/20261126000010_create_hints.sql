-- A hint says that something may have changed in AWS, and names it. It is never evidence: it only makes the worker look sooner. Hints
-- come from connection notifications, over SQS or over HTTP, and are stored before their sender is told that they arrived.
CREATE TABLE hints (
    id                uuid PRIMARY KEY,
    account_region_id uuid NOT NULL REFERENCES account_regions (id),
    source            text NOT NULL,
    -- The sender's own id of the message: a repeat has the same one.
    message_id        text NOT NULL,
    -- AWS ids that the message names. Both empty: something of this AccountRegion changed, and nobody can say what.
    service_ids       text[] NOT NULL,
    endpoint_ids      text[] NOT NULL,
    received_at       timestamptz NOT NULL,
    -- When AWS was looked at because of it. A row is kept for a while after that, so that a repeat is known as one.
    followed_at       timestamptz,
    CONSTRAINT hints_source_known CHECK (source IN ('sqs', 'http')),
    CONSTRAINT hints_message_unique UNIQUE (account_region_id, message_id)
);

-- What has not been followed yet, oldest first: UUIDv7 sorts by time.
CREATE INDEX hints_unfollowed ON hints (account_region_id, id) WHERE followed_at IS NULL;
-- What can be forgotten.
CREATE INDEX hints_followed ON hints (followed_at) WHERE followed_at IS NOT NULL;
