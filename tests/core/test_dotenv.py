from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_gitops.core.dotenv import LARGEST, dotenv
from ci_gitops.errors import UsageError


def test_one_variable_a_line_in_the_order_given() -> None:
    assert dotenv({"B": "registry.example.com/web:1.2", "A": "sha256:00"}) == (
        "B=registry.example.com/web:1.2\nA=sha256:00\n"
    )


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"WITH-DASH": "x"}, "WITH-DASH"),
        ({"": "x"}, "cannot name a variable"),
        ({"1ST": "x"}, "1ST"),
        ({"NAME": "two words"}, "NAME"),
        ({"NAME": "two\nlines"}, "NAME"),
        ({"NAME": 'a"quote'}, "NAME"),
        ({"NAME": "$OTHER"}, "NAME"),
        ({"NAME": "x" * LARGEST}, "bytes"),
        ({f"NAME_{number}": "x" for number in range(11)}, "10 variables"),
    ],
)
def test_what_gitlab_would_not_take_is_refused(variables: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        dotenv(variables)


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=20), max_size=12))
def test_whatever_is_written_is_what_a_dotenv_reader_reads(variables: dict[str, str]) -> None:
    try:
        text = dotenv(variables)
    except UsageError:
        return
    lines = text.splitlines() if variables else []
    assert all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*=\S*", line) for line in lines)
    assert dict(line.split("=", 1) for line in lines) == variables
