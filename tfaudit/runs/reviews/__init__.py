"""Which approvals do the platforms know of, asked for with the job's own token?"""

from tfaudit.runs.reviews.fetching import fetch
from tfaudit.runs.reviews.model import Fetched, Review
from tfaudit.runs.reviews.worktree import is_clean

__all__ = ["Fetched", "Review", "fetch", "is_clean"]
