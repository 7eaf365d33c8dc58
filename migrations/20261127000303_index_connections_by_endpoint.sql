-- Many connections named at once by AWS's ids of their endpoints.
CREATE INDEX connections_by_endpoint ON connections (endpoint_id);
