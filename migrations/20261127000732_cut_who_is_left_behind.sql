-- First, so that nobody who works at an agreement waits for the view while this waits for him.
LOCK TABLE agreements IN ACCESS EXCLUSIVE MODE;

-- An agreement also cuts whoever it does not let in any more: an account that was detached, or that the agreement that took its place has not. Behind one that never came to
-- be, that is whoever was to take the place of that.
CREATE OR REPLACE VIEW standing_revocations AS
    SELECT p.connection_id, p.access_removal_id, p.rejudgement_id, p.at, p.reason, p.by, p.agreement_id
      FROM planned_revocations p
     WHERE NOT EXISTS (SELECT FROM access_removals r WHERE r.id = p.access_removal_id AND r.state IN ('cancelling', 'cancelled'))
       AND NOT EXISTS (SELECT FROM rejudgements r WHERE r.id = p.rejudgement_id AND r.state IN ('cancelling', 'cancelled'))
       AND (p.access_removal_id IS NULL
            OR NOT EXISTS (SELECT FROM connections c JOIN endpoint_services s ON s.id = c.endpoint_service_id, unnest(s.allowed_principals) AS allowed
                            WHERE c.id = p.connection_id AND (allowed = '*' OR split_part(allowed, ':', 5) = c.owner_account)))
       AND (p.agreement_id IS NULL
            OR EXISTS (SELECT FROM agreements a
                        WHERE a.id = p.agreement_id
                          AND (a.state = 'ended' OR a.grace_until IS NOT NULL OR a.over_quota_until IS NOT NULL
                               OR NOT EXISTS (
                                   SELECT FROM connections c
                                     JOIN agreement_accounts m ON m.account_id = c.owner_account AND m.detached_at IS NULL AND m.proof <> 'none'
                                     JOIN agreements o ON o.id = m.agreement_id
                                    WHERE c.id = p.connection_id
                                      AND CASE WHEN a.succeeded_at IS NULL THEN o.id = a.id
                                               ELSE NOT (o.state = 'ended' AND o.cause IS NULL)
                                                    AND a.id IN (WITH RECURSIVE line AS (
                                                                     SELECT o.replaces AS id
                                                                     UNION SELECT gone.replaces FROM line JOIN agreements gone ON gone.id = line.id
                                                                            WHERE gone.state = 'ended' AND gone.cause IS NULL)
                                                                 SELECT id FROM line) END))));

-- Whether somebody could not carry an agreement out: it is tried again later, and later each time.
ALTER TABLE agreements
    ADD COLUMN failures integer NOT NULL DEFAULT 0,
    ADD COLUMN retry_at timestamptz,
    ADD CONSTRAINT agreements_failures_counted CHECK (failures >= 0 AND (failures > 0) = (retry_at IS NOT NULL));

-- Connections that were left behind so far are looked at once more.
UPDATE agreements SET due_at = now() WHERE id IN (SELECT agreement_id FROM agreement_bindings WHERE ended_at IS NULL);
