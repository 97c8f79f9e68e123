"""Which approvals do the platforms know of, asked for with the job's own token?"""

from tfaudit.runs.reviews.fetching import fetch
from tfaudit.runs.reviews.model import Fetched, Review

__all__ = ["Fetched", "Review", "fetch"]
