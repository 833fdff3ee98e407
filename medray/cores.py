"""How many processor cores this process may use."""


def usable_cores() -> int:
    """Return the cores of the machine, or fewer where an affinity or a container's quota gives fewer."""
    from joblib import cpu_count  # half a second

    return max(1, int(cpu_count()))
