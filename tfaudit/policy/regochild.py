"""What do Rego rules say of an input, by the engine that is a Python package, in a process that may be killed?

Reads one line of JSON from stdin (the modules, the data, the query, the limits), then the input; writes one object: the
value of the query, or where in which file an error is, without the engine's words, which may quote the input.
"""

from __future__ import annotations

import json
import re
import sys
from typing import IO, Any, Final

_PLACE: Final = re.compile(r"--> ([^\n:]{1,300}):(\d{1,7}):(\d{1,7})")


def main(stdin: IO[bytes], stdout: IO[bytes]) -> None:
    """Answer one request. What follows the first line is as long as that says: its end may never come."""
    from tfaudit.policy.child import limit_self

    asked = json.loads(stdin.readline())
    limit_self(asked["memory_mb"], asked["seconds"])
    stdout.write(json.dumps(answer(asked, stdin.read(asked["size"]))).encode())


def answer(asked: dict[str, Any], document: bytes) -> dict[str, Any]:
    """Return ``{"value": …}`` or ``{"error": "parse" | "evaluate", "place": "FILE:LINE" | null}``."""
    import regorus

    engine = regorus.Engine()
    engine.set_rego_v0(asked["v0"])
    engine.set_gather_prints(True)  # print() would else write between the answer's lines
    stage = "parse"
    try:
        for path, text in asked["modules"]:
            engine.add_policy(path, text)
        for text in asked["data"]:
            engine.add_data_json(text)
        stage = "evaluate"
        engine.set_input_json(document.decode())
        found = json.loads(engine.eval_query_as_json(asked["query"]))
    except BaseException as error:  # noqa: BLE001 - a panic of the engine's is no Exception
        place = _PLACE.search(str(error))
        named = place is not None and place[1] in {path for path, _ in asked["modules"]}
        return {"error": stage, "place": f"{place[1]}:{place[2]}" if place and named else None}
    results = found.get("result", [])
    return {"value": results[0]["expressions"][0]["value"] if results else None}


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
