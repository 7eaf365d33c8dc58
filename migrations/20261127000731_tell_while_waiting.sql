-- First, so that nobody who works at an agreement waits for the view while this waits for him.
LOCK TABLE agreements IN ACCESS EXCLUSIVE MODE;

-- An agreement that waits for the one that takes its place says after an hour when it cuts if none comes.
ALTER TABLE agreements
    DROP CONSTRAINT agreements_grace_whole,
    ADD CONSTRAINT agreements_grace_whole CHECK (
        (grace_until IS NOT NULL OR state <> 'grace')
        AND (grace_until IS NULL OR (cause IS NOT NULL AND (state = 'grace' OR (state = 'superseded' AND succeeded_at IS NULL))))
    );
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
                        WHERE a.id = p.agreement_id AND (a.state = 'ended' OR a.grace_until IS NOT NULL OR a.over_quota_until IS NOT NULL)));

-- Those that wait now are looked at once more.
UPDATE agreements SET due_at = now() WHERE state = 'superseded' AND succeeded_at IS NULL;
