-- Lists and counts among hundreds of thousands of rows. What is open lies apart from what is resolved, in the order of a list,
-- with what a list is narrowed by; so do alerts that did not arrive, events by kind, and the keys of a user.
CREATE INDEX findings_open_by_time ON jangbu.findings (created_at, usage_id, kind) INCLUDE (account_id, acknowledged_at)
WHERE resolved_at IS NULL;
CREATE INDEX alerts_undelivered ON jangbu.alerts (project, created_at, id) WHERE delivered_at IS NULL AND muted_at IS NULL;
CREATE INDEX webhook_events_by_kind ON jangbu.webhook_events (project, kind, created_at, id);
CREATE INDEX api_keys_by_account ON jangbu.api_keys (account_id, created_at) WHERE account_id IS NOT NULL;

-- Calls without a deduction are counted in the index alone. Those of calls under way are not in it, as before.
DROP INDEX jangbu.holds_undeducted;
CREATE INDEX holds_undeducted ON jangbu.holds (taken_at, account_id) INCLUDE (id, state, service, model)
WHERE state IN ('unknown', 'released', 'expired');
