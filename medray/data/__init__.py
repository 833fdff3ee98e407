"""Images: where they come from, and how the splits are kept."""
