"""A study from its data to its report, one step after another: what `medray study` and `Study.run` do."""
