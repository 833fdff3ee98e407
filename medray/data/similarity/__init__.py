"""Which images show the same picture: measures, perceptual hashes, groups of near-duplicates."""
