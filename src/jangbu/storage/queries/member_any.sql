-- Whether a project has a member at all: before the first one, a link that makes the first owner is offered.
SELECT EXISTS (SELECT FROM jangbu.members AS m WHERE m.project = $1::text)
