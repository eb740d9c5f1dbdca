-- Notes how many bytes a resource takes of the provider's room; none (NULL) once an upload has become a file.
UPDATE jangbu.resources
SET size = $3::bigint
WHERE account_id = $1::uuid AND name = $2::text
