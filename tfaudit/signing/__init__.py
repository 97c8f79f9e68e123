"""Who signed these bytes, and how is that checked: keys, signers, DSSE envelopes, in-toto statements, signed notes."""
