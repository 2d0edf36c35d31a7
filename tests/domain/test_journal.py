import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.chart import ADJUSTMENT_ROLES, COUNTRIES, INCOME_ROLES, check_income, country
from domain.errors import Code, DomainError
from domain.journal import INCOME, RECIPES, ROLE, SALE, TAX, TENDER, TENDER_ROLES, Journal, Posting
from domain.line import Parts, TaxPart, in_proportion
from domain.tax import TAX_ROLES, TEMPLATES
from tests.support.given import untaxed

OF_ONE_AMOUNT = {name for name, legs in RECIPES.items() if {leg.part for leg in legs} == {"amount"}}
BOUND = {name for name in OF_ONE_AMOUNT if SALE not in {leg.role for leg in RECIPES[name]}}
POSTS = st.tuples(
    st.sampled_from(sorted(BOUND)),
    st.integers(1, 10**15),
    st.sampled_from(sorted(TENDER_ROLES)),
    st.sampled_from(sorted(INCOME_ROLES)),
)


def roles_of_recipes() -> set[str]:
    """Every role that a recipe may post to."""
    named = {role for recipe in RECIPES.values() for role in (leg.role for leg in recipe)}
    return (named - {TENDER, INCOME, ROLE, TAX, SALE}) | set(TENDER_ROLES.values()) | ADJUSTMENT_ROLES


@pytest.mark.parametrize("code", sorted(COUNTRIES))
def test_a_country_template_has_an_account_for_every_role(code: str) -> None:
    accounts = country(code).accounts
    held = {account.role for account in accounts}
    assert roles_of_recipes() <= held
    assert len(held) == len({account.code for account in accounts}) == len(accounts), (
        "each role and code once"
    )
    assert {account.type for account in accounts if account.role in INCOME_ROLES} == {"income"}


@pytest.mark.parametrize("code", sorted(COUNTRIES))
def test_a_country_template_has_an_account_for_every_tax(code: str) -> None:
    owed = {part.role for tax_code in TEMPLATES[code] for part in tax_code.components}
    assert owed <= set(TAX_ROLES.values())
    assert owed == {one.role for one in country(code).accounts} & set(TAX_ROLES.values())


def test_a_country_without_template_is_refused() -> None:
    with pytest.raises(DomainError) as refusal:
        country("ZZ")
    assert refusal.value.code == Code.UNKNOWN_COUNTRY
    assert refusal.value.detail == "There is no country template 'ZZ'."


@pytest.mark.parametrize("role", ["receivables", "wallet_liability", "sales_returns", "discounts", ""])
def test_nobody_names_another_account_as_income(role: str) -> None:
    with pytest.raises(DomainError) as refusal:
        check_income(role)
    assert refusal.value.code == Code.UNKNOWN_INCOME_ROLE
    assert refusal.value.detail == (
        f"{role!r} is no income role;"
        " use one of hostel, meals, other_income, sales, shop, transport, tuition."
    )


def test_every_income_role_may_be_named() -> None:
    for role in INCOME_ROLES:
        check_income(role)


@given(st.lists(POSTS, max_size=20))
def test_every_journal_balances_with_one_posting_for_each_account_and_side(
    posts: list[tuple[str, int, str, str]],
) -> None:
    journal = Journal()
    for operation, amount, tender, income in posts:
        journal.post(operation, amount, tender=tender, income=income, role=income)
    postings = journal.postings()
    debits = [posting for posting in postings if posting.side == "debit"]
    credit = [posting for posting in postings if posting.side == "credit"]
    assert postings == debits + credit
    assert (
        sum(one.amount for one in debits) == sum(one.amount for one in credit) == sum(one[1] for one in posts)
    )
    assert len({(one.role, one.side) for one in postings}) == len(postings)
    assert {one.role for one in postings} <= roles_of_recipes()


def test_a_sale_is_paid_by_its_tenders_and_earned_by_its_lines() -> None:
    journal = Journal()
    journal.post("sale paid", 60, tender="wallet")
    journal.post("sale paid", 40, tender="cash")
    journal.post_line("sale earned", Parts(**untaxed(70)), income="meals")
    journal.post_line("sale earned", Parts(**untaxed(20)), income="shop")
    journal.post_line("sale earned", Parts(**untaxed(10)), income="meals")
    assert journal.postings() == [
        Posting("wallet_liability", "debit", 60),
        Posting("till_cash", "debit", 40),
        Posting("meals", "credit", 80),
        Posting("shop", "credit", 20),
    ]


def test_a_sale_that_is_not_paid_for_is_a_programming_error() -> None:
    journal = Journal()
    journal.post_line("sale earned", Parts(**untaxed(70)), income="meals")
    with pytest.raises(AssertionError):
        journal.postings()


@pytest.mark.parametrize("amount", [0, -1])
def test_nothing_is_posted_of_nothing(amount: int) -> None:
    with pytest.raises(AssertionError):
        Journal().post("wallet topped up", amount, tender="cash")


def taxes(**amounts: int) -> tuple[TaxPart, ...]:
    return tuple(
        TaxPart(component=role, authority_code="", rate="16", role=role, amount=amount)
        for role, amount in amounts.items()
    )


def taxed(**amounts: int) -> Parts:
    return Parts(discount=100, net=900, tax=144, total=1044, taxes=taxes(**amounts))


def test_a_line_posts_its_parts_apart() -> None:
    journal = Journal()
    journal.post_line("invoice issued", taxed(vat_payable=144), income="shop")
    assert journal.postings() == [
        Posting("receivables", "debit", 1044),
        Posting("discounts", "debit", 100),
        Posting("shop", "credit", 1000),
        Posting("vat_payable", "credit", 144),
    ]


def test_a_sale_taken_back_whole_is_the_reverse_of_the_sale() -> None:
    journal = Journal()
    journal.post_line("sale taken back", taxed(gst_payable=44, pst_payable=100))
    journal.post("sale given back", 1044, tender="cash")
    assert journal.postings() == [
        Posting("sales_returns", "debit", 1000),
        Posting("gst_payable", "debit", 44),
        Posting("pst_payable", "debit", 100),
        Posting("discounts", "credit", 100),
        Posting("till_cash", "credit", 1044),
    ]


def test_a_discount_is_posted_without_the_tax_in_it() -> None:
    journal = Journal()
    line = Parts(
        discount=1160, net=9000, tax=1440, total=10440, discount_tax=160, taxes=taxes(vat_payable=1440)
    )
    journal.post_line("invoice issued", line, income="shop")
    assert journal.postings() == [
        Posting("receivables", "debit", 10440),
        Posting("discounts", "debit", 1000),
        Posting("shop", "credit", 10000),
        Posting("vat_payable", "credit", 1440),
    ]


def test_a_line_given_away_posts_its_price_and_its_discount() -> None:
    journal = Journal()
    journal.post_line("sale earned", Parts(discount=100, net=0, tax=0, total=0), income="shop")
    assert journal.postings() == [Posting("discounts", "debit", 100), Posting("shop", "credit", 100)]


@pytest.mark.parametrize("amounts", [{}, {"vat_payable": 143}, {"vat_payable": 144, "pst_payable": 1}])
def test_a_tax_that_falls_to_no_role_is_a_programming_error(amounts: dict[str, int]) -> None:
    with pytest.raises(AssertionError, match=r"^each component's role is named$"):
        Journal().post_line("invoice issued", taxed(**amounts), income="shop")


def test_a_line_that_comes_to_nothing_is_a_programming_error() -> None:
    with pytest.raises(AssertionError):
        Journal().post_line("invoice issued", Parts(**untaxed(0)), income="shop")


def test_a_line_is_posted_by_a_recipe_of_lines_and_an_amount_by_one_of_amounts() -> None:
    with pytest.raises(AssertionError, match="invoice settled"):
        Journal().post_line("invoice settled", Parts(**untaxed(70)))
    with pytest.raises(AssertionError, match="invoice issued"):
        Journal().post("invoice issued", 70, income="shop")


@pytest.mark.parametrize("operation", sorted(set(RECIPES) - OF_ONE_AMOUNT))
@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_every_recipe_of_a_line_balances(operation: str, discount: int, net: int, tax: int) -> None:
    parts = Parts(discount=discount, net=net + 1, tax=tax, total=net + 1 + tax, taxes=taxes(vat_payable=tax))
    journal = Journal()
    journal.post_line(operation, parts, income="shop")
    other = "sale paid" if operation == "sale earned" else "sale given back"
    if SALE in {leg.role for leg in RECIPES[operation]}:
        journal.post(other, parts.total, tender="cash")
    postings = journal.postings()
    assert sum(one.amount * (1 if one.side == "debit" else -1) for one in postings) == 0
    assert all(one.amount > 0 for one in postings)


@given(
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.integers(1, 10**6),
    st.lists(st.integers(0, 10**3), max_size=4),
    st.data(),
)
def test_what_is_taken_in_steps_adds_up_to_the_line(
    discount_net: int, discount_tax: int, net: int, components: list[int], data: st.DataObject
) -> None:
    tax = sum(components)
    whole = Parts(
        discount=discount_net + discount_tax,
        net=net,
        tax=tax,
        total=net + tax,
        discount_tax=discount_tax,
        taxes=taxes(**{f"role_{place}": amount for place, amount in enumerate(components)}),
    )
    before, taken = 0, []
    while before < whole.total:
        step = data.draw(st.integers(1, whole.total - before)) if len(taken) < 8 else whole.total - before
        taken.append(in_proportion(whole, before_minor=before, amount_minor=step))
        before += step
    assert all(part.net + part.tax == part.total and part.net >= 0 for part in taken)
    assert all(part.discount_net >= 0 and part.discount_tax >= 0 for part in taken)
    assert all(tax.amount >= 0 for part in taken for tax in part.taxes)
    assert all(sum(tax.amount for tax in part.taxes) == part.tax for part in taken)
    for name in ("discount", "net", "tax", "total", "discount_tax"):
        assert sum(getattr(part, name) for part in taken) == getattr(whole, name)
    for place, amount in enumerate(components):
        assert sum(part.taxes[place].amount for part in taken) == amount
