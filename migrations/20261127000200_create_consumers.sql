-- Who asks for connections: an organisation, and the AWS accounts that are known to be its own.
CREATE TABLE consumers (
    id          uuid PRIMARY KEY,
    name        text NOT NULL,
    -- A short name that is used once, for links and scripts.
    slug        text NOT NULL,
    notes       text NOT NULL,
    -- Keys and values, both text.
    labels      jsonb NOT NULL,
    -- A list of people, each with name, e-mail and role.
    contacts    jsonb NOT NULL,
    state       text NOT NULL,
    -- Rises with every change; a change names the version that it is a change of.
    version     bigint NOT NULL DEFAULT 1,
    created_at  timestamptz NOT NULL,
    created_by  text NOT NULL,
    CONSTRAINT consumers_slug_shape CHECK (slug ~ '^[a-z0-9](-?[a-z0-9])*$' AND length(slug) <= 63),
    CONSTRAINT consumers_slug_unique UNIQUE (slug),
    CONSTRAINT consumers_state_known CHECK (state IN ('active', 'closed')),
    CONSTRAINT consumers_labels_object CHECK (jsonb_typeof(labels) = 'object'),
    CONSTRAINT consumers_contacts_list CHECK (jsonb_typeof(contacts) = 'array')
);

-- Which account belongs to which consumer, from when to when. An account has one consumer at a time; rows are closed, not deleted.
CREATE TABLE consumer_accounts (
    id              uuid PRIMARY KEY,
    consumer_id     uuid NOT NULL REFERENCES consumers (id),
    account_id      text NOT NULL,
    known_by        text NOT NULL,
    proof           text NOT NULL,
    proven_at       timestamptz,
    added_at        timestamptz NOT NULL,
    added_by        text NOT NULL,
    added_reason    text NOT NULL,
    removed_at      timestamptz,
    removed_by      text,
    removed_reason  text,
    CONSTRAINT consumer_accounts_account_id_shape CHECK (account_id ~ '^[0-9]{12}$'),
    CONSTRAINT consumer_accounts_known_by_known CHECK (known_by IN ('operator', 'access_request', 'agreement', 'observed')),
    CONSTRAINT consumer_accounts_proof_known CHECK (proof IN ('none', 'operator_vouched', 'sts_presigned')),
    CONSTRAINT consumer_accounts_proof_timed CHECK ((proof = 'none') = (proven_at IS NULL)),
    CONSTRAINT consumer_accounts_removed_whole
        CHECK ((removed_at IS NULL) = (removed_by IS NULL) AND (removed_at IS NULL) = (removed_reason IS NULL))
);
CREATE UNIQUE INDEX consumer_accounts_one_consumer ON consumer_accounts (account_id) WHERE removed_at IS NULL;
CREATE INDEX consumer_accounts_by_consumer ON consumer_accounts (consumer_id, id DESC);

-- What is locked while something is decided about an account, whether or not it has a consumer: its membership, its denials and how much
-- it uses cannot change meanwhile. Rows are made when they are first needed.
CREATE TABLE aws_accounts (
    account_id  text PRIMARY KEY,
    CONSTRAINT aws_accounts_account_id_shape CHECK (account_id ~ '^[0-9]{12}$')
);

ALTER TABLE audit_entries
    DROP CONSTRAINT audit_entries_subject_kind_known,
    ADD CONSTRAINT audit_entries_subject_kind_known
        CHECK (subject_kind IN ('account_region', 'endpoint_service', 'connection', 'consumer', 'denial', 'block'));
