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

-- Those that count: nothing is revoked by a word that was taken back, whether or not its row is gone yet.
CREATE VIEW standing_revocations AS
    SELECT p.connection_id, p.access_removal_id, p.rejudgement_id, p.at, p.reason, p.by
      FROM planned_revocations p
     WHERE NOT EXISTS (SELECT FROM access_removals r WHERE r.id = p.access_removal_id AND r.state IN ('cancelling', 'cancelled'))
       AND NOT EXISTS (SELECT FROM rejudgements r WHERE r.id = p.rejudgement_id AND r.state IN ('cancelling', 'cancelled'));

-- What was planned so far: the one in force, whose reason says what it is of, and the ones whose places were taken.
INSERT INTO planned_revocations (connection_id, access_removal_id, rejudgement_id, at, reason, by)
SELECT v.connection_id, removal.id, CASE WHEN removal.id IS NULL THEN rejudgement.id END, v.revoke_at, v.revoke_reason, v.revoke_by
  FROM reviews v
  LEFT JOIN LATERAL (
       SELECT r.id FROM access_removal_connections d JOIN access_removals r ON r.id = d.access_removal_id
        WHERE d.connection_id = v.connection_id AND d.became = 'scheduled' AND r.ends_at = v.revoke_at
          AND starts_with(v.revoke_reason, 'access ended as ')
        ORDER BY r.id LIMIT 1) AS removal ON true
  LEFT JOIN LATERAL (
       SELECT r.id FROM rejudgement_connections d JOIN rejudgements r ON r.id = d.rejudgement_id
        WHERE d.connection_id = v.connection_id AND d.state = 'planned' AND r.revoke_at = v.revoke_at
          AND starts_with(v.revoke_reason, 're-judged as ')
        ORDER BY r.id LIMIT 1) AS rejudgement ON true
 WHERE v.revoke_at IS NOT NULL;
INSERT INTO planned_revocations (connection_id, access_removal_id, rejudgement_id, at, reason, by)
SELECT d.connection_id, NULL::uuid, NULL::uuid, d.earlier_at, d.earlier_reason, d.earlier_by
  FROM access_removal_connections d JOIN connections c ON c.id = d.connection_id
 WHERE d.became = 'scheduled' AND d.earlier_at IS NOT NULL AND c.review_state = 'accepted'
   AND NOT starts_with(d.earlier_reason, 'access ended as ') AND NOT starts_with(d.earlier_reason, 're-judged as ')
UNION ALL
SELECT d.connection_id, NULL::uuid, NULL::uuid, d.replaced_at, d.replaced_reason, d.replaced_by
  FROM rejudgement_connections d JOIN connections c ON c.id = d.connection_id
 WHERE d.state = 'planned' AND d.replaced_at IS NOT NULL AND c.review_state = 'accepted'
   AND NOT starts_with(d.replaced_reason, 'access ended as ') AND NOT starts_with(d.replaced_reason, 're-judged as ')
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
