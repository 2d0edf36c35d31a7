"""Many commands that commit together: one to the queue, to splitting, to replay and to recovery."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from adapters.kafka.records import decode_value, encode
from adapters.quickbooks.mapping.documents import documents
from application.feed.message import LoggedCommand, Message, build
from application.pipeline.atomic import together
from application.pipeline.command import Envelope, Outcome
from application.pipeline.pending import Pending
from application.pipeline.ports import OutcomeUnknownError
from application.pipeline.queue import CommandQueue
from domain.chart import country
from domain.errors import Code, DomainError
from domain.ids import whole_id
from tests.application.pipeline.test_writer import WatchedStore, balance, code, done, outcomes
from tests.support.given import on_a_loop
from tests.support.memory_store import MemoryLog, MemoryStore
from tests.support.writer import (
    School,
    answer,
    charge,
    envelope,
    new_id,
    running_school,
    running_writer,
    top_up,
)


def atomic(*commands: Envelope) -> Envelope:
    return together(commands, new_id())


def both(first: int = 100, second: int = 60, *, keys: tuple[str, str] = ("key-0001", "key-0002")) -> Envelope:
    """A top-up, and a charge of what it brought."""
    return atomic(top_up(amount=first, key=keys[0]), charge(amount=second, key=keys[1]))


def waiting(command: Envelope) -> Pending:
    """A command as it stands in the queue."""
    return Pending(command, asyncio.get_running_loop().create_future())


def answers(outcome: Outcome) -> list[Any]:
    found: list[Any] = answer(outcome)["answers"]
    return found


async def refusal(school: School, command: Envelope) -> DomainError:
    with pytest.raises(DomainError) as caught:
        await school.give(command)
    return caught.value


@on_a_loop
async def test_each_is_done_on_what_the_ones_before_it_left() -> None:
    store = WatchedStore()
    async with running_school(store) as school:
        outcome = await school.give(both())
        assert [one["wallet"]["balance"] for one in answers(outcome)] == [100, 40]
        assert outcome.position == len(store.log.events)
        (position, command) = store.log.commands[-1]
        assert (position, command.action) == (outcome.position, "bulk.atomic")
        assert command.idempotency_keys == ("key-0001", "key-0002")
        assert balance(store) == 40


@on_a_loop
async def test_each_has_the_id_of_its_documents() -> None:
    async with running_school(MemoryStore()) as school:
        line = {"description": "Trip", "quantity": 1, "total": 90, "income": "transport"}
        bills = [
            envelope(
                "invoice.create", key=key, payer="P-1", currency="KES", due_date="2030-12-31", lines=[line]
            )
            for key in ("key-0001", "key-0002")
        ]
        command = atomic(*bills)
        ids = [one["id"] for one in answers(await school.give(command))]
        assert ids == [f"{command.command_id[:-2]}{number}" for number in ("01", "02")]
        assert {whole_id(one) for one in ids} == {command.command_id}, "by which the whole is found"


@on_a_loop
async def test_one_that_is_refused_stops_all() -> None:
    store = WatchedStore()
    async with running_school(store) as school:
        before = len(store.log.events)
        error = await refusal(school, both(second=101))
        assert (error.code, error.extra["element"]) == (Code.INSUFFICIENT_FUNDS, 1)
        assert len(store.log.events) == before
        assert answers(await school.give(both(second=100)))[1]["wallet"]["balance"] == 0, "the keys are free"


@on_a_loop
async def test_each_needs_its_own_capability_and_reason() -> None:
    async with running_school(MemoryStore()) as school:
        key = {"client": "TILL", "prefix": "bk_1", "key_hash": "0" * 64, "role": "cashier"}
        await school.do("key.create", **key)
        error = await refusal(
            school,
            atomic(
                top_up(key="key-0001", credential="bk_1"),
                envelope("wallet.freeze", account="STU-1", key="key-0002", credential="bk_1", reason="Lost"),
            ),
        )
        assert (error.code, error.extra["element"]) == (Code.CAPABILITY_MISSING, 1)
        error = await refusal(
            school, atomic(top_up(key="key-0001"), envelope("wallet.freeze", account="STU-1", key="key-0002"))
        )
        assert (error.code, error.extra["element"]) == (Code.REASON_REQUIRED, 1)


@on_a_loop
async def test_the_same_again_is_a_replay_of_the_whole() -> None:
    store = WatchedStore()
    async with running_school(store) as school:
        first, again = await outcomes(school.writer, both(), both())
        assert [done(first).replayed, done(again).replayed] == [False, True]
        later = await school.give(both())
        assert (later.response, later.position, later.replayed) == (
            done(first).response,
            done(first).position,
            True,
        )
        assert balance(store) == 40


@pytest.mark.parametrize(
    "other",
    [
        top_up(key="key-0001"),
        charge(amount=60, key="key-0002"),
        both(keys=("key-0001", "key-0003")),
        both(keys=("key-0003", "key-0002")),
        both(keys=("key-0002", "key-0001")),
        both(second=61),
        atomic(top_up(key="key-0001"), charge(amount=60, key="key-0002"), charge(amount=1, key="key-0003")),
    ],
)
def test_no_other_command_may_have_one_of_its_keys(other: Envelope) -> None:
    @on_a_loop
    async def test(*, at_once: bool) -> None:
        store = WatchedStore()
        async with running_school(store) as school:
            if at_once:
                first, second = await outcomes(school.writer, both(), other)
                assert done(first)
                assert code(second) == Code.IDEMPOTENCY_KEY_REUSED
            else:
                await school.give(both())
                assert (await refusal(school, other)).code == Code.IDEMPOTENCY_KEY_REUSED
            assert balance(store) == 40

    test(at_once=True)
    test(at_once=False)


@on_a_loop
async def test_it_may_not_have_the_key_of_another() -> None:
    store = WatchedStore()
    async with running_school(store) as school:
        await school.give(top_up(key="key-0002"))
        assert (await refusal(school, both())).code == Code.IDEMPOTENCY_KEY_REUSED
        assert balance(store) == 100


@on_a_loop
async def test_what_the_database_refuses_is_not_cut_in_two() -> None:
    store = WatchedStore()
    async with running_school(store) as school:
        poisoned = both()
        store.poison = {poisoned.command_id}
        others = [top_up(key=f"key-1{number:03}") for number in range(7)]
        *good, bad = await outcomes(school.writer, *others, poisoned)
        assert code(bad) == Code.INVALID_REQUEST
        assert all(done(one) for one in good)
        assert balance(store) == 700


@pytest.mark.parametrize("written", [True, False])
def test_a_commit_that_broke_is_there_whole_or_not_at_all(written: bool) -> None:
    @on_a_loop
    async def test() -> None:
        store = WatchedStore()
        async with running_school(store) as school:
            (store.broken_after if written else store.failures).append(OutcomeUnknownError())
            outcome = await school.give(both())
            assert not outcome.replayed
            assert [one["wallet"]["balance"] for one in answers(outcome)] == [100, 40]
            assert balance(store) == 40
            assert (await school.give(both())).response == outcome.response

    test()


@on_a_loop
async def test_it_counts_in_the_queue_as_all_that_it_is() -> None:
    queue = CommandQueue(4)
    first, second, third = waiting(both()), waiting(both(keys=("key-0003", "key-0004"))), waiting(top_up())
    assert queue.has_room("greenhill", size=2, bulk=True)
    assert not queue.has_room("greenhill", size=3, bulk=True)
    queue.add(first)
    assert len(queue) == 2
    assert not queue.has_room("greenhill", size=2, bulk=True)
    assert queue.has_room("greenhill"), "others of the tenant are not turned away"
    queue.add(second)
    assert not queue.has_room("greenhill")
    queue.add(third)
    assert queue.take(3) == [first], "a second would be more than asked for"
    assert queue.take(3) == [second, third]
    assert (len(queue), queue.has_room("greenhill")) == (0, True)
    queue.add(first)
    assert queue.take(1) == [first], "what is larger than a batch is one of its own"


@on_a_loop
async def test_a_tenant_of_atomic_bulks_has_no_more_than_its_turns() -> None:
    queue = CommandQueue()
    for number in range(20):
        keys = [f"key-{number:04}-{part}" for part in range(10)]
        queue.add(waiting(atomic(*(top_up(key=key, tenant="large") for key in keys))))
    for _ in range(200):
        queue.add(waiting(top_up(tenant="small")))
    taken: Counter[str] = Counter()
    while taken["small"] < 150:
        batch = queue.take(25)
        assert sum(one.size for one in batch) <= 25
        for one in batch:
            taken[one.envelope.tenant] += one.size
        assert abs(taken["large"] - taken["small"]) <= 20, taken


@on_a_loop
async def test_no_batch_is_so_large_that_it_is_not_taken() -> None:
    """An atomic bulk waits for a batch in which it has room, and no longer."""

    queue = CommandQueue()
    large = waiting(atomic(*(top_up(key=f"key-{part:04}", tenant="large") for part in range(10))))
    for _ in range(3):
        queue.add(waiting(top_up(tenant="small")))
    queue.add(large)
    for _ in range(30):
        queue.add(waiting(top_up(tenant="small")))
    batches = [queue.take(4) for _ in range(3)]
    assert [len(batch) for batch in batches[:1]] == [1]
    assert batches[1] == [large]


@on_a_loop
async def test_what_was_not_foreseen_is_loaded_for_all_at_once() -> None:
    """However many commands, and whatever each finds out only on the way."""
    log = MemoryLog()
    async with running_school(MemoryStore(log)) as school:
        bill = {"description": "Trip", "quantity": 1, "total": 90, "income": "transport"}
        invoices = []
        for number in range(40):
            await school.do("wallet.open", account=f"P-{number}", currency="KES")
            fields = {"payer": f"P-{number}", "currency": "KES", "due_date": "2030-12-31", "lines": [bill]}
            invoices.append(await school.do("invoice.create", **fields, issue=True))
            await school.give(top_up(f"P-{number}", 90))
        settles = [
            envelope(
                "invoice.settle",
                key=f"key-{number:04}",
                invoice=one["id"],
                settle={
                    "tenders": [
                        {"type": "mpesa", "amount": 40, "reference": f"QWE{number:06}"},
                        {"type": "wallet"},
                    ]
                },
            )
            for number, one in enumerate(invoices)
        ]
    for commands in (settles, [atomic(*settles)]):
        other = MemoryLog()
        other.events, other.recorded_at = [*log.events], log.recorded_at
        store = CountedStore(other)
        async with running_writer(store) as writer:
            assert all(done(one) for one in await outcomes(writer, *commands))
        assert store.loads <= 10, "the school, its accounts and series, and all the rest at once"


class CountedStore(MemoryStore):
    loads = 0

    async def load(self, *args: Any, **options: Any) -> Any:
        self.loads += 1
        return await super().load(*args, **options)


@on_a_loop
async def test_the_element_that_makes_it_too_large_is_named() -> None:
    store = WatchedStore()
    async with running_school(store) as school:
        tenders = [{"type": "mpesa", "amount": 5} for _ in range(20)]
        line = {"sku": "A", "quantity": 1, "total": 100, "tax_code": "A"}
        sales = [
            envelope(
                "pos.checkout",
                key=f"key-{number:04}",
                currency="KES",
                lines=[line],
                tenders=[{**tender, "reference": f"R{number}-{leg}"} for leg, tender in enumerate(tenders)],
            )
            for number in range(100)
        ]
        before = len(store.log.events)
        error = await refusal(school, atomic(*sales))
        assert error.code == Code.COMMAND_TOO_LARGE
        element = error.extra["element"]
        assert f"the first {element} elements fit" in error.detail
        assert len(store.log.events) == before
        assert await school.give(atomic(*sales[: int(element)]))


@on_a_loop
async def test_the_key_that_was_used_before_is_named() -> None:
    async with running_school(MemoryStore()) as school:
        await school.give(top_up(key="key-0002"))
        error = await refusal(school, both())
        assert (error.code, error.extra["element"]) == (Code.IDEMPOTENCY_KEY_REUSED, 1)


@on_a_loop
async def test_its_one_message_has_a_transaction_and_a_document_of_each() -> None:
    store = WatchedStore()
    async with running_school(store) as school:
        commands = [top_up(amount=amount, key=f"key-{amount:04}") for amount in (100, 250)]
        outcome = await school.give(atomic(*commands))
    position, written = store.log.commands[-1]
    row = dict.fromkeys(("actor", "reason", "correlation_id", "trace_id"), "")
    logged = LoggedCommand(
        tenant=written.tenant,
        tenant_sequence=3,
        first_position=position - len(written.events) + 1,
        position=position,
        command=written.action,
        command_id=written.id,
        recorded_at=store.log.recorded_at,
        events=[(one.stream, one.version, one.topic, one.state) for one in written.events],
        **row,
    )
    message = decode_value(encode(build(logged, store="s", epoch=1)).value)
    assert isinstance(message, Message)
    assert message.transaction
    transactions = (message.transaction, *message.more_transactions)
    assert [one.id for one in transactions] == [one["transaction_id"] for one in answers(outcome)]
    for one, amount in zip(transactions, (100, 250), strict=True):
        assert {(posting.side, posting.amount) for posting in one.postings} == {
            ("debit", amount),
            ("credit", amount),
        }
    chart = {account.role: account.code for account in country("KE").accounts}
    exported = [document for public in message.events for document in documents(public.event(), chart)]
    assert [one.source_id for one in exported] == [f"{one.id}/0" for one in transactions]
