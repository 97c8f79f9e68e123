"""Is what was planned what lies in the commit?"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from tfaudit.identity import git

if TYPE_CHECKING:
    from tfaudit.identity.git import Repository

TIMEOUT_SECONDS: Final = 5
_CONFIGURATION: Final = tuple(f":(top)*.{ending}" for ending in ("tf", "tf.json", "tofu", "tofu.json"))


def is_clean(repository: Repository | None, environ: Mapping[str, str]) -> bool:
    """Whether tracked files are those of the commit, and no configuration lies beside them, ignored or not.

    The engine reads every ``.tf`` file of a folder, whatever ``.gitignore`` says of it. Modules that ``init`` fetched
    (``.terraform``) are not looked at; nor are other files, which a configuration may read. False where git can't say.
    """
    if repository is None or repository.commit is None or repository.dirty is not False:
        return False
    try:
        done = subprocess.run(
            [*git.COMMAND, "ls-files", "--others", "-z", "--full-name", "--", *_CONFIGURATION],
            cwd=Path(repository.root),
            env={**environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    others = done.stdout.decode(errors="replace").split("\0")
    return done.returncode == 0 and not any(name and ".terraform" not in PurePosixPath(name).parts for name in others)
