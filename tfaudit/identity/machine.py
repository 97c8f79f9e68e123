"""Who the operating system says is acting, and on which host. Claimed: whoever owns the machine can say anything."""

from __future__ import annotations

import os
import pwd

from tfaudit.identity.actor import Evidence


def operating_system_user() -> Evidence:
    """Return the effective user, the user who called sudo where there is one, and the host's name."""
    uid = os.geteuid()
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:  # a container's arbitrary uid has no name
        user = str(uid)
    claims = [("user", user), ("uid", str(uid)), ("host", os.uname().nodename)]
    sudo_user = os.environ.get("SUDO_USER")
    if uid == 0 and sudo_user:
        claims.append(("sudo_user", sudo_user))
    principal = f"os:{sudo_user if uid == 0 and sudo_user else user}"
    return Evidence(
        source="operating-system",
        level="claimed",
        principal=principal,
        claims=tuple(claims),
        identities=(principal,),
    )
