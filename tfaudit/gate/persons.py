"""Who speaks in a vote: which lines of the approvers file, which persons, which groups; how many are they together?"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from tfaudit.identity.people import People

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tfaudit.gate.model import ApproverKey, Rules, Vote


def principal_name(principal: str) -> str:
    """Return the canonical name of a principal of the approvers file."""
    return f"email:{principal}" if "@" in principal else f"principal:{principal}"


class Electorate:
    """Everyone who may approve, by the rules in force."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._lines = rules.approvers or ()
        self.people = People(rules.identities)
        self._by_key: dict[str, list[ApproverKey]] = defaultdict(list)
        self._by_person: dict[str, list[tuple[str, ApproverKey]]] = defaultdict(list)
        for approver in self._lines:
            self._by_key[approver.key].append(approver)
            for principal in approver.principals:
                self._by_person[self.people.person(principal_name(principal))].append((principal, approver))

    def fetched(self, vote: Vote) -> bool:
        """Tell whether a platform vouches for the vote in place of a signature, and the rules let it."""
        return not vote.key and vote.source in self._rules.evidence

    def lines(self, vote: Vote) -> list[ApproverKey]:
        """Return the lines of the approvers file that the vote's key and principal stand in, whenever valid.

        For a platform's word: the lines of any principal that is the same person.
        """
        if self.fetched(vote):
            return [line for _, line in self._by_person.get(self.people.person(vote.approver), ())]
        return [line for line in self._by_key.get(vote.key, ()) if vote.approver in line.principals]

    def persons(self, vote: Vote) -> frozenset[str]:
        """Return every person who could have cast the vote: a key that is listed for two may be in either's hands."""
        if self.fetched(vote):
            return frozenset({self.people.person(vote.approver)})
        principals = {vote.approver, *(name for line in self._by_key.get(vote.key, ()) for name in line.principals)}
        names = {self.people.person(principal_name(principal)) for principal in principals}
        key_name = f"ssh:{vote.key}"
        owner = self.people.person(key_name)
        # A key that nobody is named for in [identities] is no person of its own beside its principal.
        return frozenset(names if owner == key_name else {*names, owner})

    def names(self, vote: Vote) -> frozenset[str]:
        """Return :meth:`persons` and the key's own name, to be held against the names of who asks."""
        return self.persons(vote) | ({f"ssh:{vote.key}"} if vote.key else frozenset())

    def in_groups(self, vote: Vote, groups: Iterable[str]) -> bool:
        """Tell whether the one who voted is a member of one of the groups; a group that is not defined has none."""
        members = {principal for group in groups for principal in self._rules.groups.get(group, ())}
        if not self.fetched(vote):
            return vote.approver in members
        person = self.people.person(vote.approver)
        return any(principal in members for principal, _ in self._by_person.get(person, ()))

    def count(self, votes: Iterable[Vote]) -> int:
        """Return how many distinct persons by distinct keys these votes surely come from.

        A key that is listed for several persons counts at most once, and not beside one of them. More votes never
        make the number smaller.
        """
        alone: dict[str, set[str]] = defaultdict(set)
        shared: set[str] = set()
        together = self._together()
        for vote in votes:
            persons = self.persons(vote)
            among = together(min(persons))
            if len(persons) == 1:
                alone[among].update(persons)
            else:
                shared.add(among)
        return sum(len(persons) for persons in alone.values()) + len(shared - alone.keys())

    def _together(self) -> Callable[[str], str]:
        """Return a function from a person to the one who stands for all that shared keys tie together."""
        parent: dict[str, str] = {}

        def root(person: str) -> str:
            while (above := parent.get(person, person)) != person:
                person = above
            return person

        for persons in self._tied():
            first, *others = sorted(persons)
            for other in others:
                parent[root(other)] = root(first)
        return root

    def _tied(self) -> Iterator[frozenset[str]]:
        for key, lines in self._by_key.items():
            names = {self.people.person(principal_name(name)) for line in lines for name in line.principals}
            owner = self.people.person(f"ssh:{key}")
            if names:
                yield frozenset(names if owner == f"ssh:{key}" else {*names, owner})
