-- From when the term of an agreement is counted, where it goes on others of the same plan: a chain of months that began on the 31st comes back to the 31st after each shorter
-- month. None where it is counted from its own beginning, as all that were made before are.
ALTER TABLE agreements
    ADD COLUMN anchored_at timestamptz,
    ADD CONSTRAINT agreements_anchored_whole CHECK (anchored_at IS NULL OR term IS NOT NULL);

-- It is part of what was bought.
CREATE OR REPLACE FUNCTION keep_agreement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.id, OLD.source, OLD.reference, OLD.listing_id, OLD.plan_id, OLD.revision, OLD.offer_id, OLD.buyer_account, OLD.term, OLD.anchored_at, OLD.replaces, OLD.made_at, OLD.made_by)
            IS DISTINCT FROM
           (NEW.id, NEW.source, NEW.reference, NEW.listing_id, NEW.plan_id, NEW.revision, NEW.offer_id, NEW.buyer_account, NEW.term, NEW.anchored_at, NEW.replaces, NEW.made_at, NEW.made_by)
    THEN
        RAISE EXCEPTION 'agreement %: what was bought stays as it is', OLD.id USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$$;
