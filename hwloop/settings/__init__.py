"""What a user writes, validated."""
