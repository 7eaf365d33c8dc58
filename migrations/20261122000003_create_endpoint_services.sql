-- An endpoint service that a provider registered: created by us from load balancers, or adopted by its AWS id.
CREATE TABLE endpoint_services (
    id                   uuid PRIMARY KEY,
    account_region_id    uuid NOT NULL REFERENCES account_regions (id),
    name                 text NOT NULL,
    origin               text NOT NULL,
    -- Desired. For an adopted service the two are copied from AWS when it is first read.
    acceptance_required  boolean NOT NULL,
    load_balancer_arns   text[] NOT NULL,
    allowed_principals   text[] NOT NULL,
    -- Known once AWS has answered (created) or from the start (adopted).
    aws_service_id       text,
    service_name         text,
    -- Observed: the last Describe, whole.
    observed_state       text,
    observed             jsonb,
    observed_at          timestamptz,
    -- Readiness checks, each with its evidence.
    checks               jsonb,
    checked_at           timestamptz,
    -- Is AWS told yet.
    sync_state           text NOT NULL DEFAULT 'due',
    sync_due_at          timestamptz NOT NULL,
    sync_attempts        integer NOT NULL DEFAULT 0,
    sync_code            text,
    sync_message         text,
    created_at           timestamptz NOT NULL,
    created_by           text NOT NULL,
    CONSTRAINT endpoint_services_origin_known CHECK (origin IN ('created', 'adopted')),
    CONSTRAINT endpoint_services_adopted_has_id CHECK (origin <> 'adopted' OR aws_service_id IS NOT NULL),
    CONSTRAINT endpoint_services_created_has_balancer CHECK (origin <> 'created' OR cardinality(load_balancer_arns) > 0),
    CONSTRAINT endpoint_services_aws_service_id_shape CHECK (aws_service_id ~ '^vpce-svc-[0-9a-f]{8,17}$'),
    CONSTRAINT endpoint_services_observed_whole CHECK ((observed IS NULL) = (observed_at IS NULL) AND (observed IS NULL) = (observed_state IS NULL)),
    CONSTRAINT endpoint_services_checks_whole CHECK ((checks IS NULL) = (checked_at IS NULL)),
    CONSTRAINT endpoint_services_sync_state_known CHECK (sync_state IN ('idle', 'due', 'stalled')),
    CONSTRAINT endpoint_services_aws_service_id_unique UNIQUE (account_region_id, aws_service_id)
);

-- The sync worker's queue: what is out of step.
CREATE INDEX endpoint_services_due ON endpoint_services (account_region_id, sync_due_at) WHERE sync_state <> 'stalled';
