"""What does an auditor take away: the log, one run, one resource's history, all change events of a time."""
