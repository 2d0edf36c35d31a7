"""Python imports this before the product's own code where tests put this folder on its path: a part that is altered.

What is altered stands in a file named by the part's command; see `tests.support.up.Up.alter`.
"""

import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path


def _shift_clock(seconds: int) -> None:
    import time_machine

    time_machine.travel(datetime.now(UTC) + timedelta(seconds=seconds), tick=True).start()


def _change_snapshot_format() -> None:
    """As a release would whose states have another shape: neither reads what the other has written."""
    from projections.engine import snapshots

    encode, decode = snapshots.encode_state, snapshots.decode_state

    def decode_other(stream: str, stored_bytes: bytes) -> object:
        assert stored_bytes.startswith(b"other"), "it was taken for a state of this format"
        return decode(stream, stored_bytes.removeprefix(b"other"))

    for kind in snapshots.FORMATS:
        snapshots.FORMATS[kind] ^= 1
    snapshots.encode_state = lambda state: b"other" + encode(state)
    snapshots.decode_state = decode_other


_words = sys.orig_argv
if "ops.cli" in _words[:-1]:
    _file = Path(os.environ["ALTERED_PARTS"]) / f"{_words[_words.index('ops.cli') + 1]}.json"
    _altered = json.loads(_file.read_text()) if _file.exists() else {}
    if _altered.get("clock_seconds"):
        _shift_clock(_altered["clock_seconds"])
    if _altered.get("snapshot_format"):
        _change_snapshot_format()
