"""The schema of tfaudit.toml and the reader of tfaudit.toml know the same keys."""

from __future__ import annotations

from tfaudit import config, schema


def test_the_schema_knows_the_keys_that_the_reader_knows():
    """Every key and table that is read stands in config.v1, and no other."""
    described = schema.load("config.v1")["properties"]
    assert set(described) == set(config._TOP) | set(config._TABLES)
    for table, keys in config._TABLES.items():
        assert set(described[table]["properties"]) == set(keys)
