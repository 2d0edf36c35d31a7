"""A school day as it is played against a running service."""

import secrets
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec

from ops.demo.books import (
    show_money,
)
from ops.http_client import ApiClient

_STUDENTS = ("AMINA", "BRIAN", "CHEBET", "DAVID")


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened: what, how much (minor units, None for nothing), and its receipt or number."""

    what: str
    amount: int | None
    number: str


class Day:
    """One day at school. Every name and reference carries the run, so that days do not meet."""

    def __init__(self, client: ApiClient, currency: str) -> None:
        self._client = client
        self._currency = currency
        self._keys = 0
        self._last: tuple[str, str, object, str] = ("", "", None, "")
        # The emulator's clock may be another machine's.
        self.began = (datetime.now(UTC) - timedelta(minutes=10)).isoformat(timespec="seconds")
        self.run = secrets.token_hex(3).upper()
        self.steps: list[Step] = []

    def student(self, name: str) -> str:
        return f"{name}-{self.run}"

    @property
    def students(self) -> list[str]:
        return [self.student(name) for name in _STUDENTS]

    @property
    def numbers(self) -> list[str]:
        """The receipts and invoices of the day."""
        return list(dict.fromkeys(step.number for step in self.steps if step.number))

    def play(self) -> None:
        """Everything that happens, in order. Raises ApiError, UnreachableError."""
        for name in _STUDENTS:
            self._write("POST", "wallets", {"account": self.student(name), "currency": self._currency})
            self._note(f"{name.title()}'s wallet is opened", None, "")
        self._money_comes_in()
        self._canteen()
        self._office()

    def _money_comes_in(self) -> None:
        for name, amount in (("AMINA", 150_000), ("BRIAN", 80_000), ("CHEBET", 30_000)):
            self._top_up(name, amount, "mpesa")
        self._send_again()
        self._top_up("DAVID", 20_000, "cash")

    def _canteen(self) -> None:
        self._sell("Amina has lunch", "AMINA", [("MEAL", 1, 25_000)], [{"type": "wallet"}])
        lunch = self._sell(
            "Brian has lunch and two juices",
            "BRIAN",
            [("MEAL", 1, 25_000), ("JUICE", 2, 3_500)],
            [{"type": "wallet"}],
        )
        self._sell(
            "David's wallet pays what it can, cash the rest",
            "DAVID",
            [("MEAL", 1, 25_000)],
            [{"type": "wallet"}, {"type": "cash"}],
        )
        self._sell(
            "Chebet pays books by wallet, card and cash",
            "CHEBET",
            [("BOOK", 4, 12_000)],
            [{"type": "wallet"}, {"type": "card", "amount": 10_000}, {"type": "cash"}],
        )
        self._sell("A visitor pays cash", None, [("MEAL", 1, 30_000)], [{"type": "cash"}])
        refund = {"sale": lunch["sale"]["id"], "lines": [{"line": 2, "quantity": 1}]}
        answer = self._write("POST", "pos/refund", refund)
        self._note("Brian gives one juice back", 3_500, answer["receipt"]["number"])

    def _office(self) -> None:
        self._charge("AMINA", 15_000, "Library book lost")
        amina = self._invoice(
            "AMINA", [("Tuition, term 1", 2_000_000, "tuition"), ("Transport", 500_000, "transport")]
        )
        self._settle(
            "Amina pays by wallet, M-Pesa and bank",
            amina,
            [
                {"type": "wallet", "amount": 50_000, "account": self.student("AMINA")},
                {"type": "mpesa", "amount": 1_000_000, "reference": self._reference()},
                {"type": "bank", "amount": 500_000},
            ],
        )
        self._settle(
            "Amina's rest in cash, 1,000.00 too much: that goes to the wallet",
            amina,
            [{"type": "cash", "amount": 1_050_000, "account": self.student("AMINA")}],
        )
        brian = self._invoice("BRIAN", [("Hostel, term 1", 900_000, "hostel")])
        self._settle(
            "Brian pays by wallet, card and cash at once",
            brian,
            [
                {"type": "wallet", "amount": 40_000, "account": self.student("BRIAN")},
                {"type": "card", "amount": 600_000, "reference": self._reference()},
                {"type": "cash"},
            ],
        )
        david = self._invoice("DAVID", [("School trip", 350_000, "other_income")])
        self._settle("David pays a part", david, [{"type": "cash", "amount": 100_000}])

    # --- one command each

    def _top_up(self, name: str, amount: int, source: str) -> None:
        body = {"amount": amount, "currency": self._currency, "source": {"type": source}}
        if source == "mpesa":
            body["source"] = {"type": source, "reference": self._reference()}
        answer = self._write("POST", f"wallets/{self.student(name)}/top-up", body)
        self._note(f"{name.title()}'s wallet is topped up by {source}", amount, answer["receipt"]["number"])

    def _send_again(self) -> None:
        """The last command once more, under its key: the first answer comes back, and nothing moves."""
        method, path, body, key = self._last
        answer = self._client.write(method, path, body, key=key).body
        self._note(
            "That top-up is sent again: the same answer, nothing moves", None, answer["receipt"]["number"]
        )

    def _charge(self, name: str, amount: int, description: str) -> None:
        body = {
            "amount": amount,
            "currency": self._currency,
            "description": description,
            "income": "other_income",
        }
        answer = self._write("POST", f"wallets/{self.student(name)}/charge", body)
        self._note(f"{name.title()} is charged: {description}", amount, answer["receipt"]["number"])

    def _sell(
        self, what: str, name: str | None, lines: Sequence[tuple[str, int, int]], tenders: Sequence[object]
    ) -> Any:
        body: dict[str, Any] = {
            "currency": self._currency,
            "lines": [
                {
                    "sku": sku,
                    "quantity": quantity,
                    "unit_amount": each,
                    "income": "shop" if sku == "BOOK" else "meals",
                    "tax_code": "A",
                }
                for sku, quantity, each in lines
            ],
            "tenders": tenders,
        }
        if name is not None:
            body["wallet"] = self.student(name)
        answer = self._write("POST", "pos/checkout", body)
        self._note(what, answer["sale"]["total"], answer["receipt"]["number"])
        return answer

    def _invoice(self, name: str, lines: Sequence[tuple[str, int, str]]) -> str:
        body = {
            "payer": self.student(name),
            "currency": self._currency,
            "due_date": (date.today() + timedelta(days=30)).isoformat(),  # noqa: DTZ011 - any day will do
            "lines": [
                {"description": text, "quantity": 1, "total": total, "income": income, "tax_code": "A"}
                for text, total, income in lines
            ],
            "issue": False,
        }
        draft: str = self._write("POST", "invoices", body)["id"]
        issued = self._write("POST", f"invoices/{draft}/issue", {})
        self._note(f"{name.title()} is invoiced", issued["total"], issued["number"])
        return draft

    def _settle(self, what: str, invoice: str, tenders: Sequence[object]) -> None:
        answer = self._write("PATCH", f"invoices/{invoice}", {"settle": {"tenders": tenders}})
        still = show_money(answer["invoice"]["open"], self._currency)
        self._note(f"{what}; open: {still}", None, answer["receipt"]["number"])

    def _reference(self) -> str:
        self._keys += 1
        return f"DEMO{self.run}{self._keys:02}"

    def _write(self, method: str, path: str, body: object) -> Any:
        self._keys += 1
        self._last = method, path, body, f"demo-{self.run}-{self._keys}"
        return self._client.write(method, path, body, key=self._last[-1]).body

    def _note(self, what: str, amount: int | None, number: str) -> None:
        self.steps.append(Step(what=what, amount=amount, number=number))
