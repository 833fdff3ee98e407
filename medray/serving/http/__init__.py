"""The service's HTTP interface: routes, request bodies, responses, pages."""
