-- What goes on for longer than a request: each piece of work as it is asked for and done elsewhere, in the same words. Nothing is kept twice.
CREATE VIEW operations AS
    SELECT id, 'policy_dry_run' AS kind, state AS phase,
           CASE state WHEN 'queued' THEN 'queued' WHEN 'running' THEN 'running' WHEN 'done' THEN 'succeeded' ELSE 'failed' END AS state,
           requested_at AS began_at, requested_by AS began_by, finished_at AS ended_at,
           (tally #>> '{run,judged}')::bigint AS done, NULL::bigint AS total, failure, policy_id AS within
      FROM policy_dry_runs
    UNION ALL
    SELECT id, 'rejudgement', state,
           CASE state WHEN 'previewed' THEN 'waiting' WHEN 'applied' THEN 'succeeded' WHEN 'cancelled' THEN 'cancelled' ELSE 'running' END,
           asked_at, asked_by, CASE state WHEN 'applied' THEN carried_out_at WHEN 'cancelled' THEN ended_at END,
           CASE WHEN state IN ('previewing', 'previewed') THEN judged WHEN state IN ('applying', 'applied') THEN planned + kept ELSE taken_back END,
           CASE WHEN state = 'previewing' THEN NULL WHEN state = 'previewed' THEN judged WHEN state IN ('applying', 'applied') THEN losing ELSE planned END,
           NULL, NULL
      FROM rejudgements
    UNION ALL
    SELECT id, 'block', state,
           CASE WHEN state IN ('cutting', 'restoring') THEN 'running' ELSE 'succeeded' END,
           blocked_at, blocked_by, CASE state WHEN 'standing' THEN cut_at WHEN 'lifted' THEN restored_at END,
           cut, greatest(cut, confirmed_connections), NULL, NULL
      FROM blocks
    UNION ALL
    SELECT id, 'access_removal', state,
           CASE state WHEN 'grace' THEN 'waiting' WHEN 'done' THEN 'succeeded' WHEN 'cancelled' THEN 'cancelled' ELSE 'running' END,
           made_at, made_by, CASE state WHEN 'done' THEN done_at WHEN 'cancelled' THEN cancelled_at END,
           (SELECT count(*) FROM access_removal_connections AS c WHERE c.access_removal_id = r.id AND c.became IN ('rejected', 'revoked')),
           confirmed_connections, NULL, NULL
      FROM access_removals AS r
    UNION ALL
    SELECT id, 'service_end', lifecycle,
           CASE WHEN lifecycle IN ('deleted', 'released') OR (lifecycle = 'draining' AND NOT then_delete AND left_over = 0) THEN 'succeeded'
                ELSE 'running' END,
           -- Of what has ended, only the end is kept here; the audit trail has the rest.
           CASE WHEN lifecycle NOT IN ('deleted', 'released') THEN lifecycle_since END, lifecycle_by,
           CASE WHEN lifecycle IN ('deleted', 'released') THEN lifecycle_since END,
           all_of_it - left_over, all_of_it, NULL, NULL
      FROM endpoint_services AS s
     CROSS JOIN LATERAL (
           SELECT count(*) AS all_of_it,
                  count(*) FILTER (WHERE observed_state NOT IN ('rejected', 'expired', 'failed', 'deleting', 'deleted')) AS left_over
             FROM connections AS c WHERE c.endpoint_service_id = s.id) AS counted
     WHERE lifecycle <> 'active';
