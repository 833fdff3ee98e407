"""The command line: the console script, and what all commands share."""
