import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.chart import COUNTRIES, INCOME_ROLES, check_income, country
from domain.errors import Code, DomainError
from domain.journal import INCOME, RECIPES, TENDER, TENDER_ROLES, Journal, Posting

BOUND = set(RECIPES) - {"sale paid", "sale earned"}
POSTS = st.tuples(
    st.sampled_from(sorted(BOUND)),
    st.integers(1, 10**15),
    st.sampled_from(sorted(TENDER_ROLES)),
    st.sampled_from(sorted(INCOME_ROLES)),
)


def roles_of_recipes() -> set[str]:
    """Every role that a recipe may post to."""
    named = {role for recipe in RECIPES.values() for role in (recipe.debit, recipe.credit)}
    return (named - {TENDER, INCOME, "{sale}"}) | set(TENDER_ROLES.values()) | INCOME_ROLES


@pytest.mark.parametrize("code", sorted(COUNTRIES))
def test_a_country_template_has_an_account_for_every_role(code: str) -> None:
    accounts = country(code).accounts
    held = {account.role for account in accounts}
    assert roles_of_recipes() <= held
    assert len(held) == len({account.code for account in accounts}) == len(accounts), (
        "each role and code once"
    )
    assert {account.type for account in accounts if account.role in INCOME_ROLES} == {"income"}


def test_a_country_without_template_is_refused() -> None:
    with pytest.raises(DomainError) as refusal:
        country("ZZ")
    assert refusal.value.code == Code.UNKNOWN_COUNTRY


@pytest.mark.parametrize("role", ["receivables", "wallet_liability", "sales_returns", "discounts", ""])
def test_nobody_names_another_account_as_income(role: str) -> None:
    with pytest.raises(DomainError) as refusal:
        check_income(role)
    assert refusal.value.code == Code.UNKNOWN_INCOME_ROLE


def test_every_income_role_may_be_named() -> None:
    for role in INCOME_ROLES:
        check_income(role)


@given(st.lists(POSTS, max_size=20))
def test_every_journal_balances_with_one_posting_for_each_account_and_side(
    posts: list[tuple[str, int, str, str]],
) -> None:
    journal = Journal()
    for operation, amount, tender, income in posts:
        journal.post(operation, amount, tender=tender, income=income)
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
    journal.post("sale earned", 70, income="meals")
    journal.post("sale earned", 20, income="shop")
    journal.post("sale earned", 10, income="meals")
    assert journal.postings() == [
        Posting("wallet_liability", "debit", 60),
        Posting("till_cash", "debit", 40),
        Posting("meals", "credit", 80),
        Posting("shop", "credit", 20),
    ]


def test_a_sale_that_is_not_paid_for_is_a_programming_error() -> None:
    journal = Journal()
    journal.post("sale earned", 70, income="meals")
    with pytest.raises(AssertionError):
        journal.postings()


@pytest.mark.parametrize("amount", [0, -1])
def test_nothing_is_posted_of_nothing(amount: int) -> None:
    with pytest.raises(AssertionError):
        Journal().post("wallet topped up", amount, tender="cash")
