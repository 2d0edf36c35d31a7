"""Tax codes: other rates from a day on."""

from datetime import date
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from application.commands.fields import TAX_CODE_PATTERN, TaxRole, Text
from application.pipeline.command import Command, CommandSpec
from application.pipeline.unit_of_work import UnitOfWork
from domain import tax, tenant
from domain.calendar import EARLIEST_EFFECTIVE_DATE, check_not_before
from domain.capability import Capability
from domain.ids import tenant_stream
from domain.tax import RATE_PATTERN, Component, DatedTaxCode


class ComponentInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tax of a code: who takes it, at which rate, and the account that it is owed to."""

    name: Annotated[Literal["VAT", "GST", "HST", "PST", "RST", "QST"], Meta(description="The tax.")]
    authority_code: Annotated[Text, Meta(description="How the authority that takes it names it.")]
    rate: Annotated[str, Meta(pattern=RATE_PATTERN, description="Per cent as exact decimal text.")]
    role: TaxRole


class SetTaxCode(Command, frozen=True, kw_only=True):
    """Give a tax code other rates from a day on, or make a code of the school's own."""

    path: ClassVar = "tax_code"
    tax_code: Annotated[str, Meta(pattern=TAX_CODE_PATTERN, description="The tax code.")] = ""
    name: Annotated[Text, Meta(description="The code in words.")]
    components: Annotated[
        tuple[ComponentInput, ...], Meta(min_length=1, max_length=4, description="Its taxes, 1 to 4.")
    ]
    from_: Annotated[date, Meta(description="The first day of these rates.")] = msgspec.field(name="from")


def handle_set(command: SetTaxCode, unit: UnitOfWork) -> DatedTaxCode:
    check_not_before(command.from_, EARLIEST_EFFECTIVE_DATE)
    school = unit.tenant()
    event = tenant.set_tax_code(
        school,
        code=command.tax_code,
        name=command.name,
        components=[
            Component(
                name=one.name,
                authority_code=one.authority_code,
                rate=one.rate,
                role=one.role,
                from_=command.from_,
            )
            for one in command.components
        ],
        from_=command.from_,
        recorded_at=unit.recorded_at,
    )
    if event:
        unit.emit(tenant_stream(unit.tenant_name), event)
    school = unit.tenant()
    return tax.find(tax.codes_of(school.country, school.tax_codes), command.tax_code)


SPECS = (
    CommandSpec(
        action="tax_code.set",
        command_type=SetTaxCode,
        handler=handle_set,
        answer_type=DatedTaxCode,
        capability=Capability.ACCOUNT_MANAGE,
        status=200,
    ),
)
