-- A ledger as the first revision kept it: two users, grants that burn and expire, three calls with a price and one
-- without, a correction, and a hold whose outcome nobody knows. Every figure follows from the others.
SELECT jangbu.usage_partition_make('2026-11-27T00:00:00Z');

INSERT INTO jangbu.accounts (
    account_id, project, user_id, state, created_at
) VALUES
    ('88bb8c66-e7a1-5c05-a0e6-f02036fac1ca', 'default', 'kim', 'active', '2026-11-27 01:03:46.910027+00'),
    ('59539aa0-0e69-5bb1-b2b7-817857741a99', 'default', '김철수', 'active', '2026-11-27 01:03:48.106718+00');

INSERT INTO jangbu.services (
    service_id, name
) OVERRIDING SYSTEM VALUE VALUES
    (1, 'text_generation'),
    (3, 'image_generation');

INSERT INTO jangbu.models (
    model_id, name
) OVERRIDING SYSTEM VALUE VALUES
    (1, 'gemini-2.5-flash'),
    (3, 'gemini-9-unknown');

INSERT INTO jangbu.price_versions (
    version, project, digest, book, note, created_at
) OVERRIDING SYSTEM VALUE VALUES
    (1, 'default', '\x5f22843aeb8de0c1fbbeb9e06eb27965b590f1b715a950293ecd8ffb121dfcb0', '{"rows": [{"note": "", "tier": "standard", "meter": "input", "model": "gemini-2.5-flash", "source": "a test", "modality": "any", "platform": null, "priority": 0, "valid_to": null, "unit_size": 1000000, "price_nano": 300000000, "valid_from": null, "above_prompt_tokens": 0}, {"note": "", "tier": "standard", "meter": "output", "model": "gemini-2.5-flash", "source": "a test", "modality": "any", "platform": null, "priority": 0, "valid_to": null, "unit_size": 1000000, "price_nano": 2500000000, "valid_from": null, "above_prompt_tokens": 0}], "terms": {"overrides": [], "markup_parts_per_million": 0}}', 'the book of book.json', '2026-11-27 01:03:46.809529+00');

INSERT INTO jangbu.balances (
    account_id, asset, granted, used, held, version, updated_at
) VALUES
    ('59539aa0-0e69-5bb1-b2b7-817857741a99', 1, 2000, 450, 0, 2, '2026-11-27 01:03:52.995867+00'),
    ('88bb8c66-e7a1-5c05-a0e6-f02036fac1ca', 1, 10400, 1440, 700, 6, '2026-11-27 01:03:53.465771+00');

INSERT INTO jangbu.entries (
    account_id, asset, seq, kind, delta, balance_after, posting, reference, reason, created_at
) VALUES
    ('88bb8c66-e7a1-5c05-a0e6-f02036fac1ca', 1, 1, 'grant', 10000, 10000, NULL, NULL, NULL, '2026-11-27 01:03:48.869033+00'),
    ('88bb8c66-e7a1-5c05-a0e6-f02036fac1ca', 1, 2, 'grant', 500, 10500, NULL, NULL, NULL, '2026-11-27 01:03:49.798846+00'),
    ('59539aa0-0e69-5bb1-b2b7-817857741a99', 1, 1, 'grant', 2000, 2000, NULL, NULL, NULL, '2026-11-27 01:03:51.217742+00'),
    ('88bb8c66-e7a1-5c05-a0e6-f02036fac1ca', 1, 3, 'usage', -450, 10050, 2, NULL, NULL, '2026-11-27 01:03:51.625681+00'),
    ('88bb8c66-e7a1-5c05-a0e6-f02036fac1ca', 1, 4, 'usage', -540, 9510, 3, NULL, NULL, '2026-11-27 01:03:52.01583+00'),
    ('88bb8c66-e7a1-5c05-a0e6-f02036fac1ca', 1, 5, 'usage', -450, 9060, 4, NULL, NULL, '2026-11-27 01:03:52.507963+00'),
    ('59539aa0-0e69-5bb1-b2b7-817857741a99', 1, 2, 'usage', -450, 1550, 1, NULL, NULL, '2026-11-27 01:03:52.995801+00'),
    ('88bb8c66-e7a1-5c05-a0e6-f02036fac1ca', 1, 6, 'adjustment', -100, 8960, NULL, NULL, 'a mistake', '2026-11-27 01:03:53.383423+00');

INSERT INTO jangbu.grants (
    account_id, id, asset, amount, consumed, expired, source, priority, expires_at, created_at
) VALUES
    ('88bb8c66-e7a1-5c05-a0e6-f02036fac1ca', '01a21a87-ac83-76b7-ac51-929d70fafc8c', 1, 10000, 0, 0, 'purchase', 0, NULL, '2026-11-27 01:03:48.868905+00'),
    ('88bb8c66-e7a1-5c05-a0e6-f02036fac1ca', '01a21a87-b025-74cd-a9d1-614b163ae119', 1, 500, 0, 0, 'gift', 1, '2099-01-01 00:00:00+00', '2026-11-27 01:03:49.798815+00'),
    ('59539aa0-0e69-5bb1-b2b7-817857741a99', '01a21a87-b5b0-78b4-8cfc-8283be2475f9', 1, 2000, 0, 0, 'purchase', 0, NULL, '2026-11-27 01:03:51.217712+00');

INSERT INTO jangbu.holds (
    account_id, id, amount, state, may_have_left, service, model, owner, reason, taken_at, expires_at, closed_at
) VALUES
    ('88bb8c66-e7a1-5c05-a0e6-f02036fac1ca', '01a21a87-be6e-735c-8c87-ea7da5f26a9f', 700, 'unknown', true, 'text_generation', 'gemini-2.5-flash', 'test', 'the process was killed', '2026-11-27 01:03:53.465571+00', '2026-11-27 01:04:53.465569+00', NULL);

INSERT INTO jangbu.findings (
    account_id, usage_id, kind, detail, created_at, resolved_at
) VALUES
    ('88bb8c66-e7a1-5c05-a0e6-f02036fac1ca', '01a21a87-baab-73a4-8f90-0e0f0b26dcdd', 'unpriced', 'no price is known for what was used', '2026-11-27 01:03:52.507836+00', NULL),
    ('88bb8c66-e7a1-5c05-a0e6-f02036fac1ca', '01a21a87-be6e-735c-8c87-ea7da5f26a9f', 'unknown_outcome', '700 tokens stay held: the process was killed', '2026-11-27 01:03:53.467233+00', NULL);

INSERT INTO jangbu.idempotency_keys (
    account_id, key, digest, result_id, created_at
) VALUES
    ('88bb8c66-e7a1-5c05-a0e6-f02036fac1ca', 'key:order-1', '\x3dfd829d05554036a440e85107398b2942f617a0c2625d9df057f7d1aed9bcce', '01a21a87-ac83-76b7-ac51-929d70fafc8c', '2026-11-27 01:03:48.868654+00'),
    ('88bb8c66-e7a1-5c05-a0e6-f02036fac1ca', 'key:gift', '\x93705638c50fa0e525ee596b2e252d04e3fd173f6b9594cf93fe0aa9674b5cb2', '01a21a87-b025-74cd-a9d1-614b163ae119', '2026-11-27 01:03:49.798717+00'),
    ('59539aa0-0e69-5bb1-b2b7-817857741a99', 'key:order-2', '\x3c95716954af147666b5ba1ab61ea4954b5cfb83e7363c183febeff78d287c27', '01a21a87-b5b0-78b4-8cfc-8283be2475f9', '2026-11-27 01:03:51.217605+00'),
    ('88bb8c66-e7a1-5c05-a0e6-f02036fac1ca', 'answer:answer-1', '\x1cc2a4dbae09a33d863760cea01cd5b609a394a1cf7cf235226fe324616ec689', '01a21a87-b744-754b-a2b7-ae536b1a1250', '2026-11-27 01:03:51.62587+00'),
    ('88bb8c66-e7a1-5c05-a0e6-f02036fac1ca', 'answer:answer-2', '\x2cad41a03ec33164b67b57a9a2196a2a693eebe0181baf4c0c078972d3a0f8ee', '01a21a87-b8cc-71e1-bef6-98426d51dfae', '2026-11-27 01:03:52.015951+00'),
    ('88bb8c66-e7a1-5c05-a0e6-f02036fac1ca', 'answer:answer-3', '\x1cc2a4dbae09a33d863760cea01cd5b609a394a1cf7cf235226fe324616ec689', '01a21a87-baab-73a4-8f90-0e0f0b26dcdd', '2026-11-27 01:03:52.507407+00'),
    ('59539aa0-0e69-5bb1-b2b7-817857741a99', 'answer:answer-4', '\x1cc2a4dbae09a33d863760cea01cd5b609a394a1cf7cf235226fe324616ec689', '01a21a87-bca0-772c-918d-3ae72277288d', '2026-11-27 01:03:52.995933+00'),
    ('88bb8c66-e7a1-5c05-a0e6-f02036fac1ca', 'key:adj', '\x9e3d41e326270dd35b1ffd94bc74b7e6c1bd5dbd9dff0027b5ccd751ec947365', '01a21a87-be26-7aa9-a3f3-ff9f110c3ba8', '2026-11-27 01:03:53.383315+00');

INSERT INTO jangbu.usage (
    account_id, id, service_id, model_id, surface, platform, tier, source, prompt, candidates, thoughts, tool,
    cached, total, cost_nano, input_cost_nano, charge_nano, price_version, hold_amount, late, posting,
    money_posting, response_id, anomalies, raw, metadata, recorded_at
) VALUES
    ('88bb8c66-e7a1-5c05-a0e6-f02036fac1ca', '01a21a87-b744-754b-a2b7-ae536b1a1250', 1, 1, 'generate_content', 'gemini_api', NULL, 'reported', 150, 300, 0, 0, 0, 450, 795000, 45000, 795000, 1, NULL, false, 2, NULL, 'answer-1', NULL, '{"usage": [{"totalTokenCount": 450, "promptTokenCount": 150, "thoughtsTokenCount": 0, "candidatesTokenCount": 300}]}', NULL, '2026-11-27 01:03:51.625808+00'),
    ('88bb8c66-e7a1-5c05-a0e6-f02036fac1ca', '01a21a87-b8cc-71e1-bef6-98426d51dfae', 1, 1, 'generate_content', 'gemini_api', NULL, 'reported', 150, 300, 90, 0, 0, 540, 1020000, 45000, 1020000, 1, NULL, false, 3, NULL, 'answer-2', NULL, '{"usage": [{"totalTokenCount": 540, "promptTokenCount": 150, "thoughtsTokenCount": 90, "candidatesTokenCount": 300}]}', NULL, '2026-11-27 01:03:52.015934+00'),
    ('88bb8c66-e7a1-5c05-a0e6-f02036fac1ca', '01a21a87-baab-73a4-8f90-0e0f0b26dcdd', 3, 3, 'generate_content', 'gemini_api', NULL, 'reported', 150, 300, 0, 0, 0, 450, NULL, NULL, NULL, NULL, NULL, false, 4, NULL, 'answer-3', NULL, '{"usage": [{"totalTokenCount": 450, "promptTokenCount": 150, "thoughtsTokenCount": 0, "candidatesTokenCount": 300}]}', NULL, '2026-11-27 01:03:52.507473+00'),
    ('59539aa0-0e69-5bb1-b2b7-817857741a99', '01a21a87-bca0-772c-918d-3ae72277288d', 1, 1, 'generate_content', 'gemini_api', NULL, 'reported', 150, 300, 0, 0, 0, 450, 795000, 45000, 795000, 1, NULL, false, 1, NULL, 'answer-4', NULL, '{"usage": [{"totalTokenCount": 450, "promptTokenCount": 150, "thoughtsTokenCount": 0, "candidatesTokenCount": 300}]}', '{"panels": 4}', '2026-11-27 01:03:52.995914+00');

INSERT INTO jangbu.usage_daily (
    account_id, day, service_id, model_id, calls, prompt, candidates, thoughts, tool, cached, total, cost_nano,
    input_cost_nano, charge_nano, unpriced
) VALUES
    ('88bb8c66-e7a1-5c05-a0e6-f02036fac1ca', '2026-11-27', 1, 1, 2, 300, 600, 90, 0, 0, 990, 1815000, 90000, 1815000, 0),
    ('88bb8c66-e7a1-5c05-a0e6-f02036fac1ca', '2026-11-27', 3, 3, 1, 150, 300, 0, 0, 0, 450, 0, 0, 0, 1),
    ('59539aa0-0e69-5bb1-b2b7-817857741a99', '2026-11-27', 1, 1, 1, 150, 300, 0, 0, 0, 450, 795000, 45000, 795000, 0);

INSERT INTO jangbu.usage_hourly (
    project, hour, service_id, model_id, writer, calls, prompt, candidates, thoughts, tool, cached, total,
    cost_nano, input_cost_nano, charge_nano, unpriced
) VALUES
    ('default', '2026-11-27 01:00:00+00', 1, 1, 23, 1, 150, 300, 0, 0, 0, 450, 795000, 45000, 795000, 0),
    ('default', '2026-11-27 01:00:00+00', 1, 1, 7, 1, 150, 300, 90, 0, 0, 540, 1020000, 45000, 1020000, 0),
    ('default', '2026-11-27 01:00:00+00', 3, 3, 25, 1, 150, 300, 0, 0, 0, 450, 0, 0, 0, 1),
    ('default', '2026-11-27 01:00:00+00', 1, 1, 25, 1, 150, 300, 0, 0, 0, 450, 795000, 45000, 795000, 0);

INSERT INTO jangbu.usage_total (
    account_id, service_id, model_id, calls, prompt, candidates, thoughts, tool, cached, total, cost_nano,
    input_cost_nano, charge_nano, unpriced
) VALUES
    ('88bb8c66-e7a1-5c05-a0e6-f02036fac1ca', 1, 1, 2, 300, 600, 90, 0, 0, 990, 1815000, 90000, 1815000, 0),
    ('88bb8c66-e7a1-5c05-a0e6-f02036fac1ca', 3, 3, 1, 150, 300, 0, 0, 0, 450, 0, 0, 0, 1),
    ('59539aa0-0e69-5bb1-b2b7-817857741a99', 1, 1, 1, 150, 300, 0, 0, 0, 450, 795000, 45000, 795000, 0);

SELECT setval('jangbu.services_service_id_seq', 4), setval('jangbu.models_model_id_seq', 4),
    setval('jangbu.price_versions_version_seq', 1);
