"""What does tfaudit do with a ledger in S3? The story on an S3 of this machine's own, and an attack on its bucket."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tfaudit.errors import UnavailableError
from tfaudit.runs.demo import FIRST, SECOND, Stage

if TYPE_CHECKING:
    from tfaudit.runs.demo import Teller

_LEDGER: Final = "s3://demo-evidence/acme"
_WORKING: Final = "s3://demo-working/acme"
_WAIT_SECONDS: Final = 30
_LISTENS: Final = re.compile(r"Running on (http://127\.0\.0\.1:\d+)")


def tell(folder: Path, environ: Mapping[str, str], teller: Teller) -> None:
    """Play the story in ``folder``, which is empty.

    Raises :class:`UnavailableError` without the emulator and :class:`InternalError` where a step ends otherwise.
    """
    with _emulator(folder) as address:
        kept = {name: value for name, value in environ.items() if not name.startswith("AWS_")}
        aws = {
            "AWS_ENDPOINT_URL": address,
            "AWS_ACCESS_KEY_ID": "demo",
            "AWS_SECRET_ACCESS_KEY": "demo",
            "AWS_REGION": "eu-central-1",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        }
        stage = Stage(folder, {**kept, **aws}, teller)
        (folder / "main.tf").write_text(FIRST)
        teller.say("An S3 of this machine's own (moto), with nothing in it. Make the buckets and a ledger:")
        stage.run(
            *("setup", "--yes", "--ledger", _LEDGER, "--working", _WORKING, "--create-bucket", "--retention", "soc2")
        )
        teller.say("Plan and apply: the record lies in the bucket, locked, before anything changes:")
        stage.run("init", quiet=True)
        stage.run("--reason", "first deployment", "apply", "-auto-approve", quiet=True)
        (folder / "main.tf").write_text(SECOND)
        stage.run("--reason", "more traffic", "--ticket", "OPS-17", "apply", "-auto-approve", quiet=True)
        stage.run("log")
        teller.say("Does the bucket do what a ledger needs?")
        stage.run("doctor")
        stage.run("verify")
        teller.say("Now somebody with every right on the bucket deletes one record and puts another over a second:")
        _attack(address, teller)
        teller.say("Everyone still reads what was first there, and verify tells what was done:")
        stage.run("history", "terraform_data.web")
        stage.run("verify", code=76)
        teller.say("The emulator stops here, and its buckets are gone with it.")


def _attack(address: str, teller: Teller) -> None:
    """Put a delete marker on the newest record, and other bytes on the one before it."""
    from tfaudit.config import S3Settings
    from tfaudit.ledger.s3 import Bucket

    settings = S3Settings(endpoint_url=address, region="eu-central-1")
    bucket = Bucket(_LEDGER, settings, client=lambda: _client(address))
    listed = bucket.call("list_objects_v2", Prefix="acme/records/").body["Contents"]
    first, second = sorted((one["Key"] for one in listed), reverse=True)[:2]
    teller.show(f"aws s3 rm s3://demo-evidence/{first}")
    bucket.call("delete_object", Key=first)
    teller.show(f"echo nothing | aws s3 cp - s3://demo-evidence/{second}")
    bucket.call("put_object", Key=second, Body=b"nothing\n", ChecksumAlgorithm="SHA256")


def _client(address: str) -> Any:  # noqa: ANN401 - botocore makes its clients' classes at run time
    import botocore.session

    return botocore.session.Session().create_client(
        "s3",
        endpoint_url=address,
        region_name="eu-central-1",
        aws_access_key_id="demo",
        aws_secret_access_key="demo",  # noqa: S106 - the emulator asks for some, and takes any
    )


@contextmanager
def _emulator(folder: Path) -> Iterator[str]:
    """Give the address of an S3 on a free port of loopback, for as long as the block lasts."""
    missing = [name for name in ("moto", "flask") if importlib.util.find_spec(name) is None]
    if missing:
        raise UnavailableError("the S3 emulator moto is not installed", hint="pip install 'moto[server]'")
    log = folder / "moto.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        try:
            yield _address(server, log)
        finally:
            server.terminate()
            server.wait()


def _address(server: subprocess.Popen[bytes], log: Path) -> str:
    until = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < until and server.poll() is None:
        found = _LISTENS.search(log.read_text(errors="replace"))
        if found:
            return found[1]
        time.sleep(0.05)
    raise UnavailableError(f"the S3 emulator did not start: see {log}")
