-- Keys of the gateway: an app's, and a user's that has limits.
INSERT INTO jangbu.api_keys (
    key_id, project, kind, name, digest, hint, account_id, user_id, requests_per_minute, tokens_per_minute
) VALUES
    ('01a21a87-bfcc-731b-bf0c-f64be28c16fe', 'default', 'app', 'shop', sha256('one'::bytea), 'jbu_4lNm', NULL, NULL, NULL, NULL),
    ('01a21a87-bfcc-731b-bf0c-f64be28c16ff', 'default', 'user', 'kim', sha256('two'::bytea), 'jbu_w7Qx',
     '88bb8c66-e7a1-5c05-a0e6-f02036fac1ca', 'kim', 60, 100000);
