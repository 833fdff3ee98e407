"""What is frozen is computed once: the trunk of a network, and its features in the cache."""
