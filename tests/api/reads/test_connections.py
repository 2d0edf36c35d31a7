"""No read holds two connections, and many of them at once are all answered."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack

import httpx
import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool

from adapters.postgres.store import PostgresStore
from api.app import Application
from api.errors import ApiError
from api.operations import READS
from api.services import MAX_CONNECTIONS, MAX_WAITING_READS, Services
from application.pipeline.writer import Writer
from domain.errors import Code
from domain.receipt import ReceiptSigner
from projections.engine.registry import PROJECTIONS
from projections.views import wallets
from tests.support.given import on_a_loop
from tests.support.service import refused


def services_with_one_connection(service, options: str = "") -> Services:
    """What answers reads, in this process; nobody tells it of news, so it begins at the head."""
    receipts = ReceiptSigner(key_id="k1", key=bytes.fromhex(service.env["BURSAR_RECEIPT_KEY"]), page_url="")
    made = Services(
        writer=Writer(PostgresStore(""), receipts=receipts), reader_url="", receipts=receipts, version="1"
    )
    made.pool = AsyncConnectionPool(
        service.urls["bursar_reader"],
        min_size=1,
        max_size=1,
        timeout=1,
        open=False,
        kwargs={"autocommit": True, "options": options},
    )
    made.projected.position = service.head()
    return made


def client_of(services: Services, admin) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(Application(services)),
        base_url="http://bursar",
        headers={"Authorization": admin.http.headers["authorization"]},
    )


def test_every_read_takes_one_connection_at_a_time(service, admin):
    account = admin.wallet(100)
    examples = {
        "account": account,
        "hold": admin.post(f"wallets/{account}/holds", {"amount": 1, "currency": "KES"}).json()["hold"]["id"],
        "invoice": admin.invoice()["id"],
        "sale": (sale := admin.checkout([100], {"type": "cash"}).json()["sale"]["id"]),
        "transaction": sale,
        "code": next(iter(admin.accounts().values()))["code"],
        "batch": admin.post("quickbooks/export", {}).json()["batch_id"],
        "token": admin.top_up(account, 5).json()["receipt"]["qr"].rpartition("/")[2],
    }

    @on_a_loop
    async def ask_for_everything() -> None:
        services = services_with_one_connection(service)
        async with (
            services.pool,
            client_of(services, admin) as client,
        ):
            for form in READS.values():
                query = {name: examples.get(name, value) for name, value in form.query.items()}
                answer = await client.get(f"/v2/finance{form.path.format(**examples)}", params=query)
                assert answer.status_code == 200, (form.path, answer.text)

    ask_for_everything()


def test_a_read_that_waits_for_a_switch_sees_what_it_switched_to(service, admin):
    """The switch of a rebuild holds every read table, and the tables that it brings are new with its commit."""
    account = admin.wallet(100)
    assert admin.balance(account) == 100  # it is projected, before the projector has to wait too
    change = f"UPDATE wallet_balances SET balance = balance + %s WHERE account = '{account}'"

    @on_a_loop
    async def read_beside_a_switch() -> None:
        services = services_with_one_connection(service)

        async def balance() -> int:
            async with services.read("greenhill") as reading:
                return (await wallets.find(reading.connection, [account]))[account].balance

        async with services.pool:
            with psycopg.connect(service.superuser_url) as switching:
                for projection in PROJECTIONS:
                    for table in projection.tables:
                        switching.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
                waiting = asyncio.create_task(balance())
                waits = (
                    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                    " AND usename = 'bursar_reader' AND datname = current_database() AND starts_with(query, 'LOCK TABLE')"
                )
                while service.row(waits)[0] == 0:
                    await asyncio.sleep(0.01)
                switching.execute(change, (1,))
            assert await waiting == 101

    read_beside_a_switch()
    with psycopg.connect(service.superuser_url) as connection:
        connection.execute(change, (-1,))


def test_more_pings_at_once_than_connections(admin):
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda _: admin.get("ping"), range(320)))
    assert {answer.status_code for answer in answers} == {200}


def test_with_every_connection_busy_nobody_waits_for_ever(service):
    """Who finds as many waiting as may hears so at once, and those who wait hear it in time."""
    receipts = ReceiptSigner(key_id="k1", key=bytes(32), page_url="")
    services = Services(
        writer=Writer(PostgresStore(""), receipts=receipts),
        reader_url=service.urls["bursar_reader"],
        receipts=receipts,
        version="1",
    )

    @on_a_loop
    async def ask() -> None:
        async with services.pool:
            async with AsyncExitStack() as holding:
                for _ in range(MAX_CONNECTIONS):
                    await holding.enter_async_context(services.pool.connection())
                waiting = [asyncio.create_task(services.write_position()) for _ in range(MAX_WAITING_READS)]
                await asyncio.sleep(0.1)
                with pytest.raises(ApiError, match="no more reads"):
                    await services.write_position()
                assert not any(task.done() for task in waiting)
                refusals = await asyncio.gather(*waiting, return_exceptions=True)
                assert {getattr(refusal, "code", None) for refusal in refusals} == {Code.UNAVAILABLE}
            assert await services.write_position() == service.head()

    ask()


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ("-c statement_timeout=200ms", "read_timeout", "Ask for less of it"),
        ("-c lock_timeout=200ms", "unavailable", "locked"),
    ],
)
@pytest.mark.parametrize(
    ("path", "table"),
    [("statements?account={}", "wallet_days"), ("wallets/{}", "wallet_balances"), ("ping", "tenants")],
)
def test_who_asks_too_much_or_meets_a_lock_is_not_told_that_the_database_is_away(
    service, admin, options, code, words, path, table
):
    """The table is held, so that the statement takes as long as it may."""
    account = admin.wallet(100)
    assert admin.balance(account) == 100

    @on_a_loop
    async def ask() -> None:
        services = services_with_one_connection(service, options)
        services.authenticator.trusted = True
        async with services.pool, client_of(services, admin) as client:
            await client.get("/v2/finance/accounts")  # now the key is known
            with psycopg.connect(service.superuser_url) as holding:
                holding.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
                answer = await client.get(f"/v2/finance/{path.format(account)}")
        found = refused(answer, 503, code)
        assert words in found["detail"]
        assert "away" not in found["detail"]

    ask()
