-- Re-judgements: what is live, judged again by the gates and policies in force, because somebody asked for it. First a preview, which touches nothing;
-- then, if somebody applies it, a planned revocation for everything that loses its access. A worker does both part by part; a row here says how far it is.
CREATE TABLE rejudgements (
    id                    uuid NOT NULL,
    -- What is judged: one of these; none: everything that lives.
    endpoint_service_id   uuid REFERENCES endpoint_services (id),
    consumer_id           uuid REFERENCES consumers (id),
    account_id            text,
    -- previewing: being judged. previewed: somebody may apply it. applying: revocations are being planned. applied: all are.
    -- cancelling: they are being taken back. cancelled: over.
    state                 text NOT NULL,
    asked_at              timestamptz NOT NULL,
    asked_by              text NOT NULL,
    asked_reason          text NOT NULL,
    -- The last connection that was judged, in the order of account, service and endpoint.
    after_account         text,
    after_service         uuid,
    after_endpoint        text,
    judged                bigint NOT NULL DEFAULT 0,
    -- Those that would be rejected, each a row in `rejudgement_connections`; and those that would be held, which keep their access.
    losing                bigint NOT NULL DEFAULT 0,
    held                  bigint NOT NULL DEFAULT 0,
    previewed_at          timestamptz,
    applied_at            timestamptz,
    applied_by            text,
    applied_reason        text,
    -- The request that applied it: all that follows is that person's word.
    applied_request_id    text,
    grace_seconds         bigint,
    -- What was shown and confirmed before.
    confirmed             bigint,
    revoke_at             timestamptz,
    planned               bigint NOT NULL DEFAULT 0,
    kept                  bigint NOT NULL DEFAULT 0,
    carried_out_at        timestamptz,
    cancelled_at          timestamptz,
    cancelled_by          text,
    cancelled_reason      text,
    cancelled_request_id  text,
    -- The last connection whose revocation was taken back, or was not there any more.
    after_connection      uuid,
    taken_back            bigint NOT NULL DEFAULT 0,
    ended_at              timestamptz,
    CONSTRAINT rejudgements_pkey PRIMARY KEY (id),
    CONSTRAINT rejudgements_one_scope CHECK (num_nonnulls(endpoint_service_id, consumer_id, account_id) <= 1),
    CONSTRAINT rejudgements_account_id_shape CHECK (account_id ~ '^[0-9]{12}$'),
    CONSTRAINT rejudgements_state_known CHECK (state IN ('previewing', 'previewed', 'applying', 'applied', 'cancelling', 'cancelled')),
    CONSTRAINT rejudgements_place_whole CHECK (num_nonnulls(after_account, after_service, after_endpoint) IN (0, 3)),
    CONSTRAINT rejudgements_counts_not_negative CHECK (least(judged, losing, held, planned, kept, taken_back) >= 0),
    CONSTRAINT rejudgements_counts_add_up CHECK (losing + held <= judged AND planned + kept <= losing AND taken_back <= planned),
    CONSTRAINT rejudgements_previewed_whole
        CHECK ((state <> 'previewing' OR previewed_at IS NULL) AND (state IN ('previewing', 'cancelled') OR previewed_at IS NOT NULL)),
    CONSTRAINT rejudgements_applied_whole
        CHECK (num_nonnulls(applied_at, applied_by, applied_reason, grace_seconds, confirmed, revoke_at) IN (0, 6)
               AND (state NOT IN ('previewing', 'previewed') OR applied_at IS NULL)
               AND (state NOT IN ('applying', 'applied', 'cancelling') OR applied_at IS NOT NULL)
               AND (state <> 'applied' OR carried_out_at IS NOT NULL)),
    CONSTRAINT rejudgements_confirmed_what_was_found CHECK (confirmed = losing),
    CONSTRAINT rejudgements_grace_bounded CHECK (grace_seconds BETWEEN 0 AND 90 * 86400),
    CONSTRAINT rejudgements_cancelled_whole
        CHECK (num_nonnulls(cancelled_at, cancelled_by, cancelled_reason) IN (0, 3)
               AND (state IN ('cancelling', 'cancelled')) = (cancelled_at IS NOT NULL)
               AND (state = 'cancelled') = (ended_at IS NOT NULL))
);
-- The worker's queue.
CREATE INDEX rejudgements_open ON rejudgements (id) WHERE state IN ('previewing', 'applying', 'cancelling');

-- A connection that a re-judgement found to lose its access.
CREATE TABLE rejudgement_connections (
    rejudgement_id   uuid NOT NULL REFERENCES rejudgements (id),
    -- Without a reference, which would lock connections while a preview is written down. They are never deleted.
    connection_id    uuid NOT NULL,
    -- Why it is rejected: of the preview until it is planned, then of the judgement that it was planned by.
    code             text NOT NULL,
    sentence         text NOT NULL,
    -- found: nothing was done. planned: it has a planned revocation. kept: it has not, for the reason in kept_as. taken_back: it had one.
    state            text NOT NULL,
    kept_as          text,
    -- The later revocation that somebody had planned before, to be put back with a cancel.
    replaced_at      timestamptz,
    replaced_reason  text,
    replaced_by      text,
    CONSTRAINT rejudgement_connections_pkey PRIMARY KEY (rejudgement_id, connection_id),
    CONSTRAINT rejudgement_connections_state_known CHECK (state IN ('found', 'planned', 'kept', 'taken_back')),
    CONSTRAINT rejudgement_connections_kept_whole CHECK ((state = 'kept') = (kept_as IS NOT NULL)),
    CONSTRAINT rejudgement_connections_kept_as_known CHECK (kept_as IN ('not_rejected', 'not_live', 'planned_before')),
    CONSTRAINT rejudgement_connections_replaced_whole
        CHECK (num_nonnulls(replaced_at, replaced_reason, replaced_by) IN (0, 3)
               AND (replaced_at IS NULL OR state IN ('planned', 'taken_back')))
);
-- What is left to do, in the order in which it is done.
CREATE INDEX rejudgement_connections_found ON rejudgement_connections (rejudgement_id, connection_id) WHERE state = 'found';
CREATE INDEX rejudgement_connections_planned ON rejudgement_connections (rejudgement_id, connection_id) WHERE state = 'planned';
