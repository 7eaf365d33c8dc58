-- Policies tried over what was decided and what is live. A worker runs them page by page and notes after each page how far it is, so that another
-- can go on where the first one died.
CREATE TABLE policy_dry_runs (
    id            uuid NOT NULL,
    policy_id     uuid NOT NULL REFERENCES policies (id),
    -- The text that is tried. Another text needs another run.
    digest        text NOT NULL,
    -- How many of the last decisions are judged again.
    decisions     bigint NOT NULL,
    state         text NOT NULL,
    requested_at  timestamptz NOT NULL,
    requested_by  text NOT NULL,
    -- Who runs it, and when that was last heard of, by the database's clock.
    runner        uuid,
    alive_at      timestamptz,
    -- How often somebody took it up.
    runs          integer NOT NULL DEFAULT 0,
    -- The active sets that decide together with it: digests by scope.
    others        jsonb,
    -- Where to go on.
    place         jsonb,
    -- What was counted so far.
    tally         jsonb NOT NULL,
    started_at    timestamptz,
    finished_at   timestamptz,
    failure       text,
    CONSTRAINT policy_dry_runs_pkey PRIMARY KEY (id),
    CONSTRAINT policy_dry_runs_state_known CHECK (state IN ('queued', 'running', 'done', 'failed')),
    CONSTRAINT policy_dry_runs_decisions_not_negative CHECK (decisions >= 0),
    CONSTRAINT policy_dry_runs_running_by_somebody CHECK (state <> 'running' OR num_nonnulls(runner, alive_at, started_at) = 3),
    CONSTRAINT policy_dry_runs_done_with_others CHECK (state <> 'done' OR others IS NOT NULL),
    CONSTRAINT policy_dry_runs_finished_whole CHECK ((state IN ('done', 'failed')) = (finished_at IS NOT NULL)),
    CONSTRAINT policy_dry_runs_failure_told CHECK ((state = 'failed') = (failure IS NOT NULL))
);
-- One at a time for each policy; also the queue.
CREATE UNIQUE INDEX policy_dry_runs_one_open ON policy_dry_runs (policy_id) WHERE state IN ('queued', 'running');
CREATE INDEX policy_dry_runs_by_policy ON policy_dry_runs (policy_id, id DESC);
