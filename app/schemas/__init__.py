"""What goes in and out of the platform, each field with its unit: the one source of validation and of the OpenAPI."""
