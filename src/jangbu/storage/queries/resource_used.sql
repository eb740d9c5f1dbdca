-- Which of some names a call still reads a file by, whoever in the project made it: nobody may give another content one
-- of them. Also what its owner has no more is read until the call has ended.
SELECT r.name
FROM jangbu.resources AS r
JOIN jangbu.accounts AS a ON a.account_id = r.account_id
WHERE r.name = ANY ($2::text[])
    AND a.project = $1::text
    AND EXISTS (
        SELECT FROM jangbu.holds AS h
        WHERE h.account_id = r.account_id AND h.id = ANY (r.uses) AND h.state IN ('open', 'unknown')
    )
ORDER BY r.name
