"""Which facts make which change events."""
