-- One plan for each statement for the life of the session, without compiling it: the statements are short and many.
SELECT set_config('plan_cache_mode', 'force_generic_plan', false), set_config('jit', 'off', false)
