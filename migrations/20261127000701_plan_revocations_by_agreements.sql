-- Agreements take access away as well: when their grace is over, and where more is connected than they grant.
ALTER TABLE planned_revocations
    ADD COLUMN agreement_id uuid REFERENCES agreements (id),
    DROP CONSTRAINT planned_revocations_one_of_each,
    ADD CONSTRAINT planned_revocations_one_of_each UNIQUE NULLS NOT DISTINCT (connection_id, access_removal_id, rejudgement_id, agreement_id),
    DROP CONSTRAINT planned_revocations_planner,
    ADD CONSTRAINT planned_revocations_planner CHECK (num_nonnulls(access_removal_id, rejudgement_id, agreement_id) <= 1);
CREATE INDEX planned_revocations_by_agreement ON planned_revocations (agreement_id) WHERE agreement_id IS NOT NULL;

CREATE OR REPLACE VIEW standing_revocations AS
    SELECT p.connection_id, p.access_removal_id, p.rejudgement_id, p.at, p.reason, p.by, p.agreement_id
      FROM planned_revocations p
     WHERE NOT EXISTS (SELECT FROM access_removals r WHERE r.id = p.access_removal_id AND r.state IN ('cancelling', 'cancelled'))
       AND NOT EXISTS (SELECT FROM rejudgements r WHERE r.id = p.rejudgement_id AND r.state IN ('cancelling', 'cancelled'))
       AND (p.access_removal_id IS NULL
            OR NOT EXISTS (SELECT FROM connections c JOIN endpoint_services s ON s.id = c.endpoint_service_id, unnest(s.allowed_principals) AS allowed
                            WHERE c.id = p.connection_id AND (allowed = '*' OR split_part(allowed, ':', 5) = c.owner_account)))
       AND (p.agreement_id IS NULL
            OR EXISTS (SELECT FROM agreements a WHERE a.id = p.agreement_id AND (a.state IN ('grace', 'ended') OR a.over_quota_until IS NOT NULL)));
