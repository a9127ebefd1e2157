"""What `init` chooses for environments of which it knows no more than their names."""

from __future__ import annotations

import pytest

from ci_gitops.core.first_rules import choices, doubts
from ci_gitops.core.layout import in_order

#: Environments in order, as `name`, `name<source` where it is reviewed, `?` for names that say nothing; and the doubts.
CASES = {
    "staging production<staging": 0,
    "dev staging<dev prod<staging production<staging": 1,
    "production<": 0,
    "test live<test": 0,
    "preprod prod<preprod": 0,
    "dev-eu dev-us prod-eu<dev-eu prod-us<dev-us": 0,
    "test1 test2 prod<test2": 0,
    "int qa<int": 1,
    "dev eu?<dev us?<dev prod<us": 1,
    "default?< fast?<": 1,
    "eu?< staging": 1,
    "staging canary<staging production<canary": 0,
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_chosen(case: str) -> None:
    names = [word.partition("<")[0].rstrip("?") for word in case.split()]
    assert in_order(names) == names
    chosen = choices(names[::-1])
    written = [
        choice.environment
        + ("" if choice.said else "?")
        + (f"<{choice.source or ''}" if choice.write == "merge-request" else "")
        for choice in chosen
    ]
    assert " ".join(written) == case
    assert len(list(doubts(chosen))) == CASES[case]
    assert all(choice.why for choice in chosen)


def test_a_branch_of_its_own_decides() -> None:
    assert [choice.write for choice in choices(["staging", "production"], ["staging", "production"])] == ["push"] * 2
