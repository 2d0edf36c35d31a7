"""The bodies of commands that are taken, to be changed into those that are not."""

from typing import Any


def top_up(**changes: Any) -> dict[str, Any]:
    return {"amount": 100, "currency": "KES", "source": {"type": "cash"}} | changes


def charge(**changes: Any) -> dict[str, Any]:
    return {"amount": 100, "currency": "KES", "description": "Fine"} | changes


def checkout(**changes: Any) -> dict[str, Any]:
    line = {"sku": "MEAL", "quantity": 1, "total": 100, "tax_code": "A"}
    return {"currency": "KES", "lines": [line], "tenders": [{"type": "cash"}]} | changes
