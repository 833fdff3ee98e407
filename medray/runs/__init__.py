"""A run on disk: every path, its lock, its leaderboard, and finished searches and folds read back."""
