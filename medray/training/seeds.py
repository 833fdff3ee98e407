"""Seeds derived from other numbers."""

import numpy as np


def draw_seed(*parts: int) -> int:
    """Return a seed of 63 bits that mixes the numbers."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1))
