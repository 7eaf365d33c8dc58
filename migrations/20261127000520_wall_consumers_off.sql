-- The second wall between consumers. Requests of a consumer run as the role portcullis_consumer, which names its organisation in the setting
-- portcullis.consumer (src/store/tenant.rs). The first wall is the WHERE of each statement; where one is missing or wrong, the policies here still
-- show nothing of anybody else.
--
-- Every table either has grants and policies below, or has neither: row-level security is switched on where the role may look at all, and nothing else
-- is granted to it. tests/it/tenancy.rs holds every table to that.

-- Roles belong to the cluster, not to a database, so another database may have made it, or may be making it at this moment.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'portcullis_consumer') THEN
        CREATE ROLE portcullis_consumer NOLOGIN;
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
END
$$;

-- A role that somebody made beforehand must not be able to look over the wall.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'portcullis_consumer' AND (rolsuper OR rolbypassrls OR rolcanlogin)) THEN
        RAISE EXCEPTION 'the role portcullis_consumer must be NOLOGIN, NOSUPERUSER and NOBYPASSRLS';
    END IF;
END
$$;

-- Whoever migrates is whoever serves, and has to be able to become the role. A superuser is; anybody else needs a membership, which whoever has
-- CREATEROLE (and, from PostgreSQL 16 on, made the role or has ADMIN OPTION on it) may give themselves.
DO $$
DECLARE
    before text := current_setting('role');
BEGIN
    FOR attempt IN 1..20 LOOP
        BEGIN
            PERFORM set_config('role', 'portcullis_consumer', true), set_config('role', before, true);
            RETURN;
        EXCEPTION WHEN insufficient_privilege THEN NULL;
        END;
        BEGIN
            EXECUTE format('GRANT portcullis_consumer TO %I', current_user);
        EXCEPTION
            -- Another database grants the same.
            WHEN unique_violation OR internal_error THEN PERFORM pg_sleep(0.05);
        END;
    END LOOP;
    RAISE EXCEPTION 'the role % cannot become portcullis_consumer', current_user;
END
$$;

-- By default everybody may use the schema. Where that was taken away, its owner has to give it back to the role.
DO $$
BEGIN
    IF NOT has_schema_privilege('portcullis_consumer', current_schema(), 'USAGE') THEN
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO portcullis_consumer', current_schema());
    END IF;
END
$$;

-- The organisation that the transaction speaks for. NULL where none was named, and then nothing is anybody's.
CREATE FUNCTION acting_consumer() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT nullif(current_setting('portcullis.consumer', true), '')::uuid
$$;

-- Not shown: notes, labels, who added it, and the version of the provider's record.
ALTER TABLE consumers ENABLE ROW LEVEL SECURITY;
GRANT SELECT (id, name, slug, contacts, state, created_at) ON consumers TO portcullis_consumer;
CREATE POLICY consumers_own ON consumers FOR SELECT TO portcullis_consumer
    USING (id = acting_consumer());

-- Only those that are the consumer's now: what was may be somebody else's. Not shown: how it became known, by whom and why.
ALTER TABLE consumer_accounts ENABLE ROW LEVEL SECURITY;
GRANT SELECT (id, consumer_id, account_id, proof, proven_at, added_at, removed_at) ON consumer_accounts TO portcullis_consumer;
CREATE POLICY consumer_accounts_own ON consumer_accounts FOR SELECT TO portcullis_consumer
    USING (consumer_id = acting_consumer() AND removed_at IS NULL);

-- Not shown: who set it and when.
ALTER TABLE consumer_quotas ENABLE ROW LEVEL SECURITY;
GRANT SELECT (consumer_id, most_connections, most_endpoints_per_service, most_regions) ON consumer_quotas TO portcullis_consumer;
CREATE POLICY consumer_quotas_own ON consumer_quotas FOR SELECT TO portcullis_consumer
    USING (consumer_id = acting_consumer());

-- Whose account it is, whose connection it is. The sub-select passes the wall of consumer_accounts itself. Not shown: everything about how AWS is told,
-- who takes care of a stall, and when it is judged.
ALTER TABLE connections ENABLE ROW LEVEL SECURITY;
GRANT SELECT (id, endpoint_service_id, endpoint_id, owner_account, observed_state, observed_at, aws_created_at, aws_connection_id, endpoint_region,
              ip_address_type, dns_entries, first_seen_at, review_state, decision_id)
    ON connections TO portcullis_consumer;
CREATE POLICY connections_own ON connections FOR SELECT TO portcullis_consumer
    USING (owner_account IN (SELECT m.account_id FROM consumer_accounts m WHERE m.consumer_id = acting_consumer() AND m.removed_at IS NULL));

-- When it was decided and what the consumer is told. Not shown: who, why, the reason's code, the ticket, and what the decider could see.
ALTER TABLE decisions ENABLE ROW LEVEL SECURITY;
GRANT SELECT (id, connection_id, verb, decided_at, message) ON decisions TO portcullis_consumer;
CREATE POLICY decisions_own ON decisions FOR SELECT TO portcullis_consumer
    USING (EXISTS (SELECT FROM connections c WHERE c.id = decisions.connection_id));

-- Until when access is given, and nothing else of the review.
ALTER TABLE reviews ENABLE ROW LEVEL SECURITY;
GRANT SELECT (connection_id, expires_at) ON reviews TO portcullis_consumer;
CREATE POLICY reviews_own ON reviews FOR SELECT TO portcullis_consumer
    USING (EXISTS (SELECT FROM connections c WHERE c.id = reviews.connection_id));

-- Those that name the consumer, and those of its accounts that name nobody. Not shown: who answered or ended it, why, and the ticket.
-- It may ask, for an account of its own and in its own name, and take back what waits; nothing else about a request can change by its hand. Whose it is
-- stands in the policy of UPDATE too: one without WHERE does not ask the policy of SELECT.
ALTER TABLE access_requests ENABLE ROW LEVEL SECURITY;
GRANT SELECT (id, account_id, consumer_id, contact, message, expires_at, state, made_at, made_by, decided_at, decided_message, ended_at),
      INSERT (id, account_id, consumer_id, contact, message, expires_at, state, made_at, made_by),
      UPDATE (state, decided_at, decided_by, decided_reason)
    ON access_requests TO portcullis_consumer;
CREATE POLICY access_requests_own ON access_requests FOR SELECT TO portcullis_consumer
    USING (consumer_id = acting_consumer()
           OR (consumer_id IS NULL
               AND account_id IN (SELECT m.account_id FROM consumer_accounts m WHERE m.consumer_id = acting_consumer() AND m.removed_at IS NULL)));
CREATE POLICY access_requests_ask ON access_requests FOR INSERT TO portcullis_consumer
    WITH CHECK (consumer_id = acting_consumer() AND state = 'pending'
                AND account_id IN (SELECT m.account_id FROM consumer_accounts m WHERE m.consumer_id = acting_consumer() AND m.removed_at IS NULL));
CREATE POLICY access_requests_withdraw ON access_requests FOR UPDATE TO portcullis_consumer
    USING (state = 'pending'
           AND (consumer_id = acting_consumer()
                OR (consumer_id IS NULL
                    AND account_id IN (SELECT m.account_id FROM consumer_accounts m WHERE m.consumer_id = acting_consumer() AND m.removed_at IS NULL))))
    WITH CHECK (state = 'withdrawn');

-- The services of those. Not shown: the principal and the service's version.
ALTER TABLE access_request_services ENABLE ROW LEVEL SECURITY;
GRANT SELECT (access_request_id, endpoint_service_id, account_id, state),
      INSERT (access_request_id, endpoint_service_id, account_id, state, added),
      UPDATE (state)
    ON access_request_services TO portcullis_consumer;
CREATE POLICY access_request_services_own ON access_request_services FOR SELECT TO portcullis_consumer
    USING (EXISTS (SELECT FROM access_requests r WHERE r.id = access_request_services.access_request_id));
CREATE POLICY access_request_services_ask ON access_request_services FOR INSERT TO portcullis_consumer
    WITH CHECK (state = 'waiting' AND NOT added
                AND EXISTS (SELECT FROM access_requests r
                             WHERE r.id = access_request_services.access_request_id AND r.consumer_id = acting_consumer() AND r.state = 'pending'
                               AND r.account_id = access_request_services.account_id));
CREATE POLICY access_request_services_withdraw ON access_request_services FOR UPDATE TO portcullis_consumer
    USING (state = 'waiting' AND EXISTS (SELECT FROM access_requests r WHERE r.id = access_request_services.access_request_id))
    WITH CHECK (state = 'over');
