"""What every document with taxed lines does: price them by the school's tax codes, and have accounts for the taxes."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Protocol

from application.pipeline.unit_of_work import UnitOfWork
from domain import ledger_account, tax, tenant
from domain.chart import country
from domain.errors import Code, DomainError
from domain.ids import AccountCode, account_stream, tenant_stream
from domain.line import Parts
from domain.pricing import Article, Discount, PriceBasis, priced


class TaxedLine(Protocol):
    """A line as it is asked for: it names its tax code, and may have a discount of its own."""

    @property
    def tax_code(self) -> str: ...

    @property
    def discount(self) -> Discount | None: ...

    def price(self) -> int: ...


def price_lines(
    unit: UnitOfWork,
    lines: Sequence[TaxedLine],
    *,
    on: date,
    prices: PriceBasis | None,
    discount: Discount | None,
) -> list[Parts]:
    """Price a document's lines as of a date, in the country's usual basis unless `prices` names one.

    Refused: codes that the school does not have, that have no rate then, or that it may not charge yet.
    """
    school = unit.tenant()
    codes = tax.codes_of(school.country, school.tax_codes)
    articles: list[Article] = []
    roles: set[str] = set()
    for line in lines:
        components = tax.in_force(tax.find(codes, line.tax_code), on)
        if components:
            tenant.check_tax_registered(school, on)
            roles.update(component.role for component in components)
        articles.append(Article(price_minor=line.price(), components=components, discount=line.discount))
    parts = priced(articles, basis=prices or country(school.country).prices, discount=discount)
    _open_accounts(unit, sorted(roles))
    return parts


def _open_accounts(unit: UnitOfWork, roles: Iterable[str]) -> None:
    """Open the accounts of taxes that a school's chart does not have: it is older than its country's template."""
    for role in roles:
        school = unit.tenant()
        if role in school.roles:
            continue
        account = next(one for one in country(school.country).accounts if one.role == role)
        stream = account_stream(unit.tenant_name, AccountCode(account.code))
        state = unit.state(ledger_account.LedgerAccount, stream)
        if state.version:
            raise DomainError(
                Code.ROLE_WITHOUT_ACCOUNT, f"{role} has no account, and {account.code} is another's."
            )
        opened = ledger_account.open_account(
            state,
            account_code=AccountCode(account.code),
            name=account.name,
            type=account.type,
            role=role,
            currency=school.currency,
            recorded_at=unit.recorded_at,
        )
        unit.emit(stream, opened)
        mapped = tenant.map_role(
            school, role=role, account_code=AccountCode(account.code), recorded_at=unit.recorded_at
        )
        unit.emit(tenant_stream(unit.tenant_name), mapped)
