from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_gitops.core.git_urls import parse_git_url
from ci_gitops.errors import UsageError


@pytest.mark.parametrize(
    ("text", "clean", "parts"),
    [
        ("https://h.example/g/p.git", "https://h.example/g/p.git", ("https", "h.example", None, None)),
        ("https://H.Example:443/g/p", "https://h.example/g/p", ("https", "h.example", None, None)),
        ("http://h:8080/p", "http://h:8080/p", ("http", "h", 8080, None)),
        ("https://ann:s3cr%40t@h/p.git", "https://h/p.git", ("https", "h", None, "ann")),
        ("https://[::1]:8443/p.git", "https://[::1]:8443/p.git", ("https", "::1", 8443, None)),
        ("ssh://git@h:2222/g/p.git", "ssh://git@h:2222/g/p.git", ("ssh", "h", 2222, "git")),
        ("git+ssh://git@h/p", "ssh://git@h/p", ("ssh", "h", None, "git")),
        ("git@h.example:g/p.git", "git@h.example:g/p.git", ("ssh", "h.example", None, "git")),
        ("git@h:/srv/p.git", "ssh://git@h/srv/p.git", ("ssh", "h", None, "git")),
        ("h:p", "h:p", ("ssh", "h", None, None)),
        ("git@[::1]:p.git", "git@[::1]:p.git", ("ssh", "::1", None, "git")),
        ("../config", "../config", ("file", "", None, None)),
        ("/srv/a:b/config.git", "/srv/a:b/config.git", ("file", "", None, None)),
        ("file:///srv/a%20b.git", "/srv/a b.git", ("file", "", None, None)),
    ],
)
def test_addresses(text: str, clean: str, parts: tuple[object, ...]) -> None:
    url = parse_git_url(text)
    assert url.clean == clean
    assert (url.scheme, url.host, url.port, url.user) == parts
    assert parse_git_url(clean).clean == clean


def test_a_password_is_taken_out() -> None:
    url = parse_git_url("https://ann:s3cr%40t@h.example/p.git")
    assert url.password == "s3cr@t"
    assert "s3cr" not in f"{url!r} {url.clean} {url.authority}"


@pytest.mark.parametrize(
    "text",
    ["", "-x", "--upload-pack=x", "ext::sh -c id", "fd::3", "ftp://h/p", "git://h/p", "https://", "https:///p",
     "https://h x/p", "https://h/p?x=1", "https://h/p#x", "https://-h/p", "ssh://-oProxyCommand=x/p", "ssh://h",
     "-oProxyCommand=x:p", "git@-h:p", "git@h:-p", "https://h:99999/p", "https://h/a b", "a\nb", "file://other/p",
     "https://ann:secret@h:port/p"],
)  # fmt: skip
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_git_url(text)
    assert "secret" not in caught.value.message


@given(text=st.text(max_size=40))
def test_an_address_never_reads_as_an_option_or_helper(text: str) -> None:
    try:
        clean = parse_git_url(text).clean
    except UsageError:
        return
    assert not clean.startswith("-")
    assert not re.match(r"[A-Za-z0-9+.-]*::", clean)
