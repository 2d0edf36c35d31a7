"""Whole schools at random: the invariants of the ledger hold after every command, on the in-memory store."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from application.pipeline.command import Envelope, Outcome
from application.pipeline.ports import LoggedEvent
from application.pipeline.writer import Writer
from domain import invoice, ledger_account, sale, wallet
from domain.aggregates import apply, decode, initial, kind_of
from domain.errors import Code, DomainError
from domain.event import State
from domain.invoice import PaymentApplied, PaymentReversed
from domain.ledger_account import AccountCredited, AccountDebited
from domain.series import NumberAllocated
from domain.wallet import (
    WalletCharged,
    WalletChargeReversed,
    WalletRefunded,
    WalletToppedUp,
    WalletTopUpReversed,
)
from tests.support.memory_store import MemoryStore
from tests.support.writer import SIGNER, answer, envelope

ACCOUNTS = ("STU-1", "STU-2", "STU-3")
AMOUNTS = st.integers(1, 5_000)
TENDER = st.fixed_dictionaries(
    {"type": st.sampled_from(["wallet", "cash", "bank", "card", "mpesa"])},
    optional={
        "amount": AMOUNTS,
        "account": st.sampled_from(ACCOUNTS),
        "reference": st.sampled_from(["R1", "R2", "r3", "R4", "R5", "R6", "R7"]),
    },
)
LINE = st.fixed_dictionaries({"quantity": st.integers(1, 7), "total": AMOUNTS})
INCOME = st.sampled_from(["tuition", "meals", "sales"])
EXPECTED = {
    Code.INSUFFICIENT_FUNDS, Code.WALLET_EXISTS, Code.WALLET_NOT_FOUND, Code.TENDERS_AMBIGUOUS,
    Code.TENDERS_EXCEED_TOTAL, Code.TENDERS_TOO_LOW, Code.TENDER_WITHOUT_WALLET, Code.NO_WALLET_FOR_EXCESS,
    Code.INVOICE_NOT_OPEN, Code.INVOICE_NOT_DRAFT, Code.REFUND_EXCEEDS_SALE, Code.REFERENCE_ALREADY_USED,
    Code.INVALID_REQUEST, Code.IDEMPOTENCY_KEY_REUSED, Code.REFERENCE_REQUIRED, Code.HOLD_NOT_ACTIVE,
    Code.CAPTURE_EXCEEDS_HOLD, Code.ALREADY_REVERSED, Code.NOT_REVERSIBLE, Code.USE_REFUND, Code.USE_CREDIT,
    Code.USE_VOID, Code.NOT_SAME_FAMILY, Code.WALLET_CLOSED, Code.WALLET_NOT_EMPTY,
}  # fmt: skip


def moves(events: Sequence[LoggedEvent]) -> dict[str, int]:
    """By how much a command moved each wallet and ledger account; what it did not move in the end is left out."""
    moved: dict[str, int] = defaultdict(int)
    for event in events:
        loaded: Any = decode(event.topic, event.state)
        match loaded:
            case AccountDebited() | WalletToppedUp() | WalletRefunded() | WalletChargeReversed():
                moved[event.stream] += loaded.amount
            case AccountCredited() | WalletCharged() | WalletTopUpReversed():
                moved[event.stream] -= loaded.amount
            case PaymentApplied():
                moved[event.stream] -= loaded.amount
            case PaymentReversed():
                moved[event.stream] += loaded.amount
            case _:
                pass
    return {stream: amount for stream, amount in moved.items() if amount}


class SchoolMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.store = MemoryStore(clock=lambda: self.clock)
        self.sales: list[str] = []
        self.invoices: list[str] = []
        self.holds: list[str] = []
        self.clock = datetime.now(UTC)
        self.transactions: list[str] = []
        self.keyed: dict[str, tuple[str, dict[str, Any], bytes, int]] = {}
        self.count = 0

        async def start() -> Writer:
            writer = Writer(self.store, receipts=SIGNER)
            writer.start()
            return writer

        self.writer = self.loop.run_until_complete(start())

    def teardown(self) -> None:
        self.loop.run_until_complete(self.writer.close())
        self.loop.close()

    @initialize()
    def register(self) -> None:
        self.give("tenant.register", country="KE", legal_name="Greenhill")
        self.give("wallet.open", account="STU-1", currency="KES")

    async def submit(self, command: Envelope) -> Outcome:
        return await self.writer.submit(command)

    def give(self, action: str, **fields: Any) -> Any:
        """Give a command; a refusal must be one that the rules foresee, and change nothing."""
        self.count += 1
        key = f"key-{self.count:08d}"
        before = len(self.store.log.events)
        try:
            outcome = self.loop.run_until_complete(self.submit(envelope(action, key=key, **fields)))
        except DomainError as error:
            assert error.code in EXPECTED, error
            assert len(self.store.log.events) == before
            return None
        assert outcome.position == len(self.store.log.events)
        if outcome.position > before:  # what is already as asked takes no key
            self.keyed[key] = (action, fields, outcome.response, outcome.position)
        found = answer(outcome)
        if "transaction_id" in found:
            self.transactions.append(found["transaction_id"])
        return found

    @rule(account=st.sampled_from(ACCOUNTS), payer=st.sampled_from([None, "STU-1"]))
    def open_wallet(self, account: str, payer: str | None) -> None:
        self.give("wallet.open", account=account, currency="KES", payer=payer)

    @rule(one=st.sampled_from(ACCOUNTS), other=st.sampled_from(ACCOUNTS), amount=AMOUNTS)
    def transfer(self, one: str, other: str, amount: int) -> None:
        self.give("wallet.transfer", **{"from": one, "to": other}, amount=amount, currency="KES")

    @rule()
    def close_wallet(self) -> None:
        self.give("wallet.close", account="STU-3")

    @rule(account=st.sampled_from(ACCOUNTS), amount=AMOUNTS, tender=TENDER)
    def top_up(self, account: str, amount: int, tender: dict[str, Any]) -> None:
        source = {"type": "cash" if tender["type"] == "wallet" else tender["type"]}
        if "reference" in tender:
            source["reference"] = tender["reference"]
        self.give("wallet.top_up", account=account, amount=amount, currency="KES", source=source)

    @rule(account=st.sampled_from(ACCOUNTS), amount=AMOUNTS, income=INCOME)
    def charge(self, account: str, amount: int, income: str) -> None:
        self.give(
            "wallet.charge", account=account, amount=amount, currency="KES", description="fine", income=income
        )

    @rule(account=st.sampled_from(ACCOUNTS), amount=AMOUNTS, hours=st.sampled_from([1, 24, 400]))
    def hold(self, account: str, amount: int, hours: int) -> None:
        end = (self.clock + timedelta(hours=hours)).isoformat()
        found = self.give("wallet.hold", account=account, amount=amount, currency="KES", expires_at=end)
        if found:
            self.holds.append(found["hold"]["id"])

    @rule(data=st.data(), amount=st.none() | AMOUNTS, release=st.booleans())
    def end_hold(self, data: st.DataObject, amount: int | None, release: bool) -> None:
        if self.holds:
            hold = data.draw(st.sampled_from(self.holds))
            if release:
                self.give("hold.release", hold=hold)
            else:
                self.give("hold.capture", hold=hold, amount=amount)

    def naming_holds(self, data: st.DataObject, tenders: list[Any]) -> list[Any]:
        """The tenders, those of wallets with a hold here and there."""
        holds = st.sampled_from([None, *self.holds])
        return [
            {"type": "wallet", "amount": tender.get("amount"), "hold": hold}
            if tender["type"] == "wallet" and (hold := data.draw(holds))
            else tender
            for tender in tenders
        ]

    @rule(hours=st.integers(1, 30))
    def time_passes(self, hours: int) -> None:
        self.clock += timedelta(hours=hours)

    @rule(
        wallet=st.sampled_from([None, *ACCOUNTS]),
        lines=st.lists(LINE, min_size=1, max_size=3),
        tenders=st.lists(TENDER, min_size=1, max_size=3),
        income=INCOME,
        data=st.data(),
    )
    def checkout(
        self, wallet: str | None, lines: list[Any], tenders: list[Any], income: str, data: st.DataObject
    ) -> None:
        tenders = self.naming_holds(data, tenders)
        lines = [{**line, "sku": "x", "income": income, "tax_code": "A"} for line in lines]
        found = self.give("pos.checkout", wallet=wallet, currency="KES", lines=lines, tenders=tenders)
        if found:
            self.sales.append(found["sale"]["id"])

    @rule(data=st.data(), amount=AMOUNTS)
    def refund_amount(self, data: st.DataObject, amount: int) -> None:
        if self.sales:
            self.give("pos.refund", sale=data.draw(st.sampled_from(self.sales)), amount=amount)

    @rule(data=st.data(), line=st.integers(1, 3), quantity=st.integers(1, 7))
    def refund_line(self, data: st.DataObject, line: int, quantity: int) -> None:
        if self.sales:
            chosen = data.draw(st.sampled_from(self.sales))
            self.give("pos.refund", sale=chosen, lines=[{"line": line, "quantity": quantity}])

    @rule(payer=st.sampled_from(ACCOUNTS), lines=st.lists(LINE, min_size=1, max_size=3), issue=st.booleans())
    def create_invoice(self, payer: str, lines: list[Any], issue: bool) -> None:
        lines = [{**line, "description": "Fees", "income": "tuition"} for line in lines]
        found = self.give(
            "invoice.create", payer=payer, currency="KES", due_date="2030-01-01", lines=lines, issue=issue
        )
        self.invoices.append(found["id"])

    @rule(data=st.data())
    def issue(self, data: st.DataObject) -> None:
        if self.invoices:
            self.give("invoice.issue", invoice=data.draw(st.sampled_from(self.invoices)))

    @rule(data=st.data(), tenders=st.lists(TENDER, min_size=1, max_size=3))
    def settle(self, data: st.DataObject, tenders: list[Any]) -> None:
        if self.invoices:
            self.give(
                "invoice.settle",
                invoice=data.draw(st.sampled_from(self.invoices)),
                settle={"tenders": self.naming_holds(data, tenders)},
            )

    @rule(data=st.data())
    def reverse(self, data: st.DataObject) -> None:
        """Invariant 10: what a reversal takes back is restored to the last account, wallet and invoice."""
        if not self.transactions:
            return
        chosen = data.draw(st.sampled_from(self.transactions[-8:]))
        found = self.give("transaction.reverse", transaction=chosen, reason="wrong")
        if found is None:
            return
        (original,) = [command for _, command in self.store.log.commands if command.id == chosen]
        (_, own) = self.store.log.commands[-1]
        assert moves(own.events) == {stream: -moved for stream, moved in moves(original.events).items()}

    @rule(data=st.data())
    def replay(self, data: st.DataObject) -> None:
        """Invariant 8: the same key never acts twice; with another body it is an error."""
        if not self.keyed:
            return
        key = data.draw(st.sampled_from(sorted(self.keyed)))
        action, fields, response, position = self.keyed[key]
        before = len(self.store.log.events)
        outcome = self.loop.run_until_complete(self.submit(envelope(action, key=key, **fields)))
        assert (outcome.response, outcome.position, outcome.replayed) == (response, position, True)
        other = envelope("wallet.charge", key=key, account="STU-1", amount=7, currency="KES", description=key)
        try:
            self.loop.run_until_complete(self.submit(other))
        except DomainError as error:
            assert error.code == Code.IDEMPOTENCY_KEY_REUSED
        else:
            raise AssertionError("another body under the same key was taken")
        assert len(self.store.log.events) == before

    @invariant()
    def invariants_hold(self) -> None:
        states = self.fold()
        accounts = [state for state in states.values() if isinstance(state, ledger_account.LedgerAccount)]
        by_role = {account.role: account for account in accounts}
        wallets = [state for state in states.values() if isinstance(state, wallet.Wallet)]
        invoices = [state for state in states.values() if isinstance(state, invoice.Invoice)]
        assert sum(a.net_minor for a in accounts) == 0
        if "wallet_liability" not in by_role:
            return
        assert sum(w.balance_minor for w in wallets) == by_role["wallet_liability"].balance_minor
        assert all(w.available_minor >= 0 for w in wallets)
        assert all(w.held_minor == sum(h.amount_minor for h in w.holds.values()) for w in wallets)
        assert sum(i.open_minor for i in invoices) == by_role["receivables"].balance_minor
        assert all(0 <= i.open_minor <= i.total_minor for i in invoices)
        for sold in states.values():
            if isinstance(sold, sale.Sale):
                assert all(sold.left_of(i) >= 0 for i in range(len(sold.lines)))
                assert all(
                    p <= line.quantity for p, line in zip(sold.returned_pieces, sold.lines, strict=True)
                )
                assert sum(sold.returned_amounts) == sum(sold.returned_tenders)
                assert all(r <= t.amount for r, t in zip(sold.returned_tenders, sold.tenders, strict=True))

    def fold(self) -> dict[str, State]:
        """Every aggregate from its events; each command balances, numbers have no gap, references no twin."""
        states: dict[str, State] = {}
        counts: dict[tuple[str, int], int] = defaultdict(int)
        for event in self.store.log.events:
            state = states.setdefault(event.stream, initial(event.stream))
            loaded = decode(event.topic, event.state)
            apply(state, loaded)
            assert state.version == event.version
            if isinstance(loaded, NumberAllocated):
                counts[loaded.series, loaded.year] += 1
                assert loaded.count == counts[loaded.series, loaded.year]
            if kind_of(event.stream) in ("receipt", "transaction"):
                assert event.version == 1
        for stream, state in self.writer._cache.states.items():
            assert state == states.get(stream, initial(stream))
        return states


SchoolMachine.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestSchoolMachine = SchoolMachine.TestCase
