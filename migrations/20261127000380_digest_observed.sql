-- What AWS last said of a connection, in 32 bytes: a listing compares these and not the words. It is the table's own, so no statement can
-- write the one without the other. `store::glance` makes the same of what it read; should the two ever differ in their spelling, the page
-- is compared word by word, and nothing else comes of it.
ALTER TABLE connections ADD COLUMN observed_digest bytea NOT NULL GENERATED ALWAYS AS (
    -- Each word has its length in front, so that no two rows are spelt alike. The cast takes backslashes for escapes.
    sha256(replace(
        octet_length(observed_state)::text || ':' || observed_state
            || coalesce(octet_length(aws_connection_id)::text || ':' || aws_connection_id, '-')
            || coalesce(octet_length(endpoint_region)::text || ':' || endpoint_region, '-')
            || coalesce(octet_length(ip_address_type)::text || ':' || ip_address_type, '-')
            || dns_entries::text,
        '\', '\\')::bytea)
) STORED;

-- With the digest in it, a listing is compared by this index alone.
ALTER TABLE connections
    DROP CONSTRAINT connections_endpoint_unique,
    ADD CONSTRAINT connections_endpoint_unique UNIQUE (endpoint_service_id, endpoint_id) INCLUDE (observed_digest);
