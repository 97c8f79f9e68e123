"""What has happened to a resource, through runs and moves."""

from __future__ import annotations

import shutil

import pytest
from readkit import Place, change

from tfaudit.events.native import plain
from tfaudit.export import addresses
from tfaudit.export.history import history
from tfaudit.export.population import population
from tfaudit.export.view import Filter


@pytest.fixture
def place(tmp_path):
    """An empty ledger."""
    return Place(tmp_path / "place")


def told(place, address, wanted=None, **more):
    """Return (action, address, command) of a resource's history."""
    with place.view() as view:
        events = [plain(event) for event in history(view, addresses.parse(address), wanted or Filter(), **more)]
    return [(event["action"] or event["command"], event["address"]) for event in events]


def test_history_is_in_the_order_of_the_log(place):
    """Every change of the address, the newest last, and no other's."""
    place.applied(change("aws_x.y", ("create",), after={"a": 1}), change("aws_x.z", ("create",), after={"a": 1}))
    place.applied(change("aws_x.y", before={"a": 1}, after={"a": 2}))
    place.applied(change("aws_x.y", ("delete",), before={"a": 2}))
    assert [action for action, _ in told(place, "aws_x.y")] == ["create", "update", "delete"]
    assert told(place, "aws_x.none") == []


def test_plans_are_shown_on_request(place):
    """What was planned only is no change, unless it is asked for."""
    place.planned(change("aws_x.y"), kind="plan")
    assert told(place, "aws_x.y") == []
    assert told(place, "aws_x.y", plans=True) == [("update", "aws_x.y")]


def test_a_resource_covers_its_instances_and_a_module_what_is_in_it(place):
    """Instances and modules."""
    place.applied(
        change("aws_x.y[0]"), change('aws_x.y["k"]'), change("module.m[0].aws_x.y"), change("module.mm.aws_x.y")
    )
    assert [address for _, address in told(place, "aws_x.y")] == ["aws_x.y[0]", 'aws_x.y["k"]']
    assert [address for _, address in told(place, "aws_x.y[0]")] == ["aws_x.y[0]"]
    assert [address for _, address in told(place, "module.m")] == ["module.m[0].aws_x.y"]
    assert [address for _, address in told(place, "module.m.aws_x.y")] == ["module.m[0].aws_x.y"]


def test_moves_are_followed_back(place):
    """The life under earlier names belongs to a resource, but not what happened there after it had left."""
    place.applied(change("aws_x.a", ("create",)))
    place.applied(change("aws_x.b", ("no-op",), previous_address="aws_x.a"))
    place.applied(change("aws_x.a", ("create",)))
    place.applied(change("aws_x.c[0]", ("update",), previous_address="aws_x.b"))
    assert told(place, "aws_x.c") == [("create", "aws_x.a"), ("no-op", "aws_x.b"), ("update", "aws_x.c[0]")]
    # Who asks for the old name sees where it went.
    assert told(place, "aws_x.a") == [("create", "aws_x.a"), ("no-op", "aws_x.b"), ("create", "aws_x.a")]


def test_moves_stay_in_their_stack(place):
    """A resource of the same name in another stack is another."""
    place.applied(change("aws_x.a", ("create",)), stack="example.test/other")
    place.applied(change("aws_x.b", ("no-op",), previous_address="aws_x.a"), stack="example.test/app")
    assert told(place, "aws_x.b") == [("no-op", "aws_x.b")]


def test_a_move_that_failed_is_not_followed(place):
    """What never left its place has no earlier one."""
    place.applied(change("aws_x.a", ("create",)))
    intent = place.planned(change("aws_x.b", ("update",), previous_address="aws_x.a"))
    place.closed(intent, "not-reached", result="errored")
    assert told(place, "aws_x.b") == [("update", "aws_x.b")]


def test_operations_belong_to_the_history(place):
    """State moves are followed, also of the module around; taint and the like are shown."""
    place.applied(change("module.old.aws_x.y", ("create",)))
    place.operated("state mv", "module.old", "module.new")
    place.operated("taint", "module.new.aws_x.y")
    place.operated("state mv", "aws_x.other", "aws_x.another")
    assert told(place, "module.new.aws_x.y") == [
        ("create", "module.old.aws_x.y"),
        ("state mv", "module.new"),
        ("taint", "module.new.aws_x.y"),
    ]


def test_an_operation_on_many_is_in_the_history_of_each(place):
    """A command with several addresses concerns all of them."""
    place.operated("state rm", "aws_x.a", "aws_x.b")
    assert told(place, "aws_x.a") == told(place, "aws_x.b") == [("state rm", None)]
    assert told(place, "aws_x.c") == []


def test_a_key_behind_a_pseudonym_is_found_by_its_disclosure(place):
    """Who may see the disclosures finds the person's resource; who may not, doesn't; the resource is found anyway."""
    place.applied(change('aws_x.y["jo@example.com"]'), change('aws_x.y["al@example.com"]'))
    assert told(place, 'aws_x.y["jo@example.com"]') == [("update", 'aws_x.y["jo@example.com"]')]
    shutil.rmtree(place.folder / "working/disclosures")
    assert told(place, 'aws_x.y["jo@example.com"]') == []
    assert len(told(place, "aws_x.y")) == 2


def test_no_personal_data_is_in_the_index_of_addresses(place):
    """The index goes by resources, not by instances."""
    place.applied(change('aws_x.y["jo@example.com"]'))
    told(place, "aws_x.y")
    assert b"jo@example" not in (place.folder / "working/index/cache-v1.sqlite").read_bytes()


def test_an_altered_record_costs_its_own_part(place):
    """The rest of the history is shown, and that something is missing is said."""
    bad, _ = place.applied(change("aws_x.y", ("create",)))
    place.applied(change("aws_x.y"))
    assert len(told(place, "aws_x.y")) == 2
    file = place.record_file(bad)
    file.chmod(0o644)
    file.write_bytes(file.read_bytes().replace(b'"create"', b'"delete"'))
    told(place, "aws_x.y")
    assert any(bad in problem for problem in place.problems)


def test_records_that_wait_are_part_of_the_history(place):
    """A staged intent shows before a commit holds it."""
    place.planned(change("aws_x.y"), ledger=place.opened(stage_only=True))
    assert told(place, "aws_x.y") == [("update", "aws_x.y")]


def test_the_population_is_every_change_once(place):
    """All intents' changes and operations in log order; plans only on request."""
    place.planned(change("aws_x.a"), kind="plan")
    place.applied(change("aws_x.a"), change("aws_x.b"))
    place.operated("taint", "aws_x.a")
    with place.view() as view:
        events = [plain(event) for event in population(view, Filter())]
        assert [event["address"] for event in events] == ["aws_x.a", "aws_x.b", "aws_x.a"]
        assert len({event["event_id"] for event in events}) == 3
        assert len(list(population(view, Filter(), plans=True))) == 4
        assert list(population(view, Filter(stack="none"))) == []
