"""What does one record cost in S3: requests alone, seconds in a crowd, and wall time in an apply on an emulator."""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from harness import REPOSITORY, TFAUDIT, Row, environment, interleaved, milliseconds, run, spread

sys.path[:0] = [str(REPOSITORY / "tests/unit/ledger"), str(REPOSITORY / "tests/e2e")]
import s3sim  # noqa: E402 - lies with the tests
import support  # noqa: E402
from ledgerkit import make  # noqa: E402
from test_s3_simulation import QUIET, Simulation, started  # noqa: E402

from tfaudit.ledger import ids  # noqa: E402

MOST_REQUESTS = 8
SEEDS = 41
"""Simulations of one process alone: the latencies of a single one say little."""
CROWDS = (50, 200)
"""Jobs that begin within so many milliseconds: a thousand a second."""
_CONFIGURATION = """
variable "turn" {{
  type = number
}}

resource "terraform_data" "one" {{
  input = var.turn
}}

resource "terraform_data" "other" {{
  count = {others}
}}
"""


def rows() -> Iterator[Row]:
    """Yield the rows on S3."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        keys = make(folder / "keys")
        yield from alone([started(keys, seed, folder / f"alone-{seed}") for seed in range(SEEDS)])
        for jobs in CROWDS:
            yield crowd(keys, folder / f"crowd-{jobs}", jobs)
    engine = shutil.which("terraform") or shutil.which("tofu")
    if engine is not None:
        yield from applying(engine, others=0, times=9)
        yield from applying(engine, others=1000, times=3)


def alone(simulations: Sequence[Simulation]) -> Iterator[Row]:
    """Count the requests of a process that appends to a log of ten, and their simulated time: what it mostly is."""
    counts, times = zip(*map(one_alone, simulations), strict=True)
    first, second = (statistics.median(each) for each in zip(*counts, strict=True))
    start, more = (statistics.median(each) for each in zip(*times, strict=True))
    yield Row(
        what="requests a record in S3, when nobody competes",
        measured=f"{second:.0f}",
        compared=f"{first - second:.0f} more for a process's start",
        ratio="",
        target=f"{MOST_REQUESTS}",
        met=max(each[1] for each in counts) <= MOST_REQUESTS,
    )
    yield Row(
        what="a record in S3 of usual latency (simulated)",
        measured=milliseconds(more),
        compared=f"{milliseconds(start)} with a process's start",
        ratio="",
        target="",
        met=None,
    )


def one_alone(simulation: Simulation) -> tuple[tuple[int, int], tuple[float, float]]:
    """Return requests and seconds of a process's first record, and of its second."""
    world = simulation.world
    counts: list[int] = []
    seconds: list[float] = []

    def step(*, records: int) -> None:
        before, began = len(world.log), world.time
        simulation.writer("w", QUIET, records=records, spool=False)
        counts.append(len(world.log) - before)
        seconds.append(world.time - began)

    for _ in range(10):
        world.run([partial(step, records=1)])
    world.run([partial(step, records=1)])
    world.run([partial(step, records=2)])
    return (counts[-2], counts[-1] - counts[-2]), (seconds[-2], seconds[-1] - seconds[-2])


def crowd(keys, folder: Path, jobs: int) -> Row:
    """Let many jobs append one record each at nearly the same time; compare with plain compare-and-swap."""
    simulation = started(keys, 7, folder)
    together = latencies(simulation.world, jobs, lambda number: cooperative(simulation, number))
    commits = len([name for name in simulation.world.objects if "/commits/" in name])
    assert len(simulation.told.receipts) == jobs
    world = s3sim.World(7)
    swap = latencies(world, jobs, lambda _number: compare_and_swap(world))
    slow, plain = percentile(together, 99), percentile(swap, 99)
    return Row(
        what=f"{jobs} jobs in {jobs} ms: p99 (p50) of an append in S3 (simulated), in {commits} commits",
        measured=f"{slow:.2f} s ({percentile(together, 50):.2f} s)",
        compared=f"compare-and-swap: {plain:.2f} s ({percentile(swap, 50):.2f} s)",
        ratio=f"{plain / slow:.1f}",
        target="",
        met=None,
    )


def latencies(world: s3sim.World, jobs: int, job: Callable[[int], None]) -> list[float]:
    """Return how long each job took, when they begin a millisecond apart."""
    found: list[float] = []

    def timed(number: int) -> None:
        began = world.time
        job(number)
        found.append(world.time - began)

    world.run([partial(timed, number) for number in range(jobs)], starts=[number / 1000 for number in range(jobs)])
    return found


def cooperative(simulation: Simulation, number: int) -> None:
    """Append one record as tfaudit does."""
    simulation.writer(f"w{number}", QUIET, records=1, spool=False)


def compare_and_swap(world: s3sim.World) -> None:
    """Put one record, then its own commit at the first free number: whoever loses looks and tries again."""
    client = s3sim.Client(world)
    name = f"records/{world.random.random()}"
    client.put_object(Bucket="plain", Key=name, Body=_Bytes(b"record"), IfNoneMatch="*")
    tried = 0
    while True:
        listed = client.list_objects_v2(Bucket="plain", Prefix="commits/")
        number = len(listed["Contents"])
        try:
            client.put_object(Bucket="plain", Key=ids.commit_key(number), Body=_Bytes(name.encode()), IfNoneMatch="*")
        except s3sim.ClientError:
            world.sleep(world.random.random() * min(0.002 * 2**tried, 0.5))
            tried += 1
        else:
            return


class _Bytes:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def read(self) -> bytes:
        return self._content


def percentile(seconds: Sequence[float], part: int) -> float:
    """Return the value that so many of a hundred are not above."""
    return sorted(seconds)[min(len(seconds) * part // 100, len(seconds) - 1)]


def applying(engine: str, *, others: int, times: int) -> Iterator[Row]:
    """Compare an apply with its ledger in a folder and in an emulated S3 on loopback, by keys and by a profile.

    One resource is changed. What loads the AWS SDK, for a profile, and reads the log has as long as the engine plans:
    for that, it may have ``others`` to look at.
    """
    with tempfile.TemporaryDirectory() as name, support.moto_server(Path(name) / "moto.log") as address:
        aws = {
            "AWS_ENDPOINT_URL": address,
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_REGION": "eu-west-1",
        }
        plain = environment(Path(name) / "home", TFAUDIT_ENGINE=engine)
        env = {**plain, **aws}
        credentials = Path(name) / "credentials"
        credentials.write_text("[bench]\naws_access_key_id = x\naws_secret_access_key = x\nregion = eu-west-1\n")
        profile = {
            "AWS_ENDPOINT_URL": address,
            "AWS_REGION": "eu-west-1",
            "AWS_PROFILE": "bench",
            "AWS_SHARED_CREDENTIALS_FILE": str(credentials),
        }
        folders = [Path(name) / "folder", Path(name) / "bucket"]
        for folder in folders:
            folder.mkdir()
            (folder / "main.tf").write_text(_CONFIGURATION.format(others=others))
            run([engine, "init"], cwd=folder, env=env)
        run([TFAUDIT, "setup", "--yes"], cwd=folders[0], env=env)
        where = ("--ledger", "s3://bench-evidence/l", "--working", "s3://bench-working/l", "--create-bucket")
        run([TFAUDIT, "setup", "--yes", *where, "--retention", "soc2"], cwd=folders[1], env=env)

        def apply(folder: Path, known: dict[str, str], begin: int, turn: int) -> float:
            told = {**plain, **known, "TF_VAR_turn": str(begin + turn)}
            return run([TFAUDIT, "apply", "-auto-approve"], cwd=folder, env=told).seconds

        here, by_keys, by_profile = interleaved(
            times,
            partial(apply, folders[0], aws, 0),
            partial(apply, folders[1], aws, 0),
            partial(apply, folders[1], profile, 1000),
        )
    what = f"`tfaudit apply`, 1 of {others + 1:,} resources changed, with its ledger in S3 (moto on this machine)"
    for how, there, other, than in (
        ("", by_keys, here, "in a folder"),
        (", keys from a profile, by the SDK", by_profile, by_keys, "with keys in the environment"),
    ):
        yield Row(
            what=what + how,
            measured=spread(there),
            compared=f"{spread(other)} {than}",
            ratio=f"+{milliseconds(statistics.median(there) - statistics.median(other))}",
            target="",
            met=None,
        )


if __name__ == "__main__":
    os.chdir(REPOSITORY)
    for row in rows():
        print(f"{row.what}: {row.measured}; {row.compared} {row.ratio}", flush=True)
