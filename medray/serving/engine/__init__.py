"""One replica of the service: the model, batching, tokens and the audit log; no HTTP, no Ray."""
