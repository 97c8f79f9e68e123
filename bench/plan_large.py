"""Plan JSON of 100,000 resources to event lines, disclosures and leaf hashes: time and peak memory.

The mix, chosen to look like a large refactoring of tags and sizes: of the resources 80 % are updates of one to four
attributes, 15 % creates, 3 % deletes and 2 % replaces; 15 attributes each. Every resource's values stand four times in
the file (planned values, before, after, prior state), as engines write it; 100,000 of them come to about 280 MB.

``python bench/plan_large.py [--resources N] [--keep FILE]``
"""

from __future__ import annotations

import argparse
import hashlib
import json
import mmap
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROVIDER = "registry.terraform.io/hashicorp/aws"


def values(number: int, rng: random.Random) -> dict[str, object]:
    """Return fifteen attributes of an instance, of the sizes that real ones have."""
    name = f"web-{number:06d}"
    return {
        "ami": f"ami-{rng.getrandbits(48):012x}",
        "arn": f"arn:aws:ec2:eu-central-1:123456789012:instance/i-{rng.getrandbits(68):017x}",
        "associate_public_ip_address": False,
        "availability_zone": f"eu-central-1{rng.choice('abc')}",
        "ebs_block_device": [{"device_name": "/dev/sdb", "volume_size": 50 + number % 7}],
        "iam_instance_profile": f"profile-{number % 40}",
        "id": f"i-{rng.getrandbits(68):017x}",
        "instance_type": rng.choice(["t3.micro", "t3.large", "m6i.xlarge"]),
        "monitoring": True,
        "private_ip": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
        "security_groups": [f"sg-{rng.getrandbits(32):08x}"],
        "subnet_id": f"subnet-{rng.getrandbits(32):08x}",
        "tags": {"Name": name, "Team": "platform"},
        "user_data": f"#!/bin/sh\nexec start {name}\n",
        "volume_tags": None,
    }


def change(before: dict[str, object], number: int, rng: random.Random) -> dict[str, object]:
    """Return the change that the resource ``number`` goes through."""
    kind = rng.choices(["update", "create", "delete", "replace"], [80, 15, 3, 2])[0]
    after = dict(before)
    marks: dict[str, object] = {"ebs_block_device": [{}], "security_groups": [False], "tags": {}}
    unknown: dict[str, object] = {}
    if kind == "create":
        unknown = {"arn": True, "id": True, "private_ip": True, "ebs_block_device": [{}]}
        after = {key: value for key, value in after.items() if unknown.get(key) is not True}
        return shape(["create"], None, after, unknown, False, marks)
    if kind == "delete":
        return shape(["delete"], before, None, {}, marks, False)
    after["tags"] = {**before["tags"], "Team": "core"}  # type: ignore[dict-item]
    for key, value in rng.sample(
        [("instance_type", "m7i.large"), ("monitoring", False), ("iam_instance_profile", f"profile-{number % 40}-v2")],
        rng.randrange(0, 4),
    ):
        after[key] = value
    if kind == "update":
        return shape(["update"], before, after, {}, marks, marks)
    after["ami"] = f"ami-{rng.getrandbits(48):012x}"
    unknown = {"arn": True, "id": True}
    after = {key: value for key, value in after.items() if key not in unknown}
    return shape(["delete", "create"], before, after, unknown, marks, marks) | {"replace_paths": [["ami"]]}


def shape(
    actions: list[str], before: object, after: object, unknown: object, old: object, new: object
) -> dict[str, object]:
    """Return a change as the engine writes it."""
    return {
        "actions": actions,
        "before": before,
        "after": after,
        "after_unknown": unknown,
        "before_sensitive": old,
        "after_sensitive": new,
    }


def write_plan(path: Path, resources: int) -> None:
    """Write a plan JSON of so many resources."""
    dump = json.JSONEncoder(separators=(",", ":")).encode
    folder = path.parent
    planned, changes, prior = (tempfile.TemporaryFile("w+", dir=folder) for _ in range(3))  # noqa: SIM115 - copy() does
    rng = random.Random(7)
    for number in range(resources):
        comma = "," if number else ""
        before = values(number, rng)
        address = f'module.region["{number % 20}"].aws_instance.web[{number}]'
        head = {
            "address": address,
            "mode": "managed",
            "type": "aws_instance",
            "name": "web",
            "index": number,
            "provider_name": PROVIDER,
        }
        state = head | {"schema_version": 1, "values": before, "sensitive_values": {"tags": {}}}
        entry = head | {"module_address": f'module.region["{number % 20}"]', "change": change(before, number, rng)}
        planned.write(comma + dump(state))
        prior.write(comma + dump(state | {"depends_on": ["aws_subnet.a", "aws_subnet.b"]}))
        changes.write(comma + dump(entry))
    with path.open("w") as file:
        file.write(
            '{"format_version":"1.2","terraform_version":"1.11.4","planned_values":{"root_module":{"resources":['
        )
        copy(planned, file)
        file.write(']}},"resource_changes":[')
        copy(changes, file)
        file.write('],"prior_state":{"format_version":"1.0","values":{"root_module":{"resources":[')
        copy(prior, file)
        file.write(
            ']}}},"configuration":{"root_module":{}},"timestamp":"2026-01-01T00:00:00Z","applyable":true,"complete":true,"errored":false}\n'
        )


def copy(source, target) -> None:  # type: ignore[no-untyped-def]
    """Append the whole of one file to another."""
    source.seek(0)
    while piece := source.read(1 << 20):
        target.write(piece)
    source.close()


def measure(path: Path, workers: int) -> None:
    """Read, build and hash in this process, and print what it cost as JSON."""
    from tfaudit.events.build import plan_events
    from tfaudit.events.commitment import encode_disclosure
    from tfaudit.plan.parse import read_plan

    begin = time.perf_counter()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        plan = read_plan(data)
        parsed = time.perf_counter()
        leaves = hashlib.sha256()
        size = count = disclosed = 0
        with tempfile.TemporaryFile() as lines, tempfile.TemporaryFile() as disclosures:
            for count, event in enumerate(
                plan_events(plan, record_id="01920000-0000-7000-8000-000000000000", workers=workers), 1
            ):
                leaves.update(hashlib.sha256(b"\0" + event.line).digest())
                lines.write(event.line + b"\n")
                size += len(event.line)
                if event.disclosure:
                    disclosed += disclosures.write(encode_disclosure(count, event.disclosure) + b"\n")
        end = time.perf_counter()
        del plan
        own = resource.getrusage(resource.RUSAGE_SELF)
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        print(
            json.dumps(
                {
                    "seconds": round(end - begin, 2),
                    "of which parse": round(parsed - begin, 2),
                    "events": count,
                    "line bytes": size,
                    "disclosure bytes": disclosed,
                    "cpu seconds": round(own.ru_utime + own.ru_stime, 2),
                    "cpu seconds of children": round(children.ru_utime + children.ru_stime, 2),
                    "peak MB": own.ru_maxrss // 1024,
                    "peak MB of a child": children.ru_maxrss // 1024,
                }
            )
        )


def main() -> None:
    """Generate the plan once; measure one process, then two, each in a fresh interpreter."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--resources", type=int, default=100_000)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--measure", type=Path)
    parser.add_argument("--workers", type=int, default=0)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure, options.workers)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = options.keep or Path(folder) / "plan.json"
        if not path.exists():
            write_plan(path, options.resources)
        print(f"{options.resources} resources, {path.stat().st_size / 1e6:.0f} MB, {os.cpu_count()} cores")
        for workers in (1, 2):
            command = [sys.executable, __file__, "--measure", str(path), "--workers", str(workers)]
            result = subprocess.run(command, check=True, capture_output=True, text=True)
            print(f"processes {workers}: {result.stdout.strip()}")


if __name__ == "__main__":
    main()
