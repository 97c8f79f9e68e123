"""Who approved the env0 deployment that this run is part of?

https://docs.env0.com: ``GET /environments/deployments/{id}`` with an API key; ``reviewersUsers`` in the deployment log.
``ENV0_REVIEWER_*`` say the same in the run's environment, where anything can set them: they are claims and no votes.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Final

from tfaudit.runs.reviews.client import Client
from tfaudit.runs.reviews.model import Answer, Review, Unanswered, milliseconds
from tfaudit.runs.reviews.reading import email, items, member, text

API: Final = "https://api.env0.com"
_ID: Final = re.compile(r"[0-9A-Za-z-]{1,64}")


def address(environ: Mapping[str, str]) -> str:
    """Return the API's address."""
    return environ.get("ENV0_API_ENDPOINT", API).rstrip("/")


def deployment(environ: Mapping[str, str], commit: str) -> Answer:
    """Return who approved this deployment, or cancelled it, and who started it."""
    deployment_id = environ.get("ENV0_DEPLOYMENT_LOG_ID", "")
    if not _ID.fullmatch(deployment_id):
        raise Unanswered("ENV0_DEPLOYMENT_LOG_ID names no deployment")
    found = _client(environ).get(f"/environments/deployments/{deployment_id}")
    if text(found, "environmentId") != environ.get("ENV0_ENVIRONMENT_ID"):
        raise Unanswered("the deployment is of another environment")
    planned = text(found, "gitMetadata", "commit")
    if planned != commit:
        raise Unanswered(f"the deployment is of commit {planned[:12]}, the plan of {commit[:12]}")
    # The log says who, not when: nobody approves what has not been started.
    made = milliseconds(text(found, "startedAt"))
    starter = _name(member(found, "startedByUser"))
    words: dict[str, str] = {}
    for entry in items(found, "reviewersUsers"):
        name, action = _name(member(entry, "user")), text(entry, "action")
        if name is not None and action in ("approved", "cancelled"):
            words[name] = "cancelled" if "cancelled" in (action, words.get(name)) else "approved"
    reviews = tuple(
        Review(
            source="env0",
            word="approval" if action == "approved" else "rejection",
            approver=name,
            commit=commit,
            made=made,
            facts={"deployment": deployment_id, "environment": text(found, "environmentId"), "user": name},
        )
        for name, action in words.items()
        if action == "cancelled" or name != starter
    )
    return Answer(reviews=reviews, authors=frozenset({starter} if starter else ()))


def _client(environ: Mapping[str, str]) -> Client:
    key, secret = environ.get("ENV0_API_KEY"), environ.get("ENV0_API_SECRET")
    if not key or not secret:
        raise Unanswered("ENV0_API_KEY and ENV0_API_SECRET are not set")
    token = base64.b64encode(f"{key}:{secret}".encode()).decode()
    headers = {"Accept": "application/json", "Authorization": f"Basic {token}"}
    return Client(base=address(environ), headers=headers, environ=environ)


def _name(user: object) -> str | None:
    """Return a user's name: by email, which env0 takes from the organisation's sign-on, else by id."""
    named = email(user, "email")
    return named or (f"env0:{text(user, 'user_id')}" if member(user, "user_id") else None)
