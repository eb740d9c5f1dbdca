-- Writes down who did what, in the transaction that does it. Nothing changes a line that is written.
INSERT INTO jangbu.audit (
    audit_id, project, actor_kind, actor_id, actor_name, action, target, before, after, request_id
)
VALUES (
    $1::uuid, $2::text, $3::text, $4::uuid, $5::text, $6::text, $7::text, $8::text::jsonb, $9::text::jsonb, $10::text
)
