"""Real syslog daemons, where the machine has one, take what we send and file each message once."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from syslogkit import Authority

from tfaudit.config.delivering import SinkSettings
from tfaudit.sinks.model import Accepted, Document, Encoded
from tfaudit.sinks.syslog import open_sink

_RSYSLOG = """
global(workDirectory="{folder}" defaultNetstreamDriver="{driver}" defaultNetstreamDriverCAFile="{ca}"
  defaultNetstreamDriverCertFile="{cert}" defaultNetstreamDriverKeyFile="{key}")
module(load="imtcp" StreamDriver.Name="{driver}" StreamDriver.Mode="1" StreamDriver.AuthMode="x509/certvalid")
template(name="whole" type="list") {{
  property(name="app-name") constant(value="\\t") property(name="msgid") constant(value="\\t")
  property(name="pri") constant(value="\\t") property(name="structured-data") constant(value="\\t")
  property(name="msg") constant(value="\\n")
}}
input(type="imtcp" port="{port}" address="127.0.0.1")
action(type="omfile" file="{out}" template="whole")
"""
_SYSLOG_NG = """
@version: 3.35
options {{ stats-freq(0); keep-hostname(yes); }};
source s {{ syslog(ip(127.0.0.1) port({port}) transport("tls")
  tls(key-file("{key}") cert-file("{cert}") ca-file("{ca}") peer-verify(required-trusted))); }};
destination d {{ file("{out}" template("$PROGRAM\\t$MSGID\\t$PRI\\t$SDATA\\t$MSG\\n") flush-lines(1)); }};
log {{ source(s); destination(d); }};
"""
_WAIT = 30.0


@pytest.fixture(params=["rsyslog-gtls", "rsyslog-ossl", "syslog-ng"])
def daemon(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[int, Path, Authority]]:
    """The port of a daemon with TLS that wants our certificate, the file that it writes, and who signs for both."""
    authority = Authority(tmp_path)
    cert, key = authority.issue("localhost")
    port = _free_port()
    facts = {"folder": tmp_path, "ca": authority.file, "cert": cert, "key": key, "port": port, "out": tmp_path / "out"}
    if request.param == "syslog-ng":
        command = _syslog_ng(tmp_path, facts)
    else:
        command = _rsyslog(tmp_path, facts, request.param.removeprefix("rsyslog-"))
    with _running(command, tmp_path / "log", port):
        yield port, tmp_path / "out", authority


def test_every_message_is_filed_once(daemon: tuple[int, Path, Authority]) -> None:
    """A thousand documents in four batches: each is one line of the daemon's file, with its parts where they belong."""
    port, out, authority = daemon
    cert, key = authority.issue("tfaudit")
    options = {"ca": str(authority.file), "cert": str(cert), "key": str(key)}
    settings = SinkSettings(name="siem", url=f"syslog:localhost:{port}", scheme="syslog", options=options)
    sink = open_sink(settings, environ={})
    assert sink.check() is None
    documents = [_document(line) for line in range(1_000)]
    batch = [encoded for each in documents if isinstance(encoded := sink.encode(each), Encoded)]
    for start in range(0, 1_000, 250):
        answers = sink.send(batch[start : start + 250])
        assert [type(answer) for answer in answers] == [Accepted] * 250, answers[0]
    lines = _lines(out, 1_000)
    for line, document in zip(lines, documents, strict=True):
        app, kind, priority, data, text = line.split("\t")
        assert (app, kind, priority) == ("tfaudit", "resource-change", "107")
        assert f'id="{document.id}"' in data
        assert json.loads(text) == document.body


def _document(line: int) -> Document:
    body = {
        "id": f"0198c0de-0000-7000-8000-000000000001/{line}",
        "time": "2026-11-25T04:00:00.000Z",
        "kind": "resource-change",
        "record": "intent",
        "record_id": "0198c0de-0000-7000-8000-000000000001",
        "run_id": "run-1",
        "stack": 'a "stack" ] of \\ all',
        "severity": 4,
        "address": f'aws_instance.web["é 語 {line}"]',
        "attributes": [{"path": "/tags", "before": None, "after": "x" * (line * 5)}],
    }
    return Document(id=str(body["id"]), time=1_795_579_200_000, kind="resource-change", body=body)


def _rsyslog(folder: Path, facts: dict[str, object], driver: str) -> list[str]:
    binary = _binary("rsyslogd")
    # A package that was only unpacked has its modules beside it.
    modules = next(iter(sorted(binary.parent.parent.glob("lib/*/rsyslog"))), None)
    found = modules or next(iter(sorted(Path("/usr/lib").glob("**/rsyslog"))), None)
    if found is None or not (found / f"lmnsd_{driver}.so").exists():
        pytest.skip(f"this rsyslog has no TLS by {driver}")
    configuration = folder / "rsyslog.conf"
    configuration.write_text(_RSYSLOG.format(driver=driver, **facts))
    own = ["-M", str(modules)] if modules else []
    return [str(binary), "-n", "-f", str(configuration), "-i", str(folder / "pid"), *own]


def _syslog_ng(folder: Path, facts: dict[str, object]) -> list[str]:
    binary = _binary("syslog-ng")
    modules = next(iter(sorted(binary.parent.parent.glob("lib/syslog-ng/*/"))), None)
    configuration = folder / "syslog-ng.conf"
    configuration.write_text(_SYSLOG_NG.format(**facts))
    own = [f"--module-path={modules}"] if modules else []
    files = ("--persist-file", "persist", "--pidfile", "pid", "--control", "control")
    places = [str(folder / each) if not each.startswith("-") else each for each in files]
    return [str(binary), "-F", "--no-caps", "-f", str(configuration), *places, *own]


def _binary(name: str) -> Path:
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if found is None:
        pytest.skip(f"there is no {name} here")
    return Path(found)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


@contextlib.contextmanager
def _running(command: list[str], log: Path, port: int) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        until = time.monotonic() + _WAIT
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            if process.poll() is not None or time.monotonic() > until:
                pytest.fail(f"{command[0]} did not start: {log.read_text()}")
            time.sleep(0.1)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _lines(out: Path, wanted: int) -> list[str]:
    until = time.monotonic() + _WAIT
    while time.monotonic() < until:
        lines = out.read_text().splitlines() if out.exists() else []
        if len(lines) >= wanted:
            break
        time.sleep(0.1)
    return lines
