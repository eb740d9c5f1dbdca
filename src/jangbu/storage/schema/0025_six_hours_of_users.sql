-- A chart of a user's days in most zones adds up 24 hours for each day, service and model, as that of all users did before
-- these were kept by six hours. They follow the figures by hours by themselves, too: a process of an earlier release that
-- still carries figures leaves none out, nor does one whose role has no right to this table yet. Whoever carries waits
-- meanwhile.
LOCK TABLE jangbu.usage_hours IN SHARE ROW EXCLUSIVE MODE;

CREATE TABLE jangbu.usage_six_hours (LIKE jangbu.usage_hours INCLUDING ALL);

INSERT INTO jangbu.usage_six_hours (
    account_id, at, service_id, model_id, calls, prompt, candidates, thoughts, tool, cached, total, cost_nano,
    input_cost_nano, charge_nano, unpriced
)
SELECT
    h.account_id, date_bin('6 hours', h.at, '2000-01-01Z'), h.service_id, h.model_id,
    jangbu.sum(h.calls), jangbu.sum(h.prompt), jangbu.sum(h.candidates), jangbu.sum(h.thoughts), jangbu.sum(h.tool),
    jangbu.sum(h.cached), jangbu.sum(h.total), jangbu.sum(h.cost_nano), jangbu.sum(h.input_cost_nano),
    jangbu.sum(h.charge_nano), jangbu.sum(h.unpriced)
FROM jangbu.usage_hours AS h
GROUP BY 1, 2, 3, 4
ORDER BY 1, 2, 3, 4;

-- Up to six hours of each user are carried at once, with many users: what a statement wrote is added up before it is
-- added, so that no row is written again for each of its hours. What was there before is taken away again.
CREATE FUNCTION jangbu.follow_usage_hours() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    sign CONSTANT bigint := TG_ARGV[0];
BEGIN
    INSERT INTO jangbu.usage_six_hours AS r (
        account_id, at, service_id, model_id, calls, prompt, candidates, thoughts, tool, cached, total, cost_nano,
        input_cost_nano, charge_nano, unpriced
    )
    SELECT
        c.account_id, date_bin('6 hours', c.at, '2000-01-01Z'), c.service_id, c.model_id,
        sign * jangbu.sum(c.calls), sign * jangbu.sum(c.prompt), sign * jangbu.sum(c.candidates),
        sign * jangbu.sum(c.thoughts), sign * jangbu.sum(c.tool), sign * jangbu.sum(c.cached),
        sign * jangbu.sum(c.total), sign * jangbu.sum(c.cost_nano), sign * jangbu.sum(c.input_cost_nano),
        sign * jangbu.sum(c.charge_nano), sign * jangbu.sum(c.unpriced)
    FROM changed AS c
    GROUP BY 1, 2, 3, 4
    ORDER BY 1, 2, 3, 4
    ON CONFLICT (account_id, at, service_id, model_id) DO UPDATE
    SET calls = r.calls + excluded.calls,
        prompt = r.prompt + excluded.prompt,
        candidates = r.candidates + excluded.candidates,
        thoughts = r.thoughts + excluded.thoughts,
        tool = r.tool + excluded.tool,
        cached = r.cached + excluded.cached,
        total = r.total + excluded.total,
        cost_nano = r.cost_nano + excluded.cost_nano,
        input_cost_nano = r.input_cost_nano + excluded.input_cost_nano,
        charge_nano = r.charge_nano + excluded.charge_nano,
        unpriced = r.unpriced + excluded.unpriced;
    RETURN NULL;
END
$$;

-- Nobody else's table may be followed with the owner's rights.
REVOKE ALL ON FUNCTION jangbu.follow_usage_hours() FROM PUBLIC;

CREATE TRIGGER follow_what_is_new AFTER INSERT ON jangbu.usage_hours
REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION jangbu.follow_usage_hours('1');

CREATE TRIGGER follow_what_it_is_now AFTER UPDATE ON jangbu.usage_hours
REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION jangbu.follow_usage_hours('1');

CREATE TRIGGER follow_what_it_was AFTER UPDATE ON jangbu.usage_hours
REFERENCING OLD TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION jangbu.follow_usage_hours('-1');
