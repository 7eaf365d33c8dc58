-- The rest of what can be changed about a service: its load balancers, its private DNS name, and who pays for the endpoints.
ALTER TABLE endpoint_services
    -- Load balancers that somebody took out of load_balancer_arns. Only these are ever removed in AWS; empty again once AWS has followed.
    ADD COLUMN dropped_load_balancer_arns text[] NOT NULL DEFAULT '{}',
    -- Somebody said yes to load balancers that listen differently.
    ADD COLUMN listeners_may_differ       boolean NOT NULL DEFAULT false,
    -- Since when AWS shall read the zones of the load balancers again; NULL when it need not.
    ADD COLUMN refresh_zones_at           timestamptz,
    -- Desired. 'as_it_is' leaves to AWS what AWS has, 'none' takes it away, 'name' wants the name beside it.
    ADD COLUMN private_dns_wanted         text NOT NULL DEFAULT 'as_it_is',
    ADD COLUMN private_dns_name           text,
    -- Desired. AWS knows no way back, so neither does this column.
    ADD COLUMN service_owner_pays         boolean NOT NULL DEFAULT false,
    -- What is remembered about the name that AWS has: where its proof stands, what public DNS showed, when AWS was asked.
    ADD COLUMN private_dns                jsonb,
    -- Steps that wait for something outside, such as endpoints that are attached. NULL when nothing waits.
    ADD COLUMN waiting                    jsonb,
    ADD CONSTRAINT endpoint_services_private_dns_wanted_known CHECK (private_dns_wanted IN ('as_it_is', 'none', 'name')),
    ADD CONSTRAINT endpoint_services_private_dns_whole CHECK ((private_dns_wanted = 'name') = (private_dns_name IS NOT NULL)),
    ADD CONSTRAINT endpoint_services_dropped_is_not_desired CHECK (NOT dropped_load_balancer_arns && load_balancer_arns);
