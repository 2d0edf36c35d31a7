"""What `bursar up` prints once everything answers: one screen, with commands that work as printed."""

import os
import shlex
import shutil
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Final

from ops.up.ready_file import ReadyInfo

# On every later day the same keys bring the same answers.
_COMMANDS: Final = r"""
  curl -sS "$BURSAR_URL/v2/finance/wallets" -H "Authorization: Bearer $BURSAR_API_KEY" \
    -H "Content-Type: application/json" -H "Idempotency-Key: first-wallet" -w '\n' \
    -d '{"account":"STU-1001","currency":"KES"}'
  curl -sS "$BURSAR_URL/v2/finance/wallets/STU-1001/top-up" -H "Authorization: Bearer $BURSAR_API_KEY" \
    -H "Content-Type: application/json" -H "Idempotency-Key: first-top-up" -w '\n' \
    -d '{"amount":150000,"currency":"KES","source":{"type":"cash"}}'
  curl -sS "$BURSAR_URL/v2/finance/pos/checkout" -H "Authorization: Bearer $BURSAR_API_KEY" \
    -H "Content-Type: application/json" -H "Idempotency-Key: first-sale" -w '\n' \
    -d '{"wallet":"STU-1001","currency":"KES","tenders":[{"type":"wallet"},{"type":"cash"}],
         "lines":[{"sku":"UNIFORM","quantity":1,"unit_amount":200000,"tax_code":"A"}]}'
  curl -sS "$BURSAR_URL/v2/finance/statements?account=STU-1001" -H "Authorization: Bearer $BURSAR_API_KEY" -w '\n'
""".strip("\n")


def greeting(info: ReadyInfo, data: Path) -> str:
    """Say where everything is, and what to try first."""
    names = max(map(len, info.keys))
    keys = f"\n{'':14}".join(f"{name:<{names}}  {key}" for name, key in info.keys.items())
    return f"""
Bursar {version("bursar")} answers for the school {info.tenant}.

  service     {info.url}
  reference   {info.url}/docs
  QuickBooks  {info.quickbooks.url}, emulated; company {info.quickbooks.realm}
  keys        {keys}
  logs        {_shown(data / "logs")}

In another terminal, in this folder: open a wallet, top it up, sell to wallet and cash, read the statement.
A command that is sent again answers the same, and moves nothing.

  eval "$({_env_command(data)})"
{_COMMANDS}

Ctrl-C stops it.
"""


def _env_command(data: Path) -> str:
    """`bursar env` as it is called from here, for the `up` on this folder."""
    program = Path(sys.argv[0]).absolute()
    if program.name != "bursar":
        own = f"{_quoted(Path(sys.executable))} -m ops.cli"
    elif shutil.which("bursar") == str(program):
        own = "bursar"
    else:
        own = _quoted(program)
    return f"{own} env" if data == Path.cwd() / ".bursar" else f"{own} env --data {_quoted(data)}"


def _quoted(path: Path) -> str:
    return shlex.quote(_shown(path))


def _shown(path: Path) -> str:
    """A path as it is called from the working directory."""
    if not path.is_relative_to(Path.cwd()):
        return str(path)
    relative = path.relative_to(Path.cwd())
    return str(relative) if len(relative.parts) > 1 else f".{os.sep}{relative}"
