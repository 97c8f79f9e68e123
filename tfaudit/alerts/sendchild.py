"""How does one message reach its targets? In a process of its own, which may be killed and whose words nobody sees.

Packages that send to chats log the URLs that they were given, tokens and all. Here that goes nowhere: this process has
no stderr, and answers with one fixed word for each target. It reads one line of JSON,
``{"seconds", "targets": [url, …], "message": {…}}``, and goes on when whoever started it is gone.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import IO, TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from tfaudit import awsclient
from tfaudit.alerts import targets

if TYPE_CHECKING:
    import urllib3

_CONNECT_SECONDS: Final = 4.0
_MAX_SUBJECT: Final = 100
_CHATS: Final[Mapping[str, tuple[str, int]]] = {
    "hooks.slack.com": ("text", 35_000),
    "chat.googleapis.com": ("text", 4_000),
    "discord.com": ("content", 2_000),
    "discordapp.com": ("content", 2_000),
}
"""Incoming webhooks that take one text and nothing else: under which name, and how long it may be."""

SENT: Final = "sent"


def main(stdin: IO[bytes], answer: IO[bytes]) -> None:
    """Answer one request."""
    asked = json.loads(stdin.readline())
    answer.write(json.dumps(deliver(asked["targets"], asked["message"], seconds=asked["seconds"])).encode())
    answer.flush()


def deliver(urls: list[str], message: dict[str, Any], *, seconds: float) -> list[str]:
    """Send a message to all targets at once; return for each :data:`SENT` or what went wrong, in a word of ours."""
    end = time.monotonic() + seconds
    words = ["gave no answer in time"] * len(urls)

    def one(at: int, url: str) -> None:
        words[at] = _sent(url, message, seconds)

    threads = [threading.Thread(target=one, args=(at, url), daemon=True) for at, url in enumerate(urls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    return list(words)


def _sent(url: str, message: dict[str, Any], seconds: float) -> str:
    send: Callable[[str, dict[str, Any], float], str]
    match targets.kind(url):
        case "post":
            send = _post
        case "sns":
            send = _publish
        case "apprise":
            send = _notify
        case _:
            return "is no URL that an alert can go to"
    try:
        return send(url, message, seconds)
    except ImportError:
        return "needs a package that is not installed: pip install 'tfaudit[alerts]'"
    except Exception:  # noqa: BLE001 - whatever a package does with a URL, its words may hold the secret
        return "could not be sent to"


def _post(url: str, message: dict[str, Any], seconds: float) -> str:
    import urllib3

    with _pool(url) as pool:
        try:
            response = pool.request(
                "POST",
                url,
                body=json.dumps(_body(url, message), ensure_ascii=False).encode(),
                headers={"Content-Type": "application/json", "User-Agent": "tfaudit"},
                retries=False,
                redirect=False,
                timeout=urllib3.Timeout(connect=min(_CONNECT_SECONDS, seconds), read=seconds),
                preload_content=False,
            )
        except urllib3.exceptions.SSLError:
            return "has no certificate that is trusted"
        except urllib3.exceptions.ProxyError:
            return "can't be reached through the proxy"
        except urllib3.exceptions.NewConnectionError:
            return "can't be reached"
        except urllib3.exceptions.TimeoutError:
            return "gave no answer in time"
        except urllib3.exceptions.HTTPError:
            return "can't be reached"
        status = response.status
        response.close()
    return SENT if 200 <= status < 300 else f"answered with the status {status}"


def _pool(url: str) -> urllib3.PoolManager:
    import urllib3

    proxy = _proxy(url)
    if proxy is None:
        return urllib3.PoolManager()
    parts = urlsplit(proxy)
    who = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else None
    return urllib3.ProxyManager(proxy, proxy_headers=urllib3.make_headers(proxy_basic_auth=who) if who else None)


def _body(url: str, message: dict[str, Any]) -> dict[str, Any]:
    alone = _CHATS.get(targets.host_of(url) or "")
    if alone is None:
        return message
    name, longest = alone
    return {name: f"{message['title']}\n{message['text']}"[:longest]}


def _proxy(url: str) -> str | None:
    from urllib.request import getproxies, proxy_bypass

    host = targets.host_of(url) or ""
    if url.lower().startswith("http:") or proxy_bypass(host):
        return None
    return getproxies().get("https")


def _publish(arn: str, message: dict[str, Any], seconds: float) -> str:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    config = Config(
        connect_timeout=_CONNECT_SECONDS, read_timeout=seconds, retries={"total_max_attempts": 2, "mode": "standard"}
    )
    subject = "".join(ch if " " <= ch <= "~" else "?" for ch in message["title"])[:_MAX_SUBJECT]
    try:
        client = boto3.session.Session().client("sns", region_name=targets.region_of(arn), config=config)
        if not awsclient.is_allowed(client.meta.endpoint_url):
            return "is not asked in clear: the endpoint of SNS is neither https nor on this machine"
        client.publish(TopicArn=arn, Subject=subject, Message=message["text"])
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        return f"was refused: {code}" if code.isalnum() else "was refused"
    except (BotoCoreError, OSError, RuntimeError) as error:
        return f"could not be sent to ({type(error).__name__})"
    return SENT


def _notify(url: str, message: dict[str, Any], seconds: float) -> str:
    import apprise

    asset = apprise.AppriseAsset(
        app_id="tfaudit",
        app_desc="Terraform audit records",
        app_url="",
        plugin_paths=[],
        async_mode=False,
        http_redirects=False,
    )
    notifier = apprise.Apprise(asset=asset)
    if not notifier.add(url):
        return "is no URL that apprise knows"
    done = notifier.notify(
        title=message["title"],
        body=message["text"],
        notify_type=apprise.NotifyType(message["urgency"]),
        body_format=apprise.NotifyFormat.TEXT,
        interpret_escapes=False,
    )
    return SENT if done else "did not take it"


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    # What a package prints must not be taken for the answer.
    private = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    main(sys.stdin.buffer, private)
    os._exit(0)  # what still waits for an answer has had its time
