"""The engine's folder, workspace, backend and local state."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tfaudit.engine import argv
from tfaudit.engine.stored import Backend, StateId, parse_state_id, read_state_id
from tfaudit.engine.workdir import Workdir
from tfaudit.errors import InputError


def workdir(cwd: Path, line: str = "apply", **environ: str) -> Workdir:
    """Return the directory of an invocation."""
    return Workdir.of(argv.parse(line.split(), environ), environ, cwd)


def initialise(root: Path, kind: str, **config: object) -> None:
    """Write what init stores of a backend."""
    (root / ".terraform").mkdir(exist_ok=True)
    backend = {"type": kind, "config": config, "hash": 1}
    (root / ".terraform" / "terraform.tfstate").write_text(json.dumps({"version": 3, "backend": backend}))


def state_path(root: Path, line: str = "apply", *, after: bool = False, **environ: str) -> Path | None:
    """Return where the state of a command is."""
    invocation = argv.parse(line.split(), environ)
    return Workdir.of(invocation, environ, root).state_path(invocation, after=after)


def test_chdir_and_data_folder(tmp_path: Path) -> None:
    """-chdir moves the root, a relative TF_DATA_DIR counts from there."""
    found = workdir(tmp_path, "-chdir=sub apply", TF_DATA_DIR="data")
    assert (found.root, found.data) == (tmp_path / "sub", tmp_path / "sub" / "data")
    assert workdir(tmp_path, TF_DATA_DIR="/data").data == Path("/data")
    assert workdir(tmp_path).data == tmp_path / ".terraform"


def test_a_folder_has_one_name(tmp_path: Path) -> None:
    """However the folder and its state are spelled, they are the same folder and state: the state's key hangs on it."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    (tmp_path / "link").symlink_to("two")
    for line in ("-chdir=../two apply", "-chdir=../link apply", "-chdir=.././two/. apply"):
        assert workdir(tmp_path / "one", line).root == tmp_path / "two"
        assert state_path(tmp_path / "one", line) == tmp_path / "two" / "terraform.tfstate"
    assert state_path(tmp_path / "one", "apply -state=../two/./x") == tmp_path / "two" / "x"


def test_a_path_that_no_file_can_have(tmp_path: Path) -> None:
    """A backend's path with a NUL in it is named, not stumbled over."""
    initialise(tmp_path, "local", path="a\0b")
    with pytest.raises(InputError, match="no file can have"):
        state_path(tmp_path)


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    """A pipe where a state is expected is named, and one where the workspace's name is expected is passed over."""
    (tmp_path / ".terraform").mkdir()
    os.mkfifo(tmp_path / ".terraform" / "environment")
    os.mkfifo(tmp_path / "terraform.tfstate")
    assert workdir(tmp_path).workspace == "default"
    with pytest.raises(InputError, match="it is not a file"):
        read_state_id(tmp_path / "terraform.tfstate")


def test_workspace(tmp_path: Path) -> None:
    """TF_WORKSPACE wins over the selected workspace, without either it is the default one."""
    assert workdir(tmp_path).workspace == "default"
    (tmp_path / ".terraform").mkdir()
    (tmp_path / ".terraform" / "environment").write_text("dev\n")
    assert workdir(tmp_path).workspace == "dev"
    assert workdir(tmp_path, TF_WORKSPACE="prod").workspace == "prod"


def test_backend(tmp_path: Path) -> None:
    """The initialised backend with its settings, None without one."""
    assert workdir(tmp_path).backend() is None
    initialise(tmp_path, "s3", bucket="b", key=None)
    assert workdir(tmp_path).backend() == Backend(type="s3", config={"bucket": "b", "key": None})


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"backend":3}', b"\xff", b"[" * 100_000, b" " * (2 << 20)])
def test_broken_backend_file(tmp_path: Path, content: bytes) -> None:
    """A file that init didn't write is named."""
    (tmp_path / ".terraform").mkdir()
    (tmp_path / ".terraform" / "terraform.tfstate").write_bytes(content)
    with pytest.raises(InputError, match=r"terraform\.tfstate"):
        workdir(tmp_path).backend()


def test_default_state(tmp_path: Path) -> None:
    """Without a backend the state is terraform.tfstate, or the workspace's."""
    assert state_path(tmp_path) == tmp_path / "terraform.tfstate"
    assert state_path(tmp_path, TF_WORKSPACE="w") == tmp_path / "terraform.tfstate.d" / "w" / "terraform.tfstate"


def test_local_backend(tmp_path: Path) -> None:
    """A local backend may name the file and the workspaces' folder."""
    initialise(tmp_path, "local", path="x.tfstate", workspace_dir="ws")
    assert state_path(tmp_path) == tmp_path / "x.tfstate"
    assert state_path(tmp_path, TF_WORKSPACE="w") == tmp_path / "ws" / "w" / "terraform.tfstate"


def test_state_options(tmp_path: Path) -> None:
    """-state names the file read, -state-out the one written."""
    assert state_path(tmp_path, "apply -state=a") == tmp_path / "a"
    assert state_path(tmp_path, "apply -state=a -state-out=b", after=True) == tmp_path / "b"
    assert state_path(tmp_path, "state rm -state a x") == tmp_path / "a"


def test_remote_backend_has_no_file(tmp_path: Path) -> None:
    """Other backends keep no local state."""
    initialise(tmp_path, "s3", bucket="b")
    assert state_path(tmp_path) is None


def test_state_identity(tmp_path: Path) -> None:
    """Lineage and serial, whatever else there is; nothing for no file or an empty one."""
    path = tmp_path / "terraform.tfstate"
    assert read_state_id(path) is None
    path.write_bytes(b"")
    assert read_state_id(path) is None
    path.write_text('{"version":4,"serial":7,"lineage":"l","resources":[{"x":[1,{}]}]}')
    assert read_state_id(path) == StateId(lineage="l", serial=7)


def test_encrypted_state_keeps_its_identity() -> None:
    """OpenTofu's encrypted state has both in clear."""
    text = b'{"serial":3,"lineage":"l","meta":{},"encrypted_data":"AA==","encryption_version":"v0"}'
    assert parse_state_id(text, what="state pull") == StateId(lineage="l", serial=3)


@pytest.mark.parametrize("data", [b"{", b"null", b'{"serial":"x"}', b'{"serial":1e400}', b"\xff\xfe", b"[" * 100_000])
def test_broken_states(data: bytes) -> None:
    """What is no state is refused by name."""
    with pytest.raises(InputError, match="state pull is no state file"):
        parse_state_id(data, what="state pull")


def test_a_folder_is_no_state(tmp_path: Path) -> None:
    """A folder in the state's place is an input error."""
    with pytest.raises(InputError, match="can't be read"):
        read_state_id(tmp_path)
