"""Which rules does this plan break."""
