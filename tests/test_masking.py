"""What is known as a secret shows in no text, however others write it."""

from __future__ import annotations

import base64
import json
import re
import threading
import urllib.parse
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ci_gitops import masking

SECRET = 'it\'s/a+"very" se=cr&et\\ü'
WAYS: list[Callable[[str], str]] = [
    str,
    lambda text: urllib.parse.quote(text, safe=""),
    urllib.parse.quote,
    urllib.parse.quote_plus,
    json.dumps,
    lambda text: json.dumps(text, ensure_ascii=False),
    lambda text: yaml.safe_dump(text, default_style="'", allow_unicode=True),
    repr,
    lambda text: base64.b64encode(text.encode()).decode(),
    lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    lambda text: text.encode().hex(),
]


@pytest.mark.parametrize("write", WAYS)
def test_no_form_shows(write: Callable[[str], str]) -> None:
    masking.register(SECRET)
    masked = masking.mask(f"before {write(SECRET)} after")
    assert masking.MASK in masked
    assert write(SECRET).strip("'\"\n") not in masked
    assert masked.startswith("before ")
    assert masked.endswith(" after")


@given(user=st.text("abcdefgh", max_size=9))
def test_with_a_user_before_it_in_base64(user: str) -> None:
    masking.register(SECRET)
    header = base64.b64encode(f"{user}:{SECRET}".encode()).decode()
    masked = masking.mask(header)
    left = masked.replace(masking.MASK, "")
    assert len(left) <= len(header) - len(SECRET)
    assert masking.MASK in masked


def test_lines_of_a_key() -> None:
    line = "c3R1ZmYgdGhhdCBubyBib2R5IGtub3dz"
    masking.register(f"-----BEGIN KEY-----\n{line}\n{line[::-1]}\n-----END KEY-----\n")
    assert masking.mask(f"load failed at {line[::-1]}") == f"load failed at {masking.MASK}"


@pytest.mark.parametrize("text", ["", "abc", "   ", None])
def test_what_is_too_short_masks_nothing(text: str | None) -> None:
    masking.register(text)
    assert masking.mask("abc def") == "abc def"


def test_addresses_and_headers() -> None:
    assert masking.mask("http://eve:p4ss@host/x") == f"http://{masking.MASK}@host/x"
    assert masking.mask("Authorization: Bearer abcdef") == f"Authorization: {masking.MASK}"
    assert masking.mask("PRIVATE-TOKEN=glpat-x") == f"PRIVATE-TOKEN={masking.MASK}"


def test_what_one_thread_registers_no_other_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks run side by side: a secret that is registered while another thread gets ready to mask is known too."""
    others: list[threading.Thread] = []

    def compile_while_another_registers(pattern: str) -> re.Pattern[str]:
        others.append(threading.Thread(target=masking.register, args=("late-secret",)))
        others[-1].start()
        others[-1].join(0.2)  # it may have to wait for us
        return re.compile(pattern)

    masking.register("early-secret")
    with monkeypatch.context() as patched:
        patched.setattr(masking, "re", SimpleNamespace(compile=compile_while_another_registers, escape=re.escape))
        masking.mask("nothing secret")
    for other in others:
        other.join()
    assert others
    assert masking.mask("late-secret") == masking.MASK
