-- Access that somebody wants taken away at a time. Each who wants it has a row of its own, and the earliest counts: so whoever takes theirs back takes back
-- nothing of anybody else.
--
-- Whoever writes here holds the lock of the connection's row. Rows go with the decision that ends the access.
CREATE TABLE planned_revocations (
    connection_id      uuid NOT NULL REFERENCES connections (id),
    -- What wants it: one of the two, or neither, which is a person.
    access_removal_id  uuid REFERENCES access_removals (id),
    rejudgement_id     uuid REFERENCES rejudgements (id),
    at                 timestamptz NOT NULL,
    reason             text NOT NULL,
    by                 text NOT NULL,
    CONSTRAINT planned_revocations_one_of_each UNIQUE NULLS NOT DISTINCT (connection_id, access_removal_id, rejudgement_id),
    CONSTRAINT planned_revocations_planner CHECK (num_nonnulls(access_removal_id, rejudgement_id) <= 1)
);
CREATE INDEX planned_revocations_by_time ON planned_revocations (at);
CREATE INDEX planned_revocations_by_removal ON planned_revocations (access_removal_id) WHERE access_removal_id IS NOT NULL;

-- Those that count: nothing is revoked by a word that was taken back, whether or not its row is gone yet, and nothing by a removal once somebody has let the
-- account in again.
CREATE VIEW standing_revocations AS
    SELECT p.connection_id, p.access_removal_id, p.rejudgement_id, p.at, p.reason, p.by
      FROM planned_revocations p
     WHERE NOT EXISTS (SELECT FROM access_removals r WHERE r.id = p.access_removal_id AND r.state IN ('cancelling', 'cancelled'))
       AND NOT EXISTS (SELECT FROM rejudgements r WHERE r.id = p.rejudgement_id AND r.state IN ('cancelling', 'cancelled'))
       AND (p.access_removal_id IS NULL
            OR NOT EXISTS (SELECT FROM connections c JOIN endpoint_services s ON s.id = c.endpoint_service_id, unnest(s.allowed_principals) AS allowed
                            WHERE c.id = p.connection_id AND (allowed = '*' OR split_part(allowed, ':', 5) = c.owner_account)));

-- What was planned so far: a row for each removal and each re-judgement that has planned one, whichever of them was in force, and one for a person.
INSERT INTO planned_revocations (connection_id, access_removal_id, rejudgement_id, at, reason, by)
SELECT d.connection_id, r.id, NULL::uuid, r.ends_at, 'access ended as arm_' || replace(r.id::text, '-', '') || ': ' || r.reason, r.made_by
  FROM access_removal_connections d
  JOIN access_removals r ON r.id = d.access_removal_id AND r.state IN ('grace', 'ending')
  JOIN reviews v ON v.connection_id = d.connection_id AND v.revoke_at IS NOT NULL
 WHERE d.became = 'scheduled'
UNION ALL
SELECT d.connection_id, NULL, r.id, r.revoke_at,
       're-judged as rjd_' || replace(r.id::text, '-', '') || ': ' || d.sentence || ' (' || r.applied_reason || ')', r.applied_by
  FROM rejudgement_connections d
  JOIN rejudgements r ON r.id = d.rejudgement_id AND r.state IN ('applying', 'applied')
  JOIN reviews v ON v.connection_id = d.connection_id AND v.revoke_at IS NOT NULL
 WHERE d.state = 'planned';
INSERT INTO planned_revocations (connection_id, access_removal_id, rejudgement_id, at, reason, by)
SELECT connection_id, NULL::uuid, NULL::uuid, at, reason, by
  FROM (SELECT connection_id, revoke_at AS at, revoke_reason AS reason, revoke_by AS by FROM reviews
        UNION ALL
        SELECT connection_id, earlier_at, earlier_reason, earlier_by FROM access_removal_connections WHERE became = 'scheduled'
        UNION ALL
        SELECT connection_id, replaced_at, replaced_reason, replaced_by FROM rejudgement_connections WHERE state = 'planned') AS known
 WHERE at IS NOT NULL AND NOT starts_with(reason, 'access ended as arm_') AND NOT starts_with(reason, 're-judged as rjd_')
   AND connection_id IN (SELECT connection_id FROM reviews WHERE revoke_at IS NOT NULL)
ON CONFLICT ON CONSTRAINT planned_revocations_one_of_each DO NOTHING;

ALTER TABLE reviews DROP COLUMN revoke_at, DROP COLUMN revoke_reason, DROP COLUMN revoke_by;
ALTER TABLE access_removal_connections DROP COLUMN earlier_at, DROP COLUMN earlier_reason, DROP COLUMN earlier_by;
ALTER TABLE rejudgement_connections DROP COLUMN replaced_at, DROP COLUMN replaced_reason, DROP COLUMN replaced_by;
-- Nothing else was looking for these any more.
DROP INDEX access_removal_connections_scheduled;

-- Nobody's earlier plan keeps a re-judgement from having its own. Those that were kept for one have it by now or ended before it.
UPDATE rejudgement_connections SET kept_as = 'not_live' WHERE kept_as = 'planned_before';
ALTER TABLE rejudgement_connections
    DROP CONSTRAINT rejudgement_connections_kept_as_known,
    ADD CONSTRAINT rejudgement_connections_kept_as_known CHECK (kept_as IN ('not_rejected', 'not_live')),
    -- What is held keeps its access, and is listed all the same.
    DROP CONSTRAINT rejudgement_connections_state_known,
    ADD CONSTRAINT rejudgement_connections_state_known CHECK (state IN ('found', 'held', 'planned', 'kept', 'taken_back'));
