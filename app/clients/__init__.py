"""The partners: for each an HTTP client, a server of its own that behaves like the worst real one, and a fake."""
