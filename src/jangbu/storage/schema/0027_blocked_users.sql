-- The blocked users of a project, who are few among many, in the order of code points. Whoever makes, blocks or erases a
-- user waits while it is made, for one reading of the accounts; calls and grants do not.
CREATE INDEX accounts_blocked ON jangbu.accounts (project, user_id COLLATE "C") INCLUDE (account_id)
WHERE state = 'blocked';
