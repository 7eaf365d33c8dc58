-- Whether what was tried is to take the policy away: what would be decided without it. Of a policy in force; of any other, what would be decided with it.
ALTER TABLE policy_dry_runs ADD COLUMN without_it boolean NOT NULL DEFAULT false;
