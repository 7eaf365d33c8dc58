-- How much a consumer may use at most. NULL is no limit. What a consumer has no figure for is limited by the service's figure, which also
-- holds for accounts that belong to no consumer.
CREATE TABLE consumer_quotas (
    consumer_id                 uuid PRIMARY KEY REFERENCES consumers (id),
    -- Connections on all services together.
    most_connections            bigint,
    -- Endpoints on any one service.
    most_endpoints_per_service  bigint,
    -- Regions that endpoints are in, over all services.
    most_regions                bigint,
    set_at                      timestamptz NOT NULL,
    set_by                      text NOT NULL,
    CONSTRAINT consumer_quotas_not_negative CHECK (most_connections >= 0 AND most_endpoints_per_service >= 0 AND most_regions >= 0)
);

CREATE TABLE service_quotas (
    endpoint_service_id         uuid PRIMARY KEY REFERENCES endpoint_services (id),
    most_connections            bigint,
    most_endpoints_per_service  bigint,
    most_regions                bigint,
    set_at                      timestamptz NOT NULL,
    set_by                      text NOT NULL,
    CONSTRAINT service_quotas_not_negative CHECK (most_connections >= 0 AND most_endpoints_per_service >= 0 AND most_regions >= 0)
);

-- What an account has that may still live: counted for quotas, and cut off by blocks.
CREATE INDEX connections_live_by_owner ON connections (owner_account, endpoint_service_id, endpoint_id)
    WHERE review_state IN ('undecided', 'accepted') AND observed_state IN ('pendingAcceptance', 'pending', 'available', 'partial');
