-- What somebody wants access to before there is an endpoint: an account, and the services that it wants to reach.
CREATE TABLE access_requests (
    id                uuid NOT NULL,
    account_id        text NOT NULL,
    -- Whose the account shall be known to be; none where nobody said.
    consumer_id       uuid REFERENCES consumers (id),
    -- Whom to talk to: name, e-mail and role.
    contact           jsonb NOT NULL,
    message           text,
    -- Until when access is wanted, and once it is approved, until when it is given.
    expires_at        timestamptz,
    state             text NOT NULL,
    made_at           timestamptz NOT NULL,
    made_by           text NOT NULL,
    -- Who approved, rejected or withdrew it.
    decided_at        timestamptz,
    decided_by        text,
    decided_reason    text,
    -- What the consumer is told, and where the work on it is kept.
    decided_message   text,
    decided_ticket    text,
    -- When and why what was approved ended, or when its time was over before anybody decided.
    ended_at          timestamptz,
    ended_by          text,
    ended_reason      text,
    CONSTRAINT access_requests_pkey PRIMARY KEY (id),
    CONSTRAINT access_requests_account_id_shape CHECK (account_id ~ '^[0-9]{12}$'),
    CONSTRAINT access_requests_contact_object CHECK (jsonb_typeof(contact) = 'object'),
    CONSTRAINT access_requests_state_known CHECK (state IN ('pending', 'approved', 'rejected', 'withdrawn', 'expired', 'revoked')),
    CONSTRAINT access_requests_decided_whole
        CHECK ((decided_at IS NULL) = (decided_by IS NULL) AND (decided_at IS NULL) = (decided_reason IS NULL)
               AND (decided_at IS NOT NULL OR (decided_message IS NULL AND decided_ticket IS NULL))),
    CONSTRAINT access_requests_ended_whole
        CHECK ((ended_at IS NULL) = (ended_by IS NULL) AND (ended_at IS NULL) = (ended_reason IS NULL)),
    CONSTRAINT access_requests_decided_when
        CHECK ((state <> 'pending' OR decided_at IS NULL) AND (state NOT IN ('approved', 'rejected', 'withdrawn', 'revoked') OR decided_at IS NOT NULL)),
    CONSTRAINT access_requests_ended_when CHECK ((ended_at IS NOT NULL) = (state IN ('expired', 'revoked')))
);
CREATE INDEX access_requests_by_account ON access_requests (account_id, id DESC);
CREATE INDEX access_requests_by_consumer ON access_requests (consumer_id, id DESC);
-- What ends by itself.
CREATE INDEX access_requests_expiring ON access_requests (expires_at) WHERE state IN ('pending', 'approved') AND expires_at IS NOT NULL;

-- The services of a request. All of them are approved, or none.
CREATE TABLE access_request_services (
    access_request_id    uuid NOT NULL REFERENCES access_requests (id),
    endpoint_service_id  uuid NOT NULL REFERENCES endpoint_services (id),
    account_id           text NOT NULL,
    -- waiting for an answer; standing while access is given; over.
    state                text NOT NULL,
    -- The principal that lets the account in, once that is approved, and the service's version that asks for it.
    principal            text,
    version              bigint,
    -- Whether the principal is there because of requests alone, so that it goes with the last of them.
    added                boolean NOT NULL,
    CONSTRAINT access_request_services_pkey PRIMARY KEY (access_request_id, endpoint_service_id),
    CONSTRAINT access_request_services_state_known CHECK (state IN ('waiting', 'standing', 'over')),
    CONSTRAINT access_request_services_principal_whole
        CHECK ((principal IS NULL) = (version IS NULL) AND (state <> 'standing' OR principal IS NOT NULL) AND (principal IS NOT NULL OR NOT added))
);
-- The same is not asked for twice while nobody has answered.
CREATE UNIQUE INDEX access_request_services_one_waiting ON access_request_services (account_id, endpoint_service_id) WHERE state = 'waiting';
CREATE INDEX access_request_services_standing ON access_request_services (endpoint_service_id, account_id) WHERE state = 'standing';

-- One person's yes, where a service of the request asks for two. They stand while the request waits.
CREATE TABLE access_request_approvals (
    id                 uuid NOT NULL,
    access_request_id  uuid NOT NULL REFERENCES access_requests (id),
    approver           text NOT NULL,
    reason             text NOT NULL,
    message            text,
    ticket_url         text,
    expires_at         timestamptz,
    approved_at        timestamptz NOT NULL,
    CONSTRAINT access_request_approvals_pkey PRIMARY KEY (id),
    CONSTRAINT access_request_approvals_two_are_two UNIQUE (access_request_id, approver),
    CONSTRAINT access_request_approvals_reason_given CHECK (reason <> '')
);

-- What whoever asked is to be told, once for each occasion. Nothing is sent from here: whatever tells consumers reads these rows.
CREATE TABLE access_request_notices (
    id                 uuid NOT NULL,
    access_request_id  uuid NOT NULL REFERENCES access_requests (id),
    kind               text NOT NULL,
    at                 timestamptz NOT NULL,
    -- The words and times that are to be told. `at` is when the occasion began.
    content            jsonb NOT NULL,
    CONSTRAINT access_request_notices_pkey PRIMARY KEY (id),
    CONSTRAINT access_request_notices_once UNIQUE (access_request_id, kind, at),
    CONSTRAINT access_request_notices_kind_known CHECK (kind IN ('approved', 'rejected', 'expired', 'revoked', 'restored'))
);

ALTER TABLE audit_entries
    DROP CONSTRAINT audit_entries_subject_kind_known,
    ADD CONSTRAINT audit_entries_subject_kind_known
        CHECK (subject_kind IN ('account_region', 'endpoint_service', 'connection', 'consumer', 'denial', 'block', 'policy',
                                'access_request', 'access_removal', 'rejudgement'));
