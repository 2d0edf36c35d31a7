"""Where the API's paths begin."""

from typing import Final

PREFIX: Final = "/v2/finance"
PUBLIC: Final = f"{PREFIX}/receipts/"
"""What anybody may read."""
