"""`make mutants` says what is wrong with a run."""

from collections import Counter

from tests.mutants.report import Mutant, change_of, complaints, named

ONE, OTHER = Mutant("domain.a.f", "x → y"), Mutant("domain.b.g", "x → y")
TESTED = Counter({"domain.a.f": 100, "domain.b.g": 100})


def test_a_run_is_good_whose_survivors_are_those_that_are_named() -> None:
    assert complaints(TESTED, Counter([ONE, OTHER]), Counter([OTHER, ONE]), whole=True) == []


def test_a_new_survivor_is_told_and_one_that_was_named_and_is_none() -> None:
    told = [
        "survived, and is not named: domain.a.f: x → y",
        "named, but killed or gone: domain.b.g: x → y",
    ]
    assert complaints(TESTED, Counter([ONE]), Counter([OTHER]), whole=True) == told
    assert complaints(TESTED, Counter([ONE, ONE]), Counter([ONE]), whole=True) == told[:1]


def test_of_a_function_that_is_gone_no_survivor_is_named() -> None:
    tested = Counter({"domain.a.f": 100})
    assert len(complaints(tested, Counter(), Counter([OTHER]), whole=True)) == 1
    assert complaints(tested, Counter(), Counter([OTHER]), whole=False) == []


def test_reasons_do_not_make_up_for_too_few_killed() -> None:
    few = Counter({ONE: 11})
    assert complaints(TESTED, few, few, whole=True) == ["fewer than 95% were killed"]
    assert complaints(TESTED, Counter({ONE: 10}), Counter({ONE: 10}), whole=True) == []


def test_a_change_is_named_by_its_lines() -> None:
    diff = "--- a.py\n+++ a.py\n@@ -1,3 +1,2 @@\n same\n-    x(\n-        1)\n+    x()\n"
    assert change_of(diff) == "x( 1) → x()"
    assert change_of("--- a.py\n+++ a.py\n@@ -1 +0,0 @@\n-    leg=leg,\n") == "leg=leg, →"


def test_every_reason_is_written() -> None:
    assert all(one.function.startswith("domain.") for one in named())
