-- AWS's id of a service is taken wherever ours is, and is looked up without its AccountRegion.
CREATE INDEX endpoint_services_by_aws_id ON endpoint_services (aws_service_id);
