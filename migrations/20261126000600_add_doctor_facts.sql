-- What the worker saw behind a service, as JSON, so that the doctor answers without a call to AWS; and whether somebody asked it to look now.
ALTER TABLE endpoint_services
    -- Read together with the checks, which are made from them; checked_at is for both.
    ADD COLUMN facts              jsonb,
    -- Somebody waits for a look that began at this time or later. The look takes it away.
    ADD COLUMN check_requested_at timestamptz,
    ADD CONSTRAINT endpoint_services_facts_are_checked CHECK (facts IS NULL OR checks IS NOT NULL);

-- Also of stalled services, which are in no other queue.
CREATE INDEX endpoint_services_check_requested ON endpoint_services (account_region_id) WHERE check_requested_at IS NOT NULL;
