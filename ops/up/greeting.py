"""What `bursar up` prints once everything answers."""

import shlex
from pathlib import Path

import msgspec

from ops.up.ready_file import ReadyInfo


def greeting(info: ReadyInfo, data: Path) -> str:
    """Say where everything is, and what to try first."""
    keys = "\n".join(f"  {name:<8} {key}" for name, key in info.keys.items())
    commands = "\n\n".join(_curls(info))
    return f"""
Bursar answers at {info.url} for the school {info.tenant}.

Keys, the same at every start:
{keys}

QuickBooks is emulated at {info.quickbooks.url}, company {info.quickbooks.realm}; its books are in {data / "quickbooks.sqlite"}.
Data and logs are in {data}.

Open a wallet, top it up, send the same top-up again (nothing moves twice), sell to wallet and cash, read the statement:

{commands}

Ctrl-C stops it.
"""


def _curls(info: ReadyInfo) -> list[str]:
    """Return five commands that work as printed, on the first day and on every later one."""
    wallet = "STU-1001"
    top_up = _curl(
        info,
        f"wallets/{wallet}/top-up",
        key="first-top-up",
        body={"amount": 150000, "currency": "KES", "source": {"type": "cash"}},
    )
    sale = {
        "wallet": wallet,
        "currency": "KES",
        "lines": [{"sku": "UNIFORM", "quantity": 1, "unit_amount": 200000, "tax_code": "A"}],
        "tenders": [{"type": "wallet"}, {"type": "cash"}],
    }
    return [
        _curl(info, "wallets", key="first-wallet", body={"account": wallet, "currency": "KES"}),
        top_up,
        top_up,
        _curl(info, "pos/checkout", key="first-sale", body=sale),
        _curl(info, f"statements?account={wallet}"),
    ]


def _curl(info: ReadyInfo, path: str, *, key: str = "", body: object = None) -> str:
    words = [
        "curl",
        "-sS",
        f"{info.url}/v2/finance/{path}",
        "-H",
        f"Authorization: Bearer {info.keys['admin']}",
    ]
    if body is not None:
        words += ["-H", "Content-Type: application/json", "-H", f"Idempotency-Key: {key}"]
        words += ["-d", msgspec.json.encode(body).decode()]
    return shlex.join([*words, "-w", "\\n"])
