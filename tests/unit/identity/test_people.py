"""Names lead to persons."""

from hypothesis import given
from hypothesis import strategies as st

from tfaudit.identity.people import People, canonical_name

ALICE = People({"alice": ("email:alice@example.com", "github:583231", "ssh:SHA256:abC", "os:alice")})

_NAMES = st.sampled_from(
    ["email:a@x", "email:A@X", "github:1", "github:Octo", "ssh:SHA256:a", "os:a", "os:A", "person:b"]
)
_LISTED = st.dictionaries(st.sampled_from(["a", "b", "c", "d@x"]), st.lists(_NAMES, max_size=4).map(tuple), max_size=4)


def test_all_names_of_a_person_lead_to_them() -> None:
    """Approving oneself under another name is approving oneself."""
    assert ALICE.persons(["email:alice@example.com", "github:583231", "ssh:SHA256:abC", "os:alice"]) == {"person:alice"}


def test_who_is_not_listed_is_themselves() -> None:
    """An unlisted name is a person of its own."""
    assert ALICE.person("github:7") == "github:7"


def test_mail_addresses_are_compared_in_lower_case() -> None:
    """Nobody becomes another person by a capital letter."""
    assert ALICE.person("email:Alice@Example.COM") == "person:alice"
    assert ALICE.person("email:Bob@Example.com") == "email:bob@example.com"


def test_fingerprints_are_exact() -> None:
    """Base64 tells capitals from small letters, and so do system users."""
    assert ALICE.person("ssh:SHA256:ABC") == "ssh:SHA256:ABC"
    assert ALICE.person("os:Alice") == "os:Alice"


def test_the_heading_is_a_name_too() -> None:
    """The approvers file may call a person as [identities] does."""
    people = People({"bob@example.com": ("github:7",), "carol": ("github:8",)})
    assert people.person("email:bob@example.com") == people.person("github:7")
    assert people.person("principal:carol") == people.person("github:8")


def test_a_name_of_two_makes_them_one() -> None:
    """Two persons who share a name can't vouch for each other."""
    people = People({"alice": ("ssh:SHA256:a",), "bob": ("ssh:SHA256:a", "github:7")})
    assert people.person("github:7") == people.person("ssh:SHA256:a") == "person:alice"


def test_one_spelling_of_other_scripts() -> None:
    """The same letters, composed or not, are one address."""
    assert canonical_name("email:Jose\u0301@example.com") == canonical_name("email:jos\u00e9@example.com")


@given(_LISTED, _NAMES)
def test_a_person_is_their_own_person(listed: dict[str, tuple[str, ...]], name: str) -> None:
    """Asking again gives the same answer, and every listed name leads to a heading."""
    people = People(listed)
    person = people.person(name)
    assert people.person(person) == person
    if any(canonical_name(name) == canonical_name(each) for names in listed.values() for each in names):
        assert person.startswith("person:")


@given(_LISTED)
def test_the_order_of_the_list_says_nothing(listed: dict[str, tuple[str, ...]]) -> None:
    """The same persons in another order are the same persons."""
    backwards = People(dict(reversed(listed.items())))
    forwards = People(listed)
    names = [name for names in listed.values() for name in names]
    for one in names:
        for other in names:
            assert (forwards.person(one) == forwards.person(other)) == (
                backwards.person(one) == backwards.person(other)
            )
