-- Agreements that the worker has to look at because of a connection. Rows of their own, so that whoever changes a connection does not wait for whoever carries its
-- agreement out: agreements are locked before connections.
CREATE TABLE agreement_wakes (
    id            bigint GENERATED ALWAYS AS IDENTITY,
    agreement_id  uuid NOT NULL,
    CONSTRAINT agreement_wakes_pkey PRIMARY KEY (id),
    CONSTRAINT agreement_wakes_agreement FOREIGN KEY (agreement_id) REFERENCES agreements (id)
);

-- A connection that comes to life, or goes, changes what its agreement has in use, whichever way it came to that: so the row itself tells.
CREATE FUNCTION wake_agreements_of_connection() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO agreement_wakes (agreement_id)
    SELECT b.agreement_id FROM agreement_bindings AS b WHERE b.connection_id = NEW.id AND b.ended_at IS NULL
    UNION
    SELECT a.id FROM listing_services AS s
      JOIN agreements AS a ON a.listing_id = s.listing_id AND a.state <> 'ended'
      JOIN agreement_accounts AS m ON m.agreement_id = a.id AND m.account_id = NEW.owner_account AND m.detached_at IS NULL
     WHERE s.endpoint_service_id = NEW.endpoint_service_id AND s.ended_at IS NULL;
    RETURN NULL;
END
$$;
CREATE TRIGGER connections_wake_agreements AFTER UPDATE OF review_state, observed_state ON connections FOR EACH ROW
    WHEN ((OLD.review_state, OLD.observed_state) IS DISTINCT FROM (NEW.review_state, NEW.observed_state))
    EXECUTE FUNCTION wake_agreements_of_connection();
