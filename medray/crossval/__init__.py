"""`medray crossval RUN`: the best settings of a search, trained on every fold by Ray Train or in this process."""
