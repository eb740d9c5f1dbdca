-- What lives at the provider: a file, and a batch that the hold of unknown outcome waits for.
INSERT INTO jangbu.resources (account_id, name, kind, call_id, service, model, created_at) VALUES
    ('88bb8c66-e7a1-5c05-a0e6-f02036fac1ca', 'files/abc', 'file', NULL, NULL, NULL, '2026-11-27 01:03:50+00'),
    ('88bb8c66-e7a1-5c05-a0e6-f02036fac1ca', 'batches/def', 'batch', '01a21a87-be6e-735c-8c87-ea7da5f26a9f',
     'text_generation', 'gemini-2.5-flash', '2026-11-27 01:03:53+00');
