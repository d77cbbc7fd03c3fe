"""What each `vtv` command does."""
