"""The metrics of each replica, and their sum over all replicas for Prometheus."""
