-- Offers: a plan for other prices, for everybody or for some accounts, for a while. An offer pins the plan as it was in one revision; that its time is over is told
-- by the clock.
CREATE TABLE offers (
    id                uuid NOT NULL,
    listing_id        uuid NOT NULL,
    plan_id           uuid NOT NULL,
    revision          bigint NOT NULL,
    kind              text NOT NULL,
    name              text NOT NULL,
    -- The accounts of a private one.
    accounts          text[] NOT NULL DEFAULT '{}',
    valid_from        timestamptz NOT NULL,
    valid_until       timestamptz,
    -- Other prices than the plan's: a list of dimension, term and price. Prices are text.
    prices            jsonb NOT NULL DEFAULT '[]',
    version           bigint NOT NULL DEFAULT 1,
    made_at           timestamptz NOT NULL,
    made_by           text NOT NULL,
    withdrawn_at      timestamptz,
    withdrawn_by      text,
    withdrawn_reason  text,
    CONSTRAINT offers_pkey PRIMARY KEY (id),
    CONSTRAINT offers_revision FOREIGN KEY (listing_id, revision) REFERENCES listing_revisions (listing_id, number),
    CONSTRAINT offers_plan FOREIGN KEY (listing_id, plan_id) REFERENCES listing_plans (listing_id, id),
    CONSTRAINT offers_kind_known CHECK (kind IN ('public', 'private')),
    CONSTRAINT offers_accounts_counted
        CHECK (CASE kind WHEN 'private' THEN cardinality(accounts) BETWEEN 1 AND 26 AND valid_until IS NOT NULL ELSE cardinality(accounts) = 0 END),
    CONSTRAINT offers_ends_later CHECK (valid_until > valid_from),
    CONSTRAINT offers_prices_list CHECK (jsonb_typeof(prices) = 'array'),
    CONSTRAINT offers_withdrawn_whole
        CHECK ((withdrawn_at IS NULL) = (withdrawn_by IS NULL) AND (withdrawn_at IS NULL) = (withdrawn_reason IS NULL))
);
CREATE INDEX offers_by_listing ON offers (listing_id, id);
CREATE INDEX offers_by_plan ON offers (plan_id);

-- What was offered stays as it is; it can be taken back, once.
CREATE FUNCTION keep_offer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.withdrawn_at IS NOT NULL
        OR (OLD.id, OLD.listing_id, OLD.plan_id, OLD.revision, OLD.kind, OLD.name, OLD.accounts, OLD.valid_from, OLD.valid_until, OLD.prices, OLD.made_at, OLD.made_by)
            IS DISTINCT FROM
           (NEW.id, NEW.listing_id, NEW.plan_id, NEW.revision, NEW.kind, NEW.name, NEW.accounts, NEW.valid_from, NEW.valid_until, NEW.prices, NEW.made_at, NEW.made_by)
    THEN
        RAISE EXCEPTION 'offer %: what it says stays as it is', OLD.id USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER offers_kept BEFORE UPDATE ON offers FOR EACH ROW EXECUTE FUNCTION keep_offer();
CREATE TRIGGER offers_no_delete BEFORE DELETE ON offers FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER offers_no_truncate BEFORE TRUNCATE ON offers FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

ALTER TABLE audit_entries
    DROP CONSTRAINT audit_entries_subject_kind_known,
    ADD CONSTRAINT audit_entries_subject_kind_known
        CHECK (subject_kind IN ('account_region', 'endpoint_service', 'connection', 'consumer', 'denial', 'block', 'policy',
                                'access_request', 'access_removal', 'rejudgement', 'service_token', 'listing', 'offer'));
