-- Forgets the failures of a name: whoever runs the ledger lets somebody in again.
DELETE FROM jangbu.sign_in_failures AS f
WHERE f.project = $1::text AND f.kind = 'name' AND f.digest = $2::bytea
