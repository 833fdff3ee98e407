"""Ray Serve: the deployment, starting and replacing a service, and its command."""
