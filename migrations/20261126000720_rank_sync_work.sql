-- Which calls go first: 0 what a person waits for, 1 what a policy decided, 2 what was tried before and failed. Work that has used up half of
-- its time goes with the first, so that nothing starves. `domain::dispatch::Urgency` is the same table in Rust; a test compares them.
CREATE FUNCTION sync_rank(actor_kind text, attempts integer, deadline timestamptz, hurry timestamptz)
    RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE
        WHEN deadline <= hurry THEN 0
        WHEN attempts > 0 THEN 2
        WHEN actor_kind = 'person' THEN 0
        ELSE 1
    END;
