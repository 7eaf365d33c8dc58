-- What can be changed about a service after it was registered, and how far AWS has followed.
ALTER TABLE endpoint_services
    -- Desired; NULL leaves to AWS what AWS has.
    ADD COLUMN supported_ip_address_types text[],
    ADD COLUMN supported_regions          text[],
    ADD COLUMN tags                       jsonb NOT NULL DEFAULT '{}',
    -- Somebody said yes to * without acceptance.
    ADD COLUMN open_to_everybody          boolean NOT NULL DEFAULT false,
    -- What we put into AWS and may therefore take out again. Written before AWS is told.
    ADD COLUMN granted_principals         text[] NOT NULL DEFAULT '{}',
    ADD COLUMN set_tag_keys               text[] NOT NULL DEFAULT '{}',
    -- Observed, with the rest of the last Describe.
    ADD COLUMN observed_principals        text[],
    -- Counts the changes of what is desired; AWS was last seen to agree with that of applied_version.
    ADD COLUMN version                    bigint NOT NULL DEFAULT 1,
    ADD COLUMN applied_version            bigint NOT NULL DEFAULT 0,
    ADD CONSTRAINT endpoint_services_applied_is_desired CHECK (applied_version BETWEEN 0 AND version),
    ADD CONSTRAINT endpoint_services_open_is_open
        CHECK (NOT open_to_everybody OR (NOT acceptance_required AND '*' = ANY (allowed_principals)));

-- Of a service that we created every principal in the row came from us. An adopted one may have had them before.
UPDATE endpoint_services SET granted_principals = allowed_principals WHERE origin = 'created';
UPDATE endpoint_services SET applied_version = version WHERE sync_state = 'idle';
