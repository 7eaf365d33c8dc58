-- Replicas that work announce themselves, so that each can take its fair share of the AccountRegions. A row, like a lease, and like a
-- lease it runs out by itself: a replica that died counts for as long as its leases last. The database's clock is the only one here.
CREATE TABLE replicas (
    id          uuid PRIMARY KEY,
    started_at  timestamptz NOT NULL,
    live_until  timestamptz NOT NULL,
    -- AccountRegions that it still wants and found nowhere free. Who holds more than its share gives that many back.
    wants       integer NOT NULL DEFAULT 0,
    CONSTRAINT replicas_wants_not_negative CHECK (wants >= 0)
);

ALTER TABLE account_regions
    -- Rises with every change by a person; a change names the version that it is a change of.
    ADD COLUMN version         bigint NOT NULL DEFAULT 1,
    -- Since when the present holder has the lease.
    ADD COLUMN lease_since     timestamptz,
    -- How many times in a row replicas could not get in, and before when none tries again.
    ADD COLUMN entry_failures  integer NOT NULL DEFAULT 0,
    ADD COLUMN entry_after     timestamptz,
    -- When the holder looks again after the error.
    ADD COLUMN error_next_at   timestamptz,
    ADD CONSTRAINT account_regions_entry_failures_not_negative CHECK (entry_failures >= 0);
