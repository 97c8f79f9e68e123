"""May this plan be applied: approvals, and the decision."""
