-- One AWS account in one Region: the unit of AWS work. A replica owns it by the lease columns; `lease_fence` rises by one with every
-- change of owner, and every write of the worker names the fence it was given.
CREATE TABLE account_regions (
    id                  uuid PRIMARY KEY,
    account_id          text NOT NULL,
    region              text NOT NULL,
    name                text NOT NULL,
    role_arn            text,
    external_id         text,
    state               text NOT NULL DEFAULT 'enabled',
    lease_holder        uuid,
    lease_fence         bigint NOT NULL DEFAULT 0,
    lease_until         timestamptz,
    -- The last complete listing of connections: when it began, how long it took, what it saw.
    listed_at           timestamptz,
    listed_ms           bigint,
    listed_connections  bigint,
    -- Connections seen on services of this account that are not registered here.
    unregistered_seen   bigint,
    -- The last failure of an AWS call made for listing, cleared by the next success.
    error_code          text,
    error_message       text,
    error_at            timestamptz,
    created_at          timestamptz NOT NULL,
    created_by          text NOT NULL,
    CONSTRAINT account_regions_account_id_shape CHECK (account_id ~ '^[0-9]{12}$'),
    CONSTRAINT account_regions_state_known CHECK (state IN ('enabled', 'disabled')),
    CONSTRAINT account_regions_lease_whole CHECK ((lease_holder IS NULL) = (lease_until IS NULL)),
    CONSTRAINT account_regions_place_unique UNIQUE (account_id, region)
);
