-- What a light comparison finds between what was bought, who is let in, and who is connected. A finding stands as long as it is found, and is kept when it is gone.
CREATE TABLE findings (
    id                   uuid NOT NULL,
    kind                 text NOT NULL,
    listing_id           uuid,
    agreement_id         uuid,
    account_id           text,
    endpoint_service_id  uuid,
    principal            text,
    connection_id        uuid,
    first_seen_at        timestamptz NOT NULL,
    last_seen_at         timestamptz NOT NULL,
    resolved_at          timestamptz,
    CONSTRAINT findings_pkey PRIMARY KEY (id),
    CONSTRAINT findings_kind_known
        CHECK (kind IN ('paid_not_granted', 'granted_not_paid', 'connected_not_paid', 'principal_unknown', 'never_registered')),
    CONSTRAINT findings_listing FOREIGN KEY (listing_id) REFERENCES listings (id),
    CONSTRAINT findings_agreement FOREIGN KEY (agreement_id) REFERENCES agreements (id),
    CONSTRAINT findings_service FOREIGN KEY (endpoint_service_id) REFERENCES endpoint_services (id),
    CONSTRAINT findings_connection FOREIGN KEY (connection_id) REFERENCES connections (id),
    CONSTRAINT findings_seen_in_order CHECK (first_seen_at <= last_seen_at)
);
CREATE UNIQUE INDEX findings_one_open ON findings (kind, listing_id, agreement_id, account_id, endpoint_service_id, principal, connection_id)
    NULLS NOT DISTINCT WHERE resolved_at IS NULL;
CREATE INDEX findings_open ON findings (kind, id DESC) WHERE resolved_at IS NULL;
CREATE INDEX findings_by_service ON findings (endpoint_service_id, id DESC) WHERE endpoint_service_id IS NOT NULL;
CREATE INDEX findings_by_account ON findings (account_id, id DESC) WHERE account_id IS NOT NULL;

-- When was compared last: one row. Whoever compares holds it.
CREATE TABLE finding_runs (
    one     boolean NOT NULL DEFAULT true,
    ran_at  timestamptz,
    CONSTRAINT finding_runs_pkey PRIMARY KEY (one),
    CONSTRAINT finding_runs_one CHECK (one)
);
INSERT INTO finding_runs DEFAULT VALUES;

-- What there is to be found at present.
CREATE VIEW findings_now AS
    WITH sold AS (
        SELECT l.id AS listing_id, s.id AS service_id, s.allowed_principals, s.observed_principals, ar.region,
               EXISTS (SELECT FROM jsonb_array_elements(r.content -> 'plans') AS plan WHERE plan ->> 'agreement_required' = 'false') AS needs_none
          FROM listing_services ls
          JOIN listings l ON l.id = ls.listing_id AND l.state IN ('limited', 'public', 'restricted')
          JOIN listing_revisions r ON r.listing_id = l.id AND r.number = l.live_revision
          JOIN endpoint_services s ON s.id = ls.endpoint_service_id AND s.lifecycle NOT IN ('draining', 'deleting', 'deleted', 'released')
          JOIN account_regions ar ON ar.id = s.account_region_id
         WHERE ls.ended_at IS NULL
    ), asked AS MATERIALIZED (
        SELECT s.service_id, p AS principal, split_part(p, ':', 5) AS account_id, p = '*' OR p LIKE '%:root' AS whole FROM sold s, unnest(s.allowed_principals) AS p
    ), seen AS MATERIALIZED (
        SELECT s.service_id, split_part(p, ':', 5) AS account_id FROM sold s, unnest(s.observed_principals) AS p WHERE p LIKE '%:root'
    ), ours AS MATERIALIZED (
        SELECT s.id AS service_id, p AS principal FROM endpoint_services s, unnest(s.allowed_principals || s.granted_principals) AS p
         WHERE s.lifecycle NOT IN ('deleting', 'deleted', 'released')
    ), in_force AS (
        SELECT id, listing_id, plan_id, revision, buyer_account FROM agreements
         WHERE state IN ('active', 'review') OR (state = 'superseded' AND succeeded_at IS NULL)
    )
    -- An account that may connect by an agreement, and that a service of the listing in the plan's Regions does not name, as desired or as AWS was read. What a block
    -- keeps out is none.
    SELECT 'paid_not_granted' AS kind, a.listing_id, a.id AS agreement_id, aa.account_id, s.service_id AS endpoint_service_id, NULL::text AS principal,
           NULL::uuid AS connection_id
      FROM in_force a
      JOIN agreement_accounts aa ON aa.agreement_id = a.id AND aa.detached_at IS NULL AND aa.proof <> 'none'
      JOIN sold s ON s.listing_id = a.listing_id
      JOIN listing_revisions r ON r.listing_id = a.listing_id AND r.number = a.revision
     WHERE EXISTS (SELECT FROM jsonb_array_elements(r.content -> 'plans') AS plan
                    WHERE plan ->> 'id' = 'pln_' || replace(a.plan_id::text, '-', '') AND (plan -> 'regions' IS NULL OR plan -> 'regions' ? s.region))
       AND NOT EXISTS (SELECT FROM block_principals b
                        WHERE b.endpoint_service_id = s.service_id AND b.restored_at IS NULL AND split_part(b.principal, ':', 5) = aa.account_id)
       -- By hashes, not by walking a list of principals for every account.
       AND '*' <> ALL (s.allowed_principals)
       AND ((s.service_id, aa.account_id) NOT IN (SELECT service_id, account_id FROM asked WHERE whole)
            OR (s.observed_principals IS NOT NULL AND '*' <> ALL (s.observed_principals)
                AND (s.service_id, aa.account_id) NOT IN (SELECT service_id, account_id FROM seen)))
    UNION ALL
    -- A principal that is asked for on a service that is sold, and that no agreement, access request or free plan stands for.
    SELECT 'granted_not_paid', s.listing_id, NULL, split_part(p, ':', 5), s.service_id, p, NULL
      FROM sold s, unnest(s.allowed_principals) AS p
     WHERE p <> '*' AND NOT s.needs_none
       AND NOT EXISTS (SELECT FROM in_force a JOIN agreement_accounts aa ON aa.agreement_id = a.id AND aa.detached_at IS NULL
                        WHERE a.listing_id = s.listing_id AND aa.account_id = split_part(p, ':', 5))
       AND NOT EXISTS (SELECT FROM access_request_services q
                        WHERE q.endpoint_service_id = s.service_id AND q.account_id = split_part(p, ':', 5) AND q.state = 'standing')
    UNION ALL
    -- An accepted, live connection that no agreement pays for, and that is in no grace.
    SELECT 'connected_not_paid', s.listing_id, NULL, c.owner_account, s.service_id, NULL, c.id
      FROM sold s JOIN connections c ON c.endpoint_service_id = s.service_id
     WHERE NOT s.needs_none AND c.review_state = 'accepted' AND c.observed_state IN ('pending', 'available', 'partial')
       AND NOT EXISTS (SELECT FROM agreement_bindings b WHERE b.connection_id = c.id AND b.ended_at IS NULL)
       AND NOT EXISTS (SELECT FROM agreements a JOIN agreement_accounts aa ON aa.agreement_id = a.id AND aa.detached_at IS NULL
                        WHERE a.listing_id = s.listing_id AND a.state = 'grace' AND aa.account_id = c.owner_account)
    UNION ALL
    -- A principal that AWS has and nobody here asked for.
    SELECT 'principal_unknown', (SELECT ls.listing_id FROM listing_services ls WHERE ls.endpoint_service_id = s.id AND ls.ended_at IS NULL), NULL,
           nullif(split_part(p, ':', 5), ''), s.id, p, NULL
      FROM endpoint_services s, unnest(s.observed_principals) AS p
     WHERE s.lifecycle NOT IN ('deleting', 'deleted', 'released') AND (s.id, p) NOT IN (SELECT service_id, principal FROM ours)
    UNION ALL
    -- An agreement whose buyer belongs to nobody whom we know.
    SELECT 'never_registered', a.listing_id, a.id, a.buyer_account, NULL, NULL, NULL
      FROM in_force a
     WHERE NOT EXISTS (SELECT FROM consumer_accounts ca WHERE ca.account_id = a.buyer_account AND ca.removed_at IS NULL);
