"""How alerts leave: their texts, the channels that carry them, and where they wait while the database is away."""
