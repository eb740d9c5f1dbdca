-- Begins a look at the book, and tells of which moment it is, by the database's clock. Its statements sum many rows
-- into few, which PostgreSQL cannot know beforehand: without sorting them first that takes half of the time.
SELECT clock_timestamp() AS as_of, set_config('enable_sort', 'off', true)
