-- The life of a registered service: in use, being emptied, being deleted in AWS, gone, or let go of while AWS keeps it. One more fact about a
-- service, written by people and, for what AWS was told of the end, by the worker.
ALTER TABLE endpoint_services
    ADD COLUMN lifecycle        text NOT NULL DEFAULT 'active',
    -- Who wanted it so, since when and why. Rejections in the course of a drain are decided in this name.
    ADD COLUMN lifecycle_since  timestamptz,
    ADD COLUMN lifecycle_by     text,
    ADD COLUMN lifecycle_reason text,
    -- When connections that are live are rejected, and whether the service is deleted in AWS once none is left.
    ADD COLUMN reject_at        timestamptz,
    ADD COLUMN then_delete      boolean NOT NULL DEFAULT false,
    -- When AWS was seen to let no new consumer in.
    ADD COLUMN frozen_at        timestamptz,
    -- The last delete call: written before it is made. The refusals since the drain began, and AWS's last words.
    ADD COLUMN delete_called_at timestamptz,
    ADD COLUMN delete_refusals  integer NOT NULL DEFAULT 0,
    ADD COLUMN delete_code      text,
    ADD COLUMN delete_message   text,
    ADD CONSTRAINT endpoint_services_lifecycle_known
        CHECK (lifecycle IN ('active', 'draining', 'deleting', 'deleted', 'released')),
    ADD CONSTRAINT endpoint_services_lifecycle_whole
        CHECK ((lifecycle = 'active') = (lifecycle_since IS NULL) AND (lifecycle_since IS NULL) = (lifecycle_by IS NULL)
           AND (lifecycle_since IS NULL) = (lifecycle_reason IS NULL)),
    ADD CONSTRAINT endpoint_services_drain_has_notice CHECK (lifecycle NOT IN ('draining', 'deleting') OR reject_at IS NOT NULL),
    ADD CONSTRAINT endpoint_services_active_is_not_drained CHECK (lifecycle <> 'active' OR (reject_at IS NULL AND NOT then_delete)),
    ADD CONSTRAINT endpoint_services_deleting_was_called
        CHECK (lifecycle <> 'deleting' OR (then_delete AND delete_called_at IS NOT NULL)),
    ADD CONSTRAINT endpoint_services_delete_answer_whole CHECK ((delete_code IS NULL) = (delete_message IS NULL));

-- A service that was let go of or that is gone does not keep others from registering AWS's id again. It keeps its name, because code matches on
-- that. A replica of the version before cannot register services from here on, until it is replaced.
ALTER TABLE endpoint_services DROP CONSTRAINT endpoint_services_aws_service_id_unique;
CREATE UNIQUE INDEX endpoint_services_aws_service_id_unique ON endpoint_services (account_region_id, aws_service_id)
    WHERE lifecycle NOT IN ('deleted', 'released');
-- Finding rows by AWS's id whatever became of them.
CREATE INDEX endpoint_services_by_aws_service_id ON endpoint_services (account_region_id, aws_service_id);
