"""Where is the index kept: one SQLite file in the working store, which nobody else can read or write.

Losing it loses nothing: where it is not what it should be, it is made anew or done without.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

FILE: Final = "index/cache-v1.sqlite"
RECORDS: Final = """(
    position INTEGER PRIMARY KEY, "commit" INTEGER, place TEXT, leaf BLOB, writer TEXT, record_id TEXT, kind TEXT,
    run_id TEXT, time INTEGER, stack TEXT, intent TEXT, recovered INTEGER, plan_digest TEXT, actor_digest TEXT,
    entry BLOB, kept_size INTEGER, kept_actor BLOB)"""
SCHEMA: Final = f"""
CREATE TABLE meta (ledger TEXT, number INTEGER, digest TEXT, touched INTEGER);
CREATE TABLE records {RECORDS};
CREATE INDEX by_id ON records (record_id);
CREATE INDEX by_run ON records (run_id);
CREATE INDEX by_intent ON records (intent) WHERE intent IS NOT NULL;
CREATE INDEX by_plan ON records (plan_digest) WHERE plan_digest IS NOT NULL;
CREATE TABLE problems (position INTEGER PRIMARY KEY, problem TEXT);
CREATE TABLE bases (id INTEGER PRIMARY KEY, base TEXT UNIQUE);
CREATE TABLE touches (base INTEGER, position INTEGER, PRIMARY KEY (base, position)) WITHOUT ROWID;
"""


def known(folder: Path | None) -> int | None:
    """Return up to which commit a kept index reaches; None where there is none."""
    database = open_file(folder, create=False) if folder is not None else None
    if database is None:
        return None
    with closing(database), suppress(sqlite3.DatabaseError):
        kept = database.execute("SELECT number FROM meta").fetchone()
        return int(kept[0]) if kept else None
    return None


def forget(folder: Path) -> None:
    """Remove the kept index: after an erasure nothing of what was disclosed may stay in it."""
    for name in (FILE, f"{FILE}-journal"):
        with suppress(OSError):
            (folder / name).unlink()


def open_file(folder: Path, *, create: bool = True) -> sqlite3.Connection | None:
    """Return the kept index, made now if it isn't there and is wanted; None where it can't be used."""
    path = folder / FILE
    if not _is_ours(folder, path, create=create):
        return None
    try:
        database = sqlite3.connect(path, timeout=5, isolation_level=None)
        # What is overwritten must be gone: an actor whose disclosure was erased.
        database.execute("PRAGMA secure_delete = ON")
        if database.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,):
            database.executescript(f"BEGIN IMMEDIATE; {SCHEMA} COMMIT;")
    except sqlite3.OperationalError:
        return None
    except sqlite3.DatabaseError:
        forget(folder)
        return None
    return database


def temporary() -> sqlite3.Connection:
    """Return an empty index in an unnamed file of SQLite's own: it spills to the disk, and is gone with the process."""
    database = sqlite3.connect("", isolation_level=None)
    database.executescript(SCHEMA)
    return database


def _is_ours(folder: Path, path: Path, *, create: bool) -> bool:
    """Tell whether the file is there and nobody else can write it, made now where it is wanted: mode 0600."""
    try:
        if create and folder.is_dir():
            path.parent.mkdir(mode=0o700, exist_ok=True)
            with suppress(FileExistsError):
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        found = path.lstat()
    except OSError:
        return False
    ours = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077
    return ours and os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
