"""Where copies of the log go: one file a kind of destination, and the outbox that all share."""
