-- Access that is taken away: principals at once, connections after a grace. A worker looks at what is left and does the next part.
CREATE TABLE access_removals (
    id                     uuid NOT NULL,
    -- What is taken away.
    cause                  text NOT NULL,
    -- The account that loses access; none where everybody did not have to be named.
    account_id             text,
    consumer_id            uuid REFERENCES consumers (id),
    endpoint_service_id    uuid REFERENCES endpoint_services (id),
    principal              text,
    access_request_id      uuid REFERENCES access_requests (id),
    -- grace: connections have time. ending: they are cut off. done: nothing is left. cancelling, cancelled: it was taken back.
    state                  text NOT NULL,
    reason                 text NOT NULL,
    made_at                timestamptz NOT NULL,
    actor_kind             text NOT NULL,
    made_by                text NOT NULL,
    request_id             text,
    -- When access ends.
    ends_at                timestamptz NOT NULL,
    -- What was shown and confirmed before.
    confirmed_connections  bigint NOT NULL,
    confirmed_principals   bigint NOT NULL,
    -- The membership that was closed for it.
    membership_id          uuid REFERENCES consumer_accounts (id),
    done_at                timestamptz,
    cancelled_at           timestamptz,
    cancelled_by           text,
    cancelled_reason       text,
    CONSTRAINT access_removals_pkey PRIMARY KEY (id),
    CONSTRAINT access_removals_cause_known CHECK (cause IN ('principal', 'account', 'access_request')),
    CONSTRAINT access_removals_cause_whole
        CHECK ((cause = 'principal') = (endpoint_service_id IS NOT NULL) AND (cause = 'principal') = (principal IS NOT NULL)
               AND (cause = 'account') = (consumer_id IS NOT NULL) AND (cause = 'account') = (membership_id IS NOT NULL)
               AND (cause = 'access_request') = (access_request_id IS NOT NULL)
               AND (cause = 'principal' OR account_id IS NOT NULL)),
    CONSTRAINT access_removals_account_id_shape CHECK (account_id ~ '^[0-9]{12}$'),
    CONSTRAINT access_removals_state_known CHECK (state IN ('grace', 'ending', 'done', 'cancelling', 'cancelled')),
    CONSTRAINT access_removals_reason_given CHECK (reason <> ''),
    CONSTRAINT access_removals_actor_kind_known CHECK (actor_kind IN ('person', 'policy')),
    CONSTRAINT access_removals_done_when CHECK ((state = 'done') = (done_at IS NOT NULL)),
    CONSTRAINT access_removals_cancelled_whole
        CHECK ((cancelled_at IS NULL) = (state NOT IN ('cancelling', 'cancelled')) AND (cancelled_at IS NULL) = (cancelled_by IS NULL)
               AND (cancelled_at IS NULL) = (cancelled_reason IS NULL))
);
-- The worker's queue.
CREATE INDEX access_removals_open ON access_removals (id) WHERE state NOT IN ('done', 'cancelled');

-- The services that a removal concerns.
CREATE TABLE access_removal_services (
    access_removal_id    uuid NOT NULL REFERENCES access_removals (id),
    endpoint_service_id  uuid NOT NULL REFERENCES endpoint_services (id),
    -- Principals that go, so that they can come back.
    principals           text[] NOT NULL,
    -- Whether everybody could connect unasked, and somebody had confirmed that.
    was_open             boolean NOT NULL,
    -- The version of the service that does not ask for them any more; none while it is being drained and cannot be changed.
    version              bigint,
    CONSTRAINT access_removal_services_pkey PRIMARY KEY (access_removal_id, endpoint_service_id)
);
CREATE INDEX access_removal_services_by_service ON access_removal_services (endpoint_service_id);

-- Access requests that do not stand for a service any more because of a removal, so that they can stand again.
CREATE TABLE access_removal_requests (
    access_removal_id    uuid NOT NULL REFERENCES access_removals (id),
    access_request_id    uuid NOT NULL REFERENCES access_requests (id),
    endpoint_service_id  uuid NOT NULL REFERENCES endpoint_services (id),
    CONSTRAINT access_removal_requests_pkey PRIMARY KEY (access_removal_id, access_request_id, endpoint_service_id)
);

-- What became of each connection.
CREATE TABLE access_removal_connections (
    access_removal_id    uuid NOT NULL REFERENCES access_removals (id),
    connection_id        uuid NOT NULL REFERENCES connections (id),
    at                   timestamptz NOT NULL,
    -- scheduled: its revocation is planned. rejected, revoked: at once. restored: the plan was taken back.
    became               text NOT NULL,
    -- The plan that was there before.
    earlier_at           timestamptz,
    earlier_reason       text,
    earlier_by           text,
    CONSTRAINT access_removal_connections_pkey PRIMARY KEY (access_removal_id, connection_id),
    CONSTRAINT access_removal_connections_became_known CHECK (became IN ('scheduled', 'rejected', 'revoked', 'restored')),
    CONSTRAINT access_removal_connections_earlier_whole
        CHECK ((earlier_at IS NULL) = (earlier_reason IS NULL) AND (earlier_at IS NULL) = (earlier_by IS NULL))
);
CREATE INDEX access_removal_connections_scheduled ON access_removal_connections (connection_id) WHERE became = 'scheduled';

ALTER TABLE connection_notices
    DROP CONSTRAINT connection_notices_kind_known,
    ADD CONSTRAINT connection_notices_kind_known
        CHECK (kind IN ('service_draining', 'service_drain_cancelled', 'access_ending', 'access_ended', 'access_ending_cancelled'));
