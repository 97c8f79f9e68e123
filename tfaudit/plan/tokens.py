"""Which texts hold a credential of a well-known form?

Forms as their issuers document them (AWS, GitHub, GitLab, Slack, Stripe, Google, npm, PyPI, Vault, Terraform Cloud,
JSON Web Tokens, PEM private keys …), passwords in URLs, and assignments such as ``DB_PASSWORD=…`` in scripts.
"""

from __future__ import annotations

import re
from typing import Final

from tfaudit.plan.secrets import MASK

_WHOLE: Final = re.compile(
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----(?:.*?-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|.*)"
    r"|\b(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}\b"
    r"|\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{22,})"
    r"|\bgl(?:pat|ptt|dt|rt|cbt|soat|ft|imt|agent)-[A-Za-z0-9_=.-]{16,}"
    r"|\bxox[abeoprs]-[A-Za-z0-9-]{10,}|\bxapp-[0-9]-[A-Za-z0-9-]{10,}"
    r"|hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9/_-]+"
    r"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"
    r"|\b[sr]k_(?:live|test)_[A-Za-z0-9]{16,}|\bwhsec_[A-Za-z0-9]{16,}"
    r"|\bAIza[0-9A-Za-z_-]{35}|\bya29\.[0-9A-Za-z_-]{20,}|\bGOCSPX-[A-Za-z0-9_-]{20,}"
    r"|\bnpm_[A-Za-z0-9]{30,}|\bpypi-[A-Za-z0-9_-]{30,}|\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"
    r"|\bhv[sbr]\.[A-Za-z0-9_-]{20,}|\b[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_-]{40,}"
    r"|\bdo[opr]_v1_[a-f0-9]{32,}|\bdp\.(?:pt|st|ct|sa)\.[A-Za-z0-9._-]{20,}|\bsk-(?:ant-|proj-)?[A-Za-z0-9_-]{32,}"
    r"|\bAGE-SECRET-KEY-1[0-9A-Z]{30,}|\bshpat_[a-f0-9]{32}|\bdapi[a-f0-9]{32}|\bPMAK-[a-f0-9]{20,}-[a-f0-9]{20,}",
    re.DOTALL,
)

# A part stays readable (the user, the name of the variable); what follows it goes.
_NAMED: Final = re.compile(
    r"(://[^\s/:@\"']{0,256}:)([^\s/@\"']{1,512})(?=@)"
    r"|(?i:(\b(?:basic|bearer|token)\s+)([a-z0-9+/_.~-]{16,}=*))"
    r"|(?i:((?:passw(?:or)?d|passphrase|pwd|secret|token|(?:api|access|private|account|shared_?access|"
    r"secret|signing)[_-]?key|credentials?)[\"']?\s{0,4}(?::=|=>|[=:])\s{0,4})"
    r"(\"(?:[^\"\\]|\\.){4,}\"|'[^']{4,}'|[^\s\"'$,;&|(){}<>]{6,}))"
    r"|(?i:(--?(?:password|passwd|token|secret|api-key|passphrase)[ =])([^\s\"']{4,}))"
)

_SUSPICION: Final = re.compile(
    rb"[pP][aA][sS][sS][wWpPcC]|[pP][wW][dD]|[sS][eE][cC][rR][eE][tT]|[tT][oO][kK][eE][nN]|[kK][eE][yY]|"
    rb"[cC][rR][eE][dD][eE]|[cC][oO][nN][nN](?:[eE][cC][tT][iI][oO][nN])?_?[sS][tT][rR]|[kK][uU][bB][eE]_?[cC][oO][nN]|"
    rb"[pP][sS][kK]|[dD][sS][nN]|[pP][fF][xX]|[pP][kK][cC][sS]1|[wW][eE][bB][hH][oO][oO][kK]|[jJ][aA][aA][sS]|"
    rb"[sS][aA][sS]_[uU]|[cC][oO][mM][mM][uU][nN][iI][tT][yY]_|[bB][eE][aA][rR][eE][rR]|[bB][aA][sS][iI][cC][ _]|_auth|"
    rb"otp_|AKIA|ASIA|ABIA|ACCA|gh[pousr]_|github_pat|gl[a-z]{2,5}-|xox[a-z]-|xapp-|slack|eyJ|[sr]k_|whsec|AIza|ya29|GOCSPX|"
    rb"npm_|pypi-|SG\.|hv[sbr]\.|atlasv1|do[opr]_v1|dp\.|sk-|AGE-S|shpat|dapi|PMAK|://[^/\s]*@"
)
# Whatever _SUSPICION finds holds one of these, letter case aside; in a long text they are looked for much faster.
_NEEDLES: Final = tuple(
    b"pass pwd secret token key crede conn kube psk dsn pfx pkcs1 webhook jaas sas_u community_ bearer basic _auth "
    b"otp_ akia asia abia acca ghp_ gho_ ghu_ ghs_ ghr_ github_pat gl xox xapp- slack eyj sk_ rk_ whsec aiza ya29 "
    b"gocspx npm_ pypi- sg. hvs. hvb. hvr. atlasv1 _v1 dp. sk- age-s shpat dapi pmak @".split()
)
_LONG: Final = 128


def may_hold_one(text: bytes) -> bool:
    """Return False only if ``text`` (UTF-8, JSON or not) can hold neither a token nor a secret's name; it is quick."""
    if len(text) > _LONG and not any(map(text.lower().__contains__, _NEEDLES)):
        return False
    return _SUSPICION.search(text) is not None


def mask(text: str) -> str:
    """Return ``text`` with each credential of a known form replaced by ``[redacted]``."""
    return _NAMED.sub(_keep_name, _WHOLE.sub(MASK, text))


def _keep_name(match: re.Match[str]) -> str:
    for name in range(1, 9, 2):
        if match[name] is not None:
            return match[name] + (match[name + 1] if MASK in match[name + 1] else MASK)
    return MASK
