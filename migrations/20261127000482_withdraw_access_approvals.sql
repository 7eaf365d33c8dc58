-- One person's yes to an access request may be taken back while the other's is missing. It is kept, and the same person may say yes again.
ALTER TABLE access_request_approvals
    ADD COLUMN withdrawn_at timestamptz,
    DROP CONSTRAINT access_request_approvals_two_are_two;
CREATE UNIQUE INDEX access_request_approvals_two_are_two ON access_request_approvals (access_request_id, approver) WHERE withdrawn_at IS NULL;
