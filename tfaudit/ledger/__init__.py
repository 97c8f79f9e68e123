"""One append-only Merkle log of signed records, written by many short-lived processes with no server."""
