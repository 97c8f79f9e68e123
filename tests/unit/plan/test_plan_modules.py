"""The digests of a configuration's sources: what the apply will run counts, what lies about doesn't."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tfaudit.canonical import frame
from tfaudit.errors import InputError
from tfaudit.plan.modulefiles import Looker
from tfaudit.plan.modules import SourceDigest, source_digests

ROOT_TEXT = (
    'module "m" {\n  source = "./mod"\n}\nresource "x" "y" {\n  command = "sh ${path.module}/run.sh files/"\n}\n'
)


def zipped(path: Path, members: dict[str, str]) -> None:
    """Write a zip with these members."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)


class Place:
    """A root module that calls another one, and its plan file."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.file = self.root / "tfplan"
        self.write("mod/main.tf", 'variable "a" {}\n')
        self.write("mod/run.sh", "echo\n")
        self.write("run.sh", "echo\n")
        self.write("files/a/b.txt", "b\n")
        self.write("main.tf", ROOT_TEXT)
        self.pack()

    def write(self, name: str, text: str) -> Path:
        """Write a file below the root module."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def pack(self, **more: str) -> None:
        """Write the plan file as the engine does, with ``more`` members."""
        modules = [{"Key": "", "Dir": "."}, {"Key": "m", "Source": "./mod", "Dir": "mod"}]
        with zipfile.ZipFile(self.file, "w") as archive:
            archive.writestr("tfplan", b"\n")
            archive.writestr("tfconfig/m-/main.tf", (self.root / "main.tf").read_text())
            archive.writestr("tfconfig/m-m/main.tf", (self.root / "mod" / "main.tf").read_text())
            for name, text in more.items():
                archive.writestr(name, text)
            archive.writestr("tfconfig/modules.json", json.dumps(modules))

    def digests(self) -> tuple[SourceDigest, ...]:
        """Return the digests of the sources."""
        return source_digests(self.file, root=self.root, data=self.root / ".terraform")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A configuration with a plan file."""
    return Place(tmp_path)


def test_the_modules_of_a_plan(place: Place) -> None:
    """Each module is there with its source, the root module first."""
    root, called = place.digests()
    assert (root.module, root.source, called.module, called.source) == ("", "", "m", "./mod")
    assert root.sha256 != called.sha256


def test_the_digest_as_documented(place: Place) -> None:
    """A module's digest is what someone computes who has read the page on the format."""

    def digest(*files: tuple[str, bytes]) -> str:
        pairs = sorted((name.encode(), hashlib.sha256(content).hexdigest().encode()) for name, content in files)
        return hashlib.sha256(frame(*(part for pair in pairs for part in pair))).hexdigest()

    root, called = place.digests()
    assert root.sha256 == digest(("main.tf", ROOT_TEXT.encode()), ("run.sh", b"echo\n"), ("files/a/b.txt", b"b\n"))
    assert called.sha256 == digest(("main.tf", b'variable "a" {}\n'), ("run.sh", b"echo\n"))


def test_a_descriptor_stays_open(place: Place) -> None:
    """An open file is read wherever it stands, and is left open."""
    fd = os.open(place.file, os.O_RDONLY)
    os.lseek(fd, 7, os.SEEK_SET)
    assert source_digests(fd, root=place.root, data=place.root) == place.digests()
    os.close(fd)


EDITS: dict[str, Callable[[Place], object]] = {
    "the root module in the plan file": lambda it: (it.write("main.tf", ROOT_TEXT + "# x"), it.pack()),
    "a called module in the plan file": lambda it: (it.write("mod/main.tf", "# x"), it.pack()),
    "a configuration file more": lambda it: it.pack(**{"tfconfig/m-/more.tf": ""}),
    "a module more": lambda it: it.pack(**{"tfconfig/m-n/main.tf": ""}),
    "a script of a called module": lambda it: it.write("mod/run.sh", "rm -rf /\n"),
    "a template more in a called module": lambda it: it.write("mod/templates/a.tftpl", "x"),
    "a script that the root module names": lambda it: it.write("run.sh", "rm -rf /\n"),
    "a file in a folder that the root module names": lambda it: it.write("files/a/b.txt", "c\n"),
    "a file more in such a folder": lambda it: it.write("files/c.txt", "b\n"),
    "a script that is gone": lambda it: (it.root / "run.sh").unlink(),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_what_counts(place: Place, edit: Callable[[Place], object]) -> None:
    """Each of these changes a digest."""
    before = place.digests()
    edit(place)
    assert place.digests() != before


OTHERS: dict[str, Callable[[Place], object]] = {
    "the configuration on disk": lambda it: it.write("main.tf", "# the plan file has another"),
    "a called module's on disk": lambda it: it.write("mod/main.tf", "# the plan file has another"),
    "the state": lambda it: it.write("terraform.tfstate", "{}"),
    "a state in a called module": lambda it: it.write("mod/terraform.tfstate.backup", "{}"),
    "a file that nothing names": lambda it: it.write("README.md", "x"),
    "what version control keeps": lambda it: it.write("mod/.git/index", "x"),
    "what the engine keeps": lambda it: it.write("mod/.terraform/modules/modules.json", "x"),
    "times and modes": lambda it: (os.utime(it.root / "mod/run.sh", (1, 1)), (it.root / "run.sh").chmod(0o700)),
}


@pytest.mark.parametrize("edit", OTHERS.values(), ids=OTHERS)
def test_what_does_not_count(place: Place, edit: Callable[[Place], object]) -> None:
    """None of these changes a digest."""
    before = place.digests()
    edit(place)
    assert place.digests() == before


def test_another_place_has_the_same_digests(tmp_path: Path) -> None:
    """Where the configuration lies says nothing."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert Place(tmp_path / "a").digests() == Place(tmp_path / "b").digests()


def test_which_names_count(tmp_path: Path) -> None:
    """A file beside the root module's folder counts, as does what only looks like configuration; programs don't."""
    root = tmp_path / "root"
    (root / "templates").mkdir(parents=True)
    for name in ("../shared.sh", "main.tf", "templates/x.tf", "terraform.tfstate", "Makefile"):
        (root / name).write_text(name)
    zipped(root / "next.plan", {"tfplan": "", "tfstate": "", "tfconfig/modules.json": "[]"})
    zipped(root / "lambda.zip", {"tfplan": "", "__main__.py": ""})
    text = b"""
      "/bin/sh ${path.module}/../shared.sh /etc/passwd main.tf templates/x.tf terraform.tfstate missing.sh Makefile ./"
      # plan with -out=next.plan; lambda.zip is built by hand
    """
    names = [name for name, _ in Looker(root).named_in([text])]
    assert names == ["../shared.sh", "Makefile", "lambda.zip", "templates/x.tf"]


def test_links(place: Place) -> None:
    """A link to a file counts as its content, one to a folder by where it leads; neither is followed for ever."""
    (place.root / "mod" / "link.sh").symlink_to("../run.sh")
    (place.root / "mod" / "loop").symlink_to("..")
    before = place.digests()
    place.write("run.sh", "changed\n")
    assert place.digests()[1] != before[1]
    place.write("run.sh", "echo\n")
    assert place.digests() == before
    (place.root / "mod" / "loop").unlink()
    (place.root / "mod" / "loop").symlink_to("../files")
    assert place.digests()[1] != before[1]


def test_a_module_around_the_root_module(place: Place) -> None:
    """A called module whose folder holds the root module is looked through without it."""
    modules = [{"Key": "", "Dir": "."}, {"Key": "m", "Source": "../", "Dir": ".."}]
    zipped(place.file, {"tfconfig/m-/main.tf": "", "tfconfig/modules.json": json.dumps(modules)})
    before = place.digests()
    place.write("new", "x")
    assert place.digests() == before
    (place.root.parent / "script.sh").write_text("x")
    assert place.digests() != before


def test_too_much_to_look_through(tmp_path: Path) -> None:
    """A folder with too many or too large files costs its files' digests, not the time to read them."""
    for number in range(5):
        (tmp_path / f"{number}.txt").write_text("x" * 10)
    assert len(Looker(tmp_path / "root", files=5, size=50).beside(tmp_path, ())) == 5
    assert Looker(tmp_path / "root", files=4).beside(tmp_path, ()) == [(".", "too many files")]
    assert Looker(tmp_path / "root", size=49).beside(tmp_path, ()) == [(".", "too large")]
    shared = Looker(tmp_path / "root", files=9)
    assert shared.beside(tmp_path, ()) == shared.beside(tmp_path, ())  # the second time costs nothing
    assert shared.named_in([b"0.txt 1.txt"]) == []


def test_what_is_no_file(place: Place) -> None:
    """A pipe in a module's folder is not waited for."""
    os.mkfifo(place.root / "mod" / "pipe")
    os.mkfifo(place.root / "pipe")
    place.write("main.tf", ROOT_TEXT + "# pipe")
    place.pack()
    assert len(place.digests()) == 2


def test_an_encrypted_plan_file(place: Place) -> None:
    """Where the engine has encrypted the plan file, the configuration is read from disk."""
    place.file.write_text('{"encrypted_data":"x","encryption_version":"v0"}')
    place.write(
        ".terraform/modules/modules.json",
        '{"Modules":[{"Key":"","Source":"","Dir":"."},{"Key":"m","Source":"./mod","Dir":"mod"}]}',
    )
    before = place.digests()
    assert [each.module for each in before] == ["", "m"]
    place.write("main.tf", ROOT_TEXT + "# x")
    assert place.digests()[0] != before[0]
    place.write("mod/main.tf", "# x")
    assert place.digests()[1] != before[1]


def twice(place: Place) -> None:
    """Put a configuration file into the plan file a second time."""
    with zipfile.ZipFile(place.file, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("tfconfig/m-/main.tf", "# another")


BROKEN: dict[str, Callable[[Place], object]] = {
    "cut off": lambda it: it.file.write_bytes(it.file.read_bytes()[:-30]),
    "damaged": lambda it: it.file.write_bytes(it.file.read_bytes().replace(b"source", b"sourcf")),
    "a name twice": twice,
    "a list that is none": lambda it: zipped(it.file, {"tfconfig/modules.json": "{}"}),
    "gone": lambda it: it.file.unlink(),
}


@pytest.mark.parametrize("breaking", BROKEN.values(), ids=BROKEN)
def test_a_configuration_that_cannot_be_read(place: Place, breaking: Callable[[Place], object]) -> None:
    """A plan file whose configuration is not plain to read is refused, not passed over."""
    breaking(place)
    with pytest.raises(InputError, match="the configuration in the plan file can't be read"):
        place.digests()
