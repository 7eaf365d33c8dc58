-- What was bought. An agreement pins a plan as it was in one revision. Where it stands is what all notices about it come to; the columns below say what that was when
-- it was last looked at, and `due_at` when it has to be looked at again.
CREATE TABLE agreements (
    id                uuid NOT NULL,
    -- Where it was made, and its id there; ours where the provider made it without one.
    source            text NOT NULL,
    reference         text NOT NULL,
    listing_id        uuid NOT NULL,
    plan_id           uuid NOT NULL,
    revision          bigint NOT NULL,
    offer_id          uuid,
    -- The account that bought. Those that may connect are in agreement_accounts.
    buyer_account     text NOT NULL,
    -- For how long a quantity was bought; none where nothing is bought in advance.
    term              text,
    -- The one whose place it takes.
    replaces          uuid,
    state             text NOT NULL,
    -- Why it ended.
    cause             text,
    -- In grace: until when what is connected may stay.
    grace_until       timestamptz,
    -- Superseded: since when the one that takes its place is in force; none while that is waited for.
    succeeded_at      timestamptz,
    -- The terms as they were told last.
    starts_at         timestamptz,
    ends_at           timestamptz,
    -- Since when more is connected than it grants, and from when on that is cut.
    over_quota_since  timestamptz,
    over_quota_until  timestamptz,
    due_at            timestamptz,
    version           bigint NOT NULL DEFAULT 1,
    made_at           timestamptz NOT NULL,
    made_by           text NOT NULL,
    -- Since when it stands as it stands.
    stood_at          timestamptz NOT NULL,
    CONSTRAINT agreements_pkey PRIMARY KEY (id),
    CONSTRAINT agreements_reference_unique UNIQUE (source, reference),
    CONSTRAINT agreements_revision FOREIGN KEY (listing_id, revision) REFERENCES listing_revisions (listing_id, number),
    CONSTRAINT agreements_plan FOREIGN KEY (listing_id, plan_id) REFERENCES listing_plans (listing_id, id),
    CONSTRAINT agreements_offer FOREIGN KEY (offer_id) REFERENCES offers (id),
    CONSTRAINT agreements_replaces FOREIGN KEY (replaces) REFERENCES agreements (id),
    CONSTRAINT agreements_replaces_another CHECK (replaces <> id),
    CONSTRAINT agreements_source_known CHECK (source IN ('private', 'aws')),
    CONSTRAINT agreements_reference_given CHECK (reference <> ''),
    CONSTRAINT agreements_buyer_account_shape CHECK (buyer_account ~ '^[0-9]{12}$'),
    CONSTRAINT agreements_term_known CHECK (term IN ('P1M', 'P12M', 'P24M', 'P36M')),
    CONSTRAINT agreements_state_known CHECK (state IN ('pending', 'active', 'review', 'superseded', 'grace', 'ended')),
    CONSTRAINT agreements_cause_known CHECK (cause IN ('expired', 'cancelled', 'terminated', 'payment', 'trial_end')),
    CONSTRAINT agreements_grace_whole CHECK ((grace_until IS NOT NULL) = (state = 'grace') AND (grace_until IS NULL OR cause IS NOT NULL)),
    CONSTRAINT agreements_succeeded_whole CHECK (succeeded_at IS NULL OR state = 'superseded'),
    CONSTRAINT agreements_over_quota_whole CHECK ((over_quota_since IS NULL) = (over_quota_until IS NULL) AND over_quota_until >= over_quota_since)
);
CREATE INDEX agreements_by_listing ON agreements (listing_id, id);
CREATE INDEX agreements_by_buyer ON agreements (buyer_account, id);
CREATE INDEX agreements_by_replaced ON agreements (replaces) WHERE replaces IS NOT NULL;
-- The worker's queue.
CREATE INDEX agreements_due ON agreements (due_at) WHERE due_at IS NOT NULL;

-- Everything that a source told. A notice may come before the agreement is known here, so it names it as its source does. An event is told once, however often it comes.
CREATE TABLE agreement_notices (
    source     text NOT NULL,
    event_id   text NOT NULL,
    reference  text NOT NULL,
    -- When it happened, by the source's clock.
    at         timestamptz NOT NULL,
    kind       text NOT NULL,
    -- Why it ended.
    cause      text,
    -- For when and how much it was made.
    terms      jsonb,
    reason     text,
    heard_at   timestamptz NOT NULL,
    heard_by   text NOT NULL,
    CONSTRAINT agreement_notices_pkey PRIMARY KEY (source, event_id),
    CONSTRAINT agreement_notices_source_known CHECK (source IN ('private', 'aws')),
    CONSTRAINT agreement_notices_event_id_given CHECK (event_id <> ''),
    CONSTRAINT agreement_notices_kind_known
        CHECK (kind IN ('made', 'licensed', 'unlicensed', 'questioned', 'cleared', 'replaced', 'ended', 'rolled_back')),
    CONSTRAINT agreement_notices_cause_whole
        CHECK ((kind = 'ended') = (cause IS NOT NULL) AND cause IN ('expired', 'cancelled', 'terminated', 'payment', 'trial_end')),
    CONSTRAINT agreement_notices_terms_whole CHECK ((kind = 'made') = (terms IS NOT NULL) AND jsonb_typeof(terms) = 'object')
);
CREATE INDEX agreement_notices_by_agreement ON agreement_notices (source, reference, at);

-- The accounts that may connect by an agreement, and how it was proven that they belong to whoever bought.
CREATE TABLE agreement_accounts (
    id            uuid NOT NULL,
    agreement_id  uuid NOT NULL,
    account_id    text NOT NULL,
    proof         text NOT NULL,
    attached_at   timestamptz NOT NULL,
    attached_by   text NOT NULL,
    reason        text,
    detached_at   timestamptz,
    detached_by   text,
    detach_reason text,
    CONSTRAINT agreement_accounts_pkey PRIMARY KEY (id),
    CONSTRAINT agreement_accounts_agreement FOREIGN KEY (agreement_id) REFERENCES agreements (id),
    CONSTRAINT agreement_accounts_account_id_shape CHECK (account_id ~ '^[0-9]{12}$'),
    -- buyer: it bought. The others say what was known of the account when it was attached.
    CONSTRAINT agreement_accounts_proof_known CHECK (proof IN ('buyer', 'none', 'operator_vouched', 'sts_presigned')),
    CONSTRAINT agreement_accounts_detached_whole
        CHECK ((detached_at IS NULL) = (detached_by IS NULL) AND (detached_at IS NULL) = (detach_reason IS NULL) AND detached_at >= attached_at)
);
CREATE UNIQUE INDEX agreement_accounts_attached_once ON agreement_accounts (agreement_id, account_id) WHERE detached_at IS NULL;
CREATE INDEX agreement_accounts_by_account ON agreement_accounts (account_id) WHERE detached_at IS NULL;

-- Principals that services name because of an agreement.
CREATE TABLE agreement_grants (
    agreement_id         uuid NOT NULL,
    endpoint_service_id  uuid NOT NULL,
    account_id           text NOT NULL,
    principal            text NOT NULL,
    -- Whether the principal is there because of agreements alone, so that it goes with the last of them.
    added                boolean NOT NULL,
    since                timestamptz NOT NULL,
    ended_at             timestamptz,
    CONSTRAINT agreement_grants_agreement FOREIGN KEY (agreement_id) REFERENCES agreements (id),
    CONSTRAINT agreement_grants_service FOREIGN KEY (endpoint_service_id) REFERENCES endpoint_services (id),
    CONSTRAINT agreement_grants_account_id_shape CHECK (account_id ~ '^[0-9]{12}$'),
    CONSTRAINT agreement_grants_ends_later CHECK (ended_at >= since)
);
CREATE UNIQUE INDEX agreement_grants_given_once ON agreement_grants (agreement_id, endpoint_service_id, account_id) WHERE ended_at IS NULL;
CREATE INDEX agreement_grants_by_principal ON agreement_grants (endpoint_service_id, account_id) WHERE ended_at IS NULL;
CREATE INDEX agreement_grants_of_agreement ON agreement_grants (agreement_id);

-- Which agreement pays for a connection, from when to when: one at a time. What is used is counted by these rows.
CREATE TABLE agreement_bindings (
    agreement_id   uuid NOT NULL,
    connection_id  uuid NOT NULL,
    since          timestamptz NOT NULL,
    ended_at       timestamptz,
    -- moved: to another agreement. gone: the connection is not live any more. ended: the agreement does not pay any more.
    ended_as       text,
    CONSTRAINT agreement_bindings_agreement FOREIGN KEY (agreement_id) REFERENCES agreements (id),
    CONSTRAINT agreement_bindings_connection FOREIGN KEY (connection_id) REFERENCES connections (id),
    CONSTRAINT agreement_bindings_ended_as_known CHECK (ended_as IN ('moved', 'gone', 'ended')),
    CONSTRAINT agreement_bindings_ended_whole CHECK ((ended_at IS NULL) = (ended_as IS NULL) AND ended_at >= since)
);
CREATE UNIQUE INDEX agreement_bindings_one_pays ON agreement_bindings (connection_id) WHERE ended_at IS NULL;
CREATE INDEX agreement_bindings_of_agreement ON agreement_bindings (agreement_id, since);

-- Which agreement somebody said shall pay for a connection.
CREATE TABLE agreement_claims (
    connection_id  uuid NOT NULL,
    agreement_id   uuid NOT NULL,
    claimed_at     timestamptz NOT NULL,
    claimed_by     text NOT NULL,
    CONSTRAINT agreement_claims_pkey PRIMARY KEY (connection_id),
    CONSTRAINT agreement_claims_connection FOREIGN KEY (connection_id) REFERENCES connections (id),
    CONSTRAINT agreement_claims_agreement FOREIGN KEY (agreement_id) REFERENCES agreements (id)
);

CREATE TRIGGER agreement_notices_append_only BEFORE UPDATE OR DELETE ON agreement_notices FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER agreement_notices_no_truncate BEFORE TRUNCATE ON agreement_notices FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER agreements_no_delete BEFORE DELETE ON agreements FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER agreements_no_truncate BEFORE TRUNCATE ON agreements FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What was bought stays as it is, and what has ended does not come back.
CREATE FUNCTION keep_agreement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.id, OLD.source, OLD.reference, OLD.listing_id, OLD.plan_id, OLD.revision, OLD.offer_id, OLD.buyer_account, OLD.term, OLD.replaces, OLD.made_at, OLD.made_by)
            IS DISTINCT FROM
           (NEW.id, NEW.source, NEW.reference, NEW.listing_id, NEW.plan_id, NEW.revision, NEW.offer_id, NEW.buyer_account, NEW.term, NEW.replaces, NEW.made_at, NEW.made_by)
    THEN
        RAISE EXCEPTION 'agreement %: what was bought stays as it is', OLD.id USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER agreements_kept BEFORE UPDATE ON agreements FOR EACH ROW EXECUTE FUNCTION keep_agreement();

ALTER TABLE audit_entries
    DROP CONSTRAINT audit_entries_subject_kind_known,
    ADD CONSTRAINT audit_entries_subject_kind_known
        CHECK (subject_kind IN ('account_region', 'endpoint_service', 'connection', 'consumer', 'denial', 'block', 'policy',
                                'access_request', 'access_removal', 'rejudgement', 'service_token', 'listing', 'offer', 'agreement'));
