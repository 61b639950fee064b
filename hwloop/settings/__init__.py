"""Settings models: the files that a user writes, validated."""
