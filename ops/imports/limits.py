"""What the service would refuse of a row for its date or its amount, asked by dry runs."""

import uuid
from typing import Any

from domain.capability import Capability
from domain.errors import Code
from domain.money import MAX_AMOUNT_MINOR
from ops.http_client import ApiClient, ApiError, Element
from ops.imports.rows import Entry


class Limits:
    """Asks of a row only what no answer before tells: what may be done on a day may be done on later ones, and of an
    amount of less. So few questions tell of many rows.

    Asked is about the row's date and amount alone, not whether its wallet pays or its reference is taken. `lacking` is
    the capability without which the key posts no row at all; nothing is asked then.
    """

    def __init__(self, client: ApiClient, *, lacking: str = "") -> None:
        self._client = client
        self.lacking = lacking
        self._allowed_from = "A"  # after every date
        self._refused_to, self._date_code = "", ""
        self._allowed_minor = 0
        self._refused_minor: int | None = None

    def refusal(self, entry: Entry) -> str:
        """The code with which the service would refuse the row; empty where it would not, or nothing is known."""
        day, amount_minor = entry.elements[-1].data["effective_date"], entry.amount_minor
        if self.lacking or (day >= self._allowed_from and amount_minor <= self._allowed_minor):
            return ""
        if day <= self._refused_to:
            return self._date_code
        if self._refused_minor is not None and amount_minor >= self._refused_minor:
            return Code.AMOUNT_TOO_LARGE
        return self._ask(entry.elements[-1], day, amount_minor)

    def _ask(self, element: Element, day: str, amount_minor: int) -> str:
        code = ""
        for asked_minor in self._to_ask(amount_minor):
            code = self._once(element, day, asked_minor)
            if code != str(Code.AMOUNT_TOO_LARGE):
                break
        return code

    def _to_ask(self, amount_minor: int) -> list[int]:
        """The amounts to ask of: first a larger one, so that of amounts that grow row by row few are asked of."""
        if amount_minor <= self._allowed_minor:
            return [amount_minor]
        refused_minor = self._refused_minor or MAX_AMOUNT_MINOR + 1
        return [min(2 * amount_minor, (amount_minor + refused_minor) // 2), amount_minor]

    def _once(self, element: Element, day: str, amount_minor: int) -> str:
        path, body = _question(element, amount_minor)
        try:
            self._client.write("POST", f"{path}?dry_run=true", body, key=f"dry-run-{uuid.uuid4()}")
        except ApiError as error:
            return self._learn(error, day, amount_minor)
        self._allowed_from = min(self._allowed_from, day)
        self._allowed_minor = max(self._allowed_minor, amount_minor)
        return ""

    def _learn(self, error: ApiError, day: str, amount_minor: int) -> str:
        if error.capability.startswith(Capability.TRANSACTION_BACKDATE):
            self._refused_to, self._date_code = day, error.code
        elif error.code == str(Code.CAPABILITY_MISSING):
            self.lacking = error.capability
            return ""
        elif error.code == str(Code.AMOUNT_TOO_LARGE):
            self._refused_minor = amount_minor
        elif error.code in {"", str(Code.UNAUTHENTICATED)} or error.status >= 500:
            raise error
        return error.code


def _question(element: Element, amount_minor: int) -> tuple[str, dict[str, Any]]:
    """Where and what to ask of a row with that amount: paid in cash instead of by a wallet or under a reference, which may be used up."""
    data = {name: value for name, value in element.data.items() if name not in {"customer", "wallet"}}
    if element.action == "wallet.top_up":
        account = data.pop("account")
        return f"wallets/{account}/top-up", {**data, "amount": amount_minor, "source": {"type": "cash"}}
    (line,), (tender,) = data["lines"], data["tenders"]
    by_cash = tender["type"] == "wallet" or "reference" in tender
    tenders = [{"type": "cash" if by_cash else tender["type"]}]
    return "pos/checkout", {**data, "lines": [{**line, "total": amount_minor}], "tenders": tenders}
