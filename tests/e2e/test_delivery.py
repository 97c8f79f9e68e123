"""Real runs delivered to a receiver that is away, busy, silent or slow: nothing is lost, and no run fails for it."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time

import pytest
import s3ledger
import support
from deliverykit import CONFIGURATION, SECRET, receiving, sink, take

from tfaudit import schema


@pytest.fixture
def receiver():
    """A receiver that takes everything."""
    with receiving() as found:
        yield found


@pytest.fixture
def delivering(project, receiver):
    """A project with a ledger, whose records go to the receiver."""
    project.environment["HOOK"] = SECRET
    project.write(CONFIGURATION)
    project.tfaudit("setup", "--yes")
    add(project, sink("hook", receiver))
    project.run_engine("init", "-input=false")
    return project


def add(project, text):
    """Append to the configuration."""
    settings = project.folder / "tfaudit.toml"
    settings.write_text(settings.read_text() + text)


def apply(project, *more, **options):
    """Apply, and return what was said on stderr."""
    return project.tfaudit("apply", "-auto-approve", "-input=false", *more, **options).stderr


def written(project):
    """Return the ids of all documents that the log gives: each record, and each of its lines."""
    records = [json.loads(line) for line in project.tfaudit("log", "--json").stdout.splitlines()]
    records.sort(key=lambda one: one["position"])
    return [f"{one['record_id']}/{line}" for one in records for line in range(one["events"] + 1)]


def status(project):
    """Return what ``deliver --status`` says of the first sink."""
    document = json.loads(project.tfaudit("deliver", "--status", "--json").stdout)
    schema.validate("delivery-status.v1", document)
    return document["sinks"][0]


def deliver(project, *more, code=0):
    """Deliver, and return what came of the first sink."""
    document = json.loads(project.tfaudit("deliver", "--json", *more, code=code).stdout)
    schema.validate("delivery.v1", document)
    return document["sinks"][0]


def test_a_run_delivers_what_it_recorded(delivering, receiver):
    """After an apply the receiver has every document once, in log order; nothing is said, and nothing is left."""
    said = apply(delivering)
    assert receiver.ids == written(delivering)
    assert "sink" not in said
    assert status(delivering)["left"] == 0


def test_what_a_sink_was_given_is_an_anchor_outside_the_ledger(delivering, receiver):
    """The checkpoint in a record's document is one that verify takes, and holds the ledger to."""
    apply(delivering)
    kept = delivering.write(receiver.documents[-1 - 3]["log"]["checkpoint"], "kept")
    delivering.tfaudit("verify", "--checkpoint", str(kept))


def test_a_sink_that_is_away_costs_nothing_but_a_line(delivering, receiver):
    """The apply succeeds and says what is left; once the sink is back, all is delivered, each document once."""
    receiver.fate = lambda _number: "busy"
    add(delivering, '\n[delivery]\nbudget = "2s"\n')
    said = apply(delivering)
    assert 'sink "hook": 2 records left for the next run or tfaudit deliver' in said
    assert deliver(delivering, "--budget", "1s", code=69) | {"state": "left", "left": 2, "delivered": 0} == deliver(
        delivering, "--budget", "1s", code=69
    )
    receiver.fate = take
    assert deliver(delivering)["delivered"] == len(written(delivering))
    assert receiver.ids == written(delivering)


def test_a_flaky_sink_gets_everything_in_the_end(delivering, receiver):
    """A third of the requests busy and a tenth of the answers lost: all arrives, and what came twice is the same."""
    fates = itertools.cycle(["busy", "take", "take", "lose", "take", "busy", "take", "take", "busy", "take"])
    add(delivering, '\n[delivery]\nbudget = "0s"\n')
    for value in ("one", "two", "three"):
        apply(delivering, f"-var=value={value}")
    assert receiver.requests == 0
    receiver.fate = lambda _number: next(fates)
    deliver(delivering)
    documents = receiver.documents
    assert list(dict.fromkeys(one["id"] for one in documents)) == written(delivering)
    assert len({json.dumps(one, sort_keys=True) for one in documents}) == len(written(delivering))


def test_a_delivery_that_is_killed_loses_nothing(delivering, receiver):
    """However often and wherever SIGKILL hits it, the next one goes on; what comes twice carries the same id."""
    add(delivering, '\n[delivery]\nbudget = "0s"\n')
    for value in ("one", "two"):
        apply(delivering, f"-var=value={value}")
    every = written(delivering)
    for nth in (1, 3, 7):
        child = subprocess.Popen(
            [str(support.TFAUDIT), "deliver"],
            cwd=delivering.folder,
            env=delivering.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        first = receiver.requests

        def fate(number, child=child, last=first + nth):
            if number == last:
                child.send_signal(signal.SIGKILL)
            return "take"

        receiver.fate = fate
        assert child.wait(60) == -signal.SIGKILL
        forget_lease(delivering)
    receiver.fate = take
    assert deliver(delivering)["left"] == 0
    assert sorted(set(receiver.ids)) == sorted(every)
    assert list(dict.fromkeys(receiver.ids)) == every


def forget_lease(project):
    """Let the lease of a job that was killed be over, without waiting for that."""
    for path in (project.folder / ".tfaudit" / "working" / "delivery" / "hook" / "lease").iterdir():
        path.chmod(0o600)
        path.write_text('{"until":"1970-01-01T00:00:00.000Z"}')


def test_a_killed_jobs_lease_holds_up_nobody(delivering, receiver):
    """While the lease of a job that was killed goes on, a run ends at once, and says who is at it."""
    apply(delivering)
    lease = delivering.folder / ".tfaudit" / "working" / "delivery" / "hook" / "lease"
    path = max(lease.iterdir())
    path.chmod(0o600)
    path.write_text('{"until":"2999-01-01T00:00:00.000Z"}')
    assert "another job delivers to it" in apply(delivering, "-var=value=two")
    assert deliver(delivering)["state"] == "busy"


def test_two_deliveries_at_once_send_nothing_twice(delivering, receiver):
    """Of two jobs one delivers; the other sees that, leaves it to the first, and succeeds as well."""
    add(delivering, '\n[delivery]\nbudget = "0s"\n')
    for value in ("one", "two"):
        apply(delivering, f"-var=value={value}")
    children = [
        subprocess.Popen(
            [str(support.TFAUDIT), "deliver"],
            cwd=delivering.folder,
            env=delivering.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(3)
    ]
    assert [child.wait(60) for child in children] == [0, 0, 0]
    assert receiver.ids == written(delivering)


def test_a_sink_that_hangs_holds_up_no_other(delivering, receiver):
    """One sink never answers: the run ends all the same, the other sink has everything, and one line says so."""
    with receiving() as silent:
        silent.fate = lambda _number: "hang"
        add(delivering, sink("silent", silent) + '\n[delivery]\nbudget = "3s"\n')
        said = apply(delivering)
        # Nor does it keep the next job from trying.
        assert deliver(delivering, "--sink", "silent", "--budget", "1s", code=69)["state"] == "left"
    assert receiver.ids == written(delivering)
    assert 'sink "silent": 2 records left' in said
    assert 'sink "hook"' not in said


def test_a_signal_while_copies_are_sent_ends_the_waiting_for_all(delivering, receiver):
    """The change is made and recorded: the exit code is the engine's, and a silent alert is not waited for either."""
    apply(delivering)
    with receiving() as silent, receiving() as deaf:
        deaf.fate = lambda _number: "hang"
        delivering.environment["TEAM"] = f"http://{deaf.address}/"
        add(delivering, sink("silent", silent) + '\n[[alert]]\nname = "team"\nto = ["env:TEAM"]\non = ["destroy"]\n')
        child = subprocess.Popen(
            [str(support.TFAUDIT), "destroy", "-auto-approve", "-input=false"],
            cwd=delivering.folder,
            env=delivering.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

        def fate(_number):
            child.send_signal(signal.SIGTERM)
            return "hang"

        silent.fate = fate
        _, said = child.communicate(timeout=support.TIMEOUT)
    assert child.returncode == 0, said
    assert 'sink "silent": 4 records left' in said
    assert "not every alert could be sent in time" in said
    assert "gave no answer in time" not in said
    assert receiver.ids == written(delivering)
    delivering.tfaudit("verify")


def test_a_slow_sink_is_further_after_each_short_run(delivering, receiver):
    """What it took within the budget is kept, however much more a batch holds: no job begins where the last one did."""
    delivering.environment["TFAUDIT_DELIVERY_BUDGET"] = "0s"
    for step in range(3):
        apply(delivering, f"-var=value={step}")
    receiver.fate = lambda _number: time.sleep(0.4) or "take"
    deliver(delivering, "--budget", "3s", code=69)
    reached = status(delivering)
    assert (reached["position"], reached["line"]) != (0, 0)
    receiver.fate = take
    deliver(delivering)
    assert receiver.ids[-1] == written(delivering)[-1]
    assert list(dict.fromkeys(receiver.ids)) == written(delivering)
    assert len(receiver.ids) - len(written(delivering)) <= 1


def test_a_machine_at_its_limit_applies_and_records(delivering, receiver):
    """Where no thread can be started for sinks and alerts, lines say so, and the exit code stays the engine's."""
    add(delivering, '\n[[alert]]\nname = "team"\nto = ["env:HOOK"]\n')
    command = [sys.executable, "-c", _NO_THREADS, "apply", "-auto-approve", "-input=false"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=delivering.folder,
        env=delivering.environment,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "tfaudit: nothing is delivered: no thread can be started" in done.stderr
    assert "tfaudit: an alert could not be made: no thread can be started" in done.stderr
    assert {line["kind"] for line in map(json.loads, delivering.tfaudit("log", "--json").stdout.splitlines())} == {
        "intent",
        "outcome",
    }
    assert deliver(delivering)["left"] == 0
    assert receiver.ids == written(delivering)


_NO_THREADS = """
import sys, threading
start = threading.Thread.start
def limited(thread):
    if thread.name.startswith(("sink", "alert")):
        raise RuntimeError("can't start new thread")
    start(thread)
threading.Thread.start = limited
from tfaudit.cli.main import main
sys.exit(main(sys.argv[1:], shim=None))
"""


def test_a_refusal_is_a_dead_letter_with_its_reason(delivering, receiver):
    """What the receiver refuses for good is told, kept by id and reason, blocks nothing, and can be tried again."""
    receiver.fate = lambda number: "refuse" if number == 2 else "take"
    said = apply(delivering)
    assert 'sink "hook": 1 document will never be taken' in said
    found = status(delivering)
    assert (found["dead"], found["left"]) == (1, 0)
    assert [one["id"] for one in found["dead_letters"]] == [written(delivering)[1]]
    assert deliver(delivering, "--retry-dead")["delivered"] == 1
    assert status(delivering)["dead"] == 0
    assert sorted(receiver.ids) == sorted(written(delivering))


def test_a_missing_secret_keeps_everything(delivering, receiver):
    """A sink whose secret isn't there is named as misconfigured (78), and gets all of it once it is."""
    del delivering.environment["HOOK"]
    assert 'sink "hook" is misconfigured; 2 records kept for it' in apply(delivering)
    assert deliver(delivering, code=78)["state"] == "misconfigured"
    delivering.environment["HOOK"] = SECRET
    deliver(delivering)
    assert receiver.ids == written(delivering)


def test_the_spool_is_sent_first(delivering, receiver):
    """What waits in the spool since the ledger was away comes into the log and to the sink by one deliver."""
    ledger, away = delivering.folder / ".tfaudit" / "ledger", delivering.folder / "away"
    add(delivering, '\n[delivery]\nbudget = "0s"\n')
    settings = delivering.folder / "tfaudit.toml"
    settings.write_text('on_ledger_failure = "spool"\n' + settings.read_text())
    apply(delivering)
    ledger.rename(away)
    apply(delivering, "-var=value=two", code=74)
    away.rename(ledger)
    said = json.loads(delivering.tfaudit("deliver", "--json").stdout)
    assert (said["sent"], said["waiting"], said["problem"]) == (2, 0, None)
    assert receiver.ids == written(delivering)


def test_a_role_without_keys_delivers(delivering, receiver):
    """A scheduled job that can only read the ledger, and write its own part of the working store, needs no key."""
    add(delivering, '\n[delivery]\nbudget = "0s"\n')
    apply(delivering)
    (delivering.folder / ".tfaudit" / "keys").rename(delivering.folder / "keys-elsewhere")
    assert deliver(delivering)["state"] == "done"
    assert len(receiver.ids) == 8


def test_a_ledger_in_a_bucket_is_delivered(tmp_path, aws_endpoint, receiver):
    """From S3, by a role with no key of the ledger, the cursor in the working bucket: a second job goes on there."""
    support_folder = tmp_path / "keys"
    support_folder.mkdir()
    os.environ["AWS_DEFAULT_REGION"] = s3ledger.REGION
    ledger = s3ledger.S3Ledger(aws_endpoint, tmp_path, s3ledger.Keys.make(support_folder))
    writer = ledger.open()
    ledger.run(writer, 0)

    def job(name, code):
        home = tmp_path / name
        home.mkdir()
        (home / "tfaudit.toml").write_text(sink("hook", receiver, batch=True))
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "HOOK": SECRET,
            "AWS_ACCESS_KEY_ID": "job",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": s3ledger.REGION,
            "AWS_ENDPOINT_URL": aws_endpoint,
            "TFAUDIT_LEDGER": f"s3://{ledger.name}-evidence/a",
            "TFAUDIT_WORKING": f"s3://{ledger.name}-working/a",
        }
        command = [str(support.TFAUDIT), "deliver", "--json"]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=home, check=False)
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout)["sinks"][0]

    assert job("first", 0)["delivered"] == 4
    ledger.run(writer, 1)
    assert job("second", 0)["delivered"] == 4
    came = [event["data"]["id"] for event in receiver.events]
    assert len(set(came)) == len(came) == 8


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_a_full_working_store_fails_before_anything_is_sent(delivering, receiver):
    """Where nothing can be written any more the delivery says so (74), and sends nothing that it couldn't remember."""
    add(delivering, '\n[delivery]\nbudget = "0s"\n')
    apply(delivering)
    command = [sys.executable, "-c", _LIMITED, str(support.TFAUDIT), "deliver", "--json"]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=delivering.folder, env=delivering.environment, check=False
    )
    assert done.returncode == 74, done.stderr
    assert receiver.requests == 0
    assert deliver(delivering)["left"] == 0
    assert receiver.ids == written(delivering)


_LIMITED = (
    "import os, resource, signal, sys\n"
    "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
    "os.execv(sys.argv[1], sys.argv[1:])\n"
)
