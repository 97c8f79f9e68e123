"""The schema of tfaudit.toml and the reader of tfaudit.toml know the same keys."""

from __future__ import annotations

from tfaudit import schema
from tfaudit.config import delivering, gate, reading


def test_the_schema_knows_the_keys_that_the_reader_knows():
    """Every key and table that is read stands in config.v1, and no other."""
    described = schema.load("config.v1")["properties"]
    assert set(described) == {*reading.TOP, *reading.TABLES, *reading.LISTS, reading.NAMES}
    for table, keys in reading.TABLES.items():
        assert set(described[table]["properties"]) == set(keys)


def test_the_schema_knows_the_inner_tables():
    """The tables within [gate] have the same keys in the schema."""
    described = schema.load("config.v1")["$defs"]
    for name, keys in (
        ("rule", gate._RULE),
        ("freeze", gate._FREEZE),
        ("break_glass", gate._BREAK_GLASS),
        ("stack", gate._STACK),
    ):
        assert set(described[name]["properties"]) == set(keys)


def test_the_schema_knows_what_a_sink_and_an_alert_may_have():
    """The keys of [[sink]], those of each kind included, and of [[alert]] are the same in the schema."""
    described = schema.load("config.v1")["$defs"]
    kinds = {key for options in delivering.SCHEMES.values() for key in options}
    assert set(described["sink"]["properties"]) == {*delivering._COMMON, *kinds}
    assert set(described["alert"]["properties"]) == set(delivering._ALERT)
    assert described["alert"]["properties"]["on"]["items"]["enum"] == list(delivering.EVENTS)
    for scheme in delivering.SCHEMES:
        schema.validate("config.v1", {"sink": [{"url": f"{scheme}:place"}]})
