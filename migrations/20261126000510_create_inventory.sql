-- What endpoint services an AccountRegion has in AWS, registered here or not. The worker refreshes it on a slow timer; the API reads it,
-- because it never calls AWS. A row is written only when AWS shows something else than before.
CREATE TABLE inventory_services (
    account_region_id uuid NOT NULL REFERENCES account_regions (id),
    aws_service_id    text NOT NULL,
    -- The last Describe whole, its lists sorted, because AWS sends them in no stable order.
    described         jsonb NOT NULL,
    -- Who may connect; read of services that are not registered here.
    principals        text[],
    -- How many connections there are by state, from the last complete listing of connections; of services that are not registered here.
    connections       jsonb,
    first_seen_at     timestamptz NOT NULL,
    changed_at        timestamptz NOT NULL,
    -- Since when a complete listing does not show it any more.
    gone_at           timestamptz,
    CONSTRAINT inventory_services_pkey PRIMARY KEY (account_region_id, aws_service_id),
    CONSTRAINT inventory_services_aws_service_id_shape CHECK (aws_service_id ~ '^vpce-svc-[0-9a-f]{8,17}$')
);

-- How fresh the inventory of an AccountRegion is.
CREATE TABLE inventories (
    account_region_id uuid NOT NULL REFERENCES account_regions (id),
    -- The last complete listing of service configurations: when it began, how long it took, what it saw.
    listed_at         timestamptz,
    listed_ms         bigint,
    listed_services   bigint,
    -- When somebody asked for a fresh one.
    wanted_at         timestamptz,
    -- Why the last listing failed; cleared by the next that goes through.
    error_code        text,
    error_message     text,
    error_at          timestamptz,
    CONSTRAINT inventories_pkey PRIMARY KEY (account_region_id),
    CONSTRAINT inventories_listing_whole CHECK ((listed_at IS NULL) = (listed_ms IS NULL) AND (listed_at IS NULL) = (listed_services IS NULL)),
    CONSTRAINT inventories_error_whole CHECK ((error_code IS NULL) = (error_message IS NULL) AND (error_code IS NULL) = (error_at IS NULL))
);
