"""How far a run has come, wherever it works: what `medray status` prints."""
