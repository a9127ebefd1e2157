from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ci_gitops.core.trailers import (
    FilesMove,
    ImageMove,
    Source,
    Trailers,
    ValueMove,
    format_trailers,
    merged_trailers,
    parse_trailers,
    split_trailers,
)

_words = st.text(min_size=1, max_size=30)
_names = _words.filter(lambda text: "/" not in text)
_images = st.builds(ImageMove, _names, _words, _words, st.none() | _words, _words)
_values = st.builds(ValueMove, _names, _words, _words, _words, st.none() | _words, _words)
_sources = st.builds(Source, _words, st.none() | _words, st.none() | st.integers(0, 10**12), st.none() | _words)
_files = st.builds(FilesMove, _names, _words, _words, st.lists(_words, max_size=2).map(tuple))
_trailers = st.builds(
    Trailers,
    st.lists(_images, max_size=3).map(tuple),
    st.lists(_values, max_size=3).map(tuple),
    st.none() | _sources,
    st.none() | _words,
    st.none() | _words,
    st.lists(_files, max_size=2).map(tuple),
)


@given(_trailers)
def test_what_is_written_is_read_back(trailers: Trailers) -> None:
    message = f"deploy: x\n\nbody\n\n{format_trailers(trailers)}\n"
    assert parse_trailers(message) == trailers
    assert parse_trailers(message.replace("\n", "\r\n")) == trailers


@given(st.text())
def test_any_message_can_be_read(message: str) -> None:
    parse_trailers(message)


def test_lines_that_do_not_fit_are_left_out() -> None:
    message = "x\n\nCi-Gitops-Image: production web:1 -> web:2\nCi-Gitops-Image: a/b c d e f\nCi-Gitops-Source: p\n"
    assert parse_trailers(message) == Trailers()


def test_a_hostile_name_makes_no_trailer_of_its_own() -> None:
    move = ImageMove("staging", "shop", "web", None, "web:1\nCi-Gitops-Actor: root")
    assert parse_trailers(format_trailers(Trailers((move,)))).actor is None


def test_the_sum_of_several_commits_goes_from_the_first_old_to_the_last_new() -> None:
    first = Trailers((ImageMove("staging", "shop", "web", "web:1", "web:2"),), source=Source("g/p", "a", 1))
    second = Trailers((ImageMove("staging", "shop", "web", "web:2", "web:3"),), source=Source("g/p", "b", 2))
    merged = merged_trailers([format_trailers(first), format_trailers(second)])
    assert merged == Trailers((ImageMove("staging", "shop", "web", "web:1", "web:3"),), (), Source("g/p", "b", 2))


def test_each_commit_of_a_squash_keeps_its_own_build() -> None:
    first = Trailers((ImageMove("production", "shop", "web", "web:1", "web:2"),), (), Source("group/web", "a" * 40, 5))
    second = Trailers((ImageMove("production", "shop", "api", "api:1", "api:2"),), (), Source("group/api", "b" * 40, 7))
    message = f"Squashed\n\n* first\n\n{format_trailers(first)}\r\n\r\n{format_trailers(second)}\n"
    assert split_trailers(message) == (first, second)
    assert split_trailers("Nothing\n\nSigned-off-by: A <a@example.com>") == ()


def test_a_number_of_a_pipeline_that_is_none_is_left_out() -> None:
    source = parse_trailers(
        "x\n\nCi-Gitops-Image: staging/shop web web:1 -> web:2\nCi-Gitops-Source: a - pipeline=" + "9" * 5_000
    ).source
    assert source == Source("a")
