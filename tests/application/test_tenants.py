"""What the commands of a tenant's administration decide, through the writer."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from application.commands import COMMANDS
from application.pipeline.command import Envelope
from domain.capability import Capability
from domain.errors import Code, DomainError
from tests.support.given import on_a_loop
from tests.support.memory_store import MemoryStore
from tests.support.writer import School, envelope, running_writer, top_up


def late_evening() -> datetime:
    """New year's eve in Vancouver and Toronto, and the first of January in UTC; in Toronto too."""
    return datetime(2027, 1, 1, 6, 30, tzinfo=UTC)


@on_a_loop
async def test_the_time_zone_and_the_branch_are_the_tenant_s() -> None:
    async with running_writer(MemoryStore(clock=late_evening)) as writer:
        numbers = {}
        for name, options in {
            "toronto": {},
            "vancouver": {"time_zone": "America/Vancouver", "branch": "w1"},
        }.items():
            school = School(writer, name)
            await school.do("tenant.register", country="CA", legal_name=name, **options)
            await school.do("wallet.open", account="STU-1", currency="CAD")
            answered = await school.do(
                "wallet.top_up", account="STU-1", amount=100, currency="CAD", source={"type": "cash"}
            )
            numbers[name] = answered["receipt"]["number"]
        assert numbers == {"toronto": "RCT-2027-000001", "vancouver": "RCT-W1-2026-000001"}


@pytest.mark.parametrize(
    "time_zone", ["America/Vancuver", "Africa", "../../etc/passwd", "/etc/localtime", "Nowhere"]
)
@on_a_loop
async def test_a_time_zone_must_exist(time_zone: str) -> None:
    store = MemoryStore()
    async with running_writer(store) as writer:
        with pytest.raises(DomainError) as refusal:
            await School(writer).do("tenant.register", country="CA", legal_name="X", time_zone=time_zone)
        assert refusal.value.code == Code.UNKNOWN_TIME_ZONE
        assert store.log.events == []


@on_a_loop
async def test_what_a_key_may_not_do_is_refused_where_it_acts() -> None:
    async with running_writer(MemoryStore()) as writer:
        school = School(writer)
        await school.do("tenant.register", country="KE", legal_name="X")
        await school.do("key.create", client="OFFICE", prefix="bk_1", key_hash="0" * 64, role="cashier")
        line = {"description": "Term 1", "quantity": 1, "total": 100, "income": "tuition"}
        draft = {"payer": "STU-1", "currency": "KES", "due_date": "2026-12-01", "lines": [line]}
        with pytest.raises(DomainError) as refusal:
            await school.give(envelope("invoice.create", credential="bk_1", **draft))
        assert refusal.value.code == Code.CAPABILITY_MISSING
        assert refusal.value.extra == {"capability": "invoice.create"}
        # As if the cashier might draft: to issue at once is a right of its own.
        spec = msgspec.structs.replace(COMMANDS["invoice.create"], capability=Capability.INVOICE_READ)
        await school.give(envelope("invoice.create", spec=spec, credential="bk_1", **draft))
        with pytest.raises(DomainError) as refusal:
            await school.give(envelope("invoice.create", spec=spec, credential="bk_1", **draft, issue=True))
        assert refusal.value.extra == {"capability": "invoice.issue"}
        with pytest.raises(DomainError) as refusal:
            await school.give(top_up(credential="bk_2"))
        assert refusal.value.code == Code.UNAUTHENTICATED


@on_a_loop
async def test_the_policies_hold_for_the_commands() -> None:
    async with running_writer(MemoryStore()) as writer:
        school = School(writer)
        await school.do("tenant.register", country="KE", legal_name="X", time_zone="UTC")
        await school.do("wallet.open", account="STU-1", currency="KES")
        await school.do("key.create", client="OFFICE", prefix="bk_1", key_hash="0" * 64, role="bursar")
        today = datetime.now(UTC).date()

        def dated(days: int) -> Envelope:
            return top_up(credential="bk_1", effective_date=(today - timedelta(days=days)).isoformat())

        def by_card(**source: str) -> Envelope:
            fields = {"account": "STU-1", "amount": 1, "currency": "KES"}
            return envelope("wallet.top_up", **fields, source={"type": "card", **source})

        async def refusal(command: Envelope) -> DomainError:
            with pytest.raises(DomainError) as caught:
                await school.give(command)
            return caught.value

        await school.give(dated(31))
        assert (await refusal(dated(32))).extra["capability"] == Capability.TRANSACTION_BACKDATE_ANY
        await school.give(by_card())
        await school.do("tenant.policies", backdate_days=7, card_reference=True)
        await school.give(dated(7))
        assert (await refusal(dated(8))).extra["capability"] == Capability.TRANSACTION_BACKDATE_ANY
        assert (await refusal(by_card())).code == Code.REFERENCE_REQUIRED
        await school.give(by_card(reference="T-100"))
        sale = {
            "lines": [{"sku": "A", "quantity": 1, "total": 1, "tax_code": "A"}],
            "tenders": [{"type": "card"}],
        }
        assert (
            await refusal(envelope("pos.checkout", currency="KES", **sale))
        ).code == Code.REFERENCE_REQUIRED
