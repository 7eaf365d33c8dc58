-- What is sold. A listing has revisions: at most one is open (a draft, in review, approved) and at most one live. What was submitted never changes again, so
-- whoever pins a plan and a revision knows for ever what was bought.
CREATE TABLE listings (
    id              uuid NOT NULL,
    -- A short name that is used once, in addresses.
    slug            text NOT NULL,
    state           text NOT NULL,
    -- Where it goes back to; only while it is suspended.
    suspended_from  text,
    -- The revision that is sold; kept when the listing is retired.
    live_revision   bigint,
    -- Who sees it once it is public.
    visibility      text NOT NULL,
    -- Accounts that may buy while it is limited, and see it where only they may.
    allow_list      text[] NOT NULL DEFAULT '{}',
    -- Rises with every change of the listing or of its open revision.
    version         bigint NOT NULL DEFAULT 1,
    created_at      timestamptz NOT NULL,
    created_by      text NOT NULL,
    -- Since when it stands where it stands, by whom, and why if they said so.
    moved_at        timestamptz NOT NULL,
    moved_by        text NOT NULL,
    moved_reason    text,
    CONSTRAINT listings_pkey PRIMARY KEY (id),
    CONSTRAINT listings_slug_unique UNIQUE (slug),
    CONSTRAINT listings_slug_shape CHECK (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$' AND length(slug) <= 63),
    CONSTRAINT listings_state_known CHECK (state IN ('draft', 'in_review', 'changes_requested', 'approved', 'limited', 'public', 'restricted', 'suspended', 'retired')),
    CONSTRAINT listings_visibility_known CHECK (visibility IN ('public', 'unlisted', 'allow_list')),
    CONSTRAINT listings_suspended_whole CHECK ((state = 'suspended') = (suspended_from IS NOT NULL)),
    CONSTRAINT listings_suspended_from_known CHECK (suspended_from IN ('limited', 'public', 'restricted')),
    -- Nobody meets a listing of which no revision is live.
    CONSTRAINT listings_released_live CHECK (state NOT IN ('limited', 'public', 'restricted', 'suspended') OR live_revision IS NOT NULL),
    CONSTRAINT listings_unreleased_not_live CHECK (state NOT IN ('draft', 'in_review', 'changes_requested', 'approved') OR live_revision IS NULL)
);

CREATE TABLE listing_revisions (
    listing_id      uuid NOT NULL,
    -- Counts the revisions of a listing.
    number          bigint NOT NULL,
    status          text NOT NULL,
    content         jsonb NOT NULL,
    -- Everybody who wrote in it; none of them reviews it.
    authors         text[] NOT NULL,
    begun_at        timestamptz NOT NULL,
    begun_by        text NOT NULL,
    written_at      timestamptz NOT NULL,
    written_by      text NOT NULL,
    -- When it was submitted, and frozen so.
    frozen_at       timestamptz,
    submitted_by    text,
    reviewed_at     timestamptz,
    reviewed_by     text,
    checklist       text[] NOT NULL DEFAULT '{}',
    review_note     text,
    -- Why it was rejected: a list of code, field and detail.
    rejections      jsonb NOT NULL DEFAULT '[]',
    live_at         timestamptz,
    -- When another took its place, or it was taken back.
    superseded_at   timestamptz,
    CONSTRAINT listing_revisions_pkey PRIMARY KEY (listing_id, number),
    CONSTRAINT listing_revisions_listing FOREIGN KEY (listing_id) REFERENCES listings (id),
    CONSTRAINT listing_revisions_number_positive CHECK (number > 0),
    CONSTRAINT listing_revisions_status_known CHECK (status IN ('draft', 'in_review', 'approved', 'rejected', 'live', 'superseded')),
    CONSTRAINT listing_revisions_content_object CHECK (jsonb_typeof(content) = 'object'),
    CONSTRAINT listing_revisions_rejections_list CHECK (jsonb_typeof(rejections) = 'array'),
    CONSTRAINT listing_revisions_authors_given CHECK (cardinality(authors) > 0),
    CONSTRAINT listing_revisions_frozen_whole CHECK ((frozen_at IS NULL) = (status = 'draft') AND (frozen_at IS NULL) = (submitted_by IS NULL)),
    CONSTRAINT listing_revisions_reviewed_whole CHECK ((reviewed_at IS NULL) = (reviewed_by IS NULL)),
    CONSTRAINT listing_revisions_review_done CHECK (status NOT IN ('approved', 'rejected', 'live') OR reviewed_at IS NOT NULL),
    -- Two persons: whoever wrote or submitted it does not review it.
    CONSTRAINT listing_revisions_reviewed_by_another CHECK (reviewed_by IS NULL OR (reviewed_by <> ALL (authors) AND reviewed_by <> submitted_by)),
    CONSTRAINT listing_revisions_rejected_for_reasons CHECK ((status = 'rejected') = (rejections <> '[]')),
    CONSTRAINT listing_revisions_live_dated CHECK (status <> 'live' OR live_at IS NOT NULL),
    CONSTRAINT listing_revisions_superseded_dated CHECK ((status = 'superseded') = (superseded_at IS NOT NULL))
);
CREATE UNIQUE INDEX listing_revisions_one_open ON listing_revisions (listing_id) WHERE status IN ('draft', 'in_review', 'approved');
CREATE UNIQUE INDEX listing_revisions_one_live ON listing_revisions (listing_id) WHERE status = 'live';
ALTER TABLE listings
    ADD CONSTRAINT listings_live_revision FOREIGN KEY (id, live_revision) REFERENCES listing_revisions (listing_id, number);

-- Every plan that a revision ever had: its id is the same in all of them.
CREATE TABLE listing_plans (
    id          uuid NOT NULL,
    listing_id  uuid NOT NULL,
    made_at     timestamptz NOT NULL,
    CONSTRAINT listing_plans_pkey PRIMARY KEY (id),
    -- What names a plan names its listing too, and the two have to belong together.
    CONSTRAINT listing_plans_of_listing UNIQUE (listing_id, id),
    CONSTRAINT listing_plans_listing FOREIGN KEY (listing_id) REFERENCES listings (id)
);

-- Which listing sells a service, from its release on. A service is sold by one at a time.
CREATE TABLE listing_services (
    listing_id           uuid NOT NULL,
    endpoint_service_id  uuid NOT NULL,
    -- The revision that began it.
    revision             bigint NOT NULL,
    since                timestamptz NOT NULL,
    ended_at             timestamptz,
    CONSTRAINT listing_services_pkey PRIMARY KEY (listing_id, endpoint_service_id, revision),
    CONSTRAINT listing_services_revision FOREIGN KEY (listing_id, revision) REFERENCES listing_revisions (listing_id, number),
    CONSTRAINT listing_services_service FOREIGN KEY (endpoint_service_id) REFERENCES endpoint_services (id),
    CONSTRAINT listing_services_ends_later CHECK (ended_at >= since)
);
CREATE UNIQUE INDEX listing_services_sold_once ON listing_services (endpoint_service_id) WHERE ended_at IS NULL;
CREATE INDEX listing_services_by_listing ON listing_services (listing_id) WHERE ended_at IS NULL;

-- What was submitted stays as it is, and a revision only goes forward.
CREATE FUNCTION keep_listing_revision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.listing_id, OLD.number, OLD.begun_at, OLD.begun_by) IS DISTINCT FROM (NEW.listing_id, NEW.number, NEW.begun_at, NEW.begun_by)
        OR (OLD.frozen_at IS NOT NULL
            AND (OLD.content, OLD.authors, OLD.written_at, OLD.written_by, OLD.frozen_at, OLD.submitted_by)
                IS DISTINCT FROM (NEW.content, NEW.authors, NEW.written_at, NEW.written_by, NEW.frozen_at, NEW.submitted_by))
        OR (OLD.reviewed_at IS NOT NULL
            AND (OLD.reviewed_at, OLD.reviewed_by, OLD.checklist, OLD.review_note, OLD.rejections)
                IS DISTINCT FROM (NEW.reviewed_at, NEW.reviewed_by, NEW.checklist, NEW.review_note, NEW.rejections))
        OR (OLD.status <> NEW.status
            AND (OLD.status, NEW.status) NOT IN (('draft', 'in_review'), ('in_review', 'approved'), ('in_review', 'rejected'), ('in_review', 'superseded'),
                                                 ('approved', 'live'), ('approved', 'superseded'), ('live', 'superseded')))
    THEN
        RAISE EXCEPTION 'revision % of listing % is %: it stays as it is', OLD.number, OLD.listing_id, OLD.status USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER listing_revisions_kept BEFORE UPDATE ON listing_revisions FOR EACH ROW EXECUTE FUNCTION keep_listing_revision();
CREATE TRIGGER listing_revisions_no_delete BEFORE DELETE ON listing_revisions FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER listing_revisions_no_truncate BEFORE TRUNCATE ON listing_revisions FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER listings_no_delete BEFORE DELETE ON listings FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER listings_no_truncate BEFORE TRUNCATE ON listings FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER listing_plans_append_only BEFORE UPDATE OR DELETE ON listing_plans FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER listing_plans_no_truncate BEFORE TRUNCATE ON listing_plans FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What is retired does not come back.
CREATE FUNCTION keep_listing() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state = 'retired' OR (OLD.id, OLD.created_at, OLD.created_by) IS DISTINCT FROM (NEW.id, NEW.created_at, NEW.created_by)
        OR (OLD.slug <> NEW.slug AND OLD.live_revision IS NOT NULL)
    THEN
        RAISE EXCEPTION 'listing % is %: it stays as it is', OLD.id, OLD.state USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER listings_kept BEFORE UPDATE ON listings FOR EACH ROW EXECUTE FUNCTION keep_listing();
