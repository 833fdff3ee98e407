"""Ray at the edge: starting or joining it, and what runs in its worker processes."""
