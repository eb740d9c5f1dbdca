-- The keys of apps among those of many users: by any of them a user's calls may have come.
CREATE INDEX api_keys_of_apps ON jangbu.api_keys (project, created_at) WHERE account_id IS NULL;
