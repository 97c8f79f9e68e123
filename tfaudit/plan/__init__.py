"""What a plan changes, what came of it, and where it is written."""
