"""Names, records and files of previews."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_gitops.core.preview_files import Facts, filled, shape, with_namespace
from ci_gitops.core.previews import (
    Asked,
    Preview,
    PreviewImage,
    environment_of,
    merged_images,
    namespace_of,
    previews_in,
    read_preview,
    record_path,
    safe_name,
    strangers,
    write_preview,
)
from ci_gitops.core.targets import NAME
from ci_gitops.core.trailers import Source
from ci_gitops.errors import EditError, SettingsError, UsageError

LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
FEATURE = hashlib.sha256(b"Feature/X").hexdigest()[:8]
NOW = datetime(2026, 11, 21, 20, 0, tzinfo=UTC)
names = st.text(min_size=1, max_size=90).filter(str.strip) | st.from_regex(r"[a-zA-Z0-9/_.-]{1,80}", fullmatch=True)
twisted = names.flatmap(lambda name: st.sampled_from((name.lower(), name.upper(), f"{name}-", name[:40], name * 2)))


@given(names)
def test_every_name_becomes_a_label(name: str) -> None:
    environment = environment_of(name)
    assert LABEL.fullmatch(environment)
    assert len(environment) <= 63
    assert NAME.fullmatch(environment)
    assert previews_in([record_path(environment), "README.md"]) == (environment,)
    assert safe_name(name) == safe_name(name)


@given(names, names | twisted)
def test_different_names_are_different_environments(one: str, other: str) -> None:
    if one != other and other.strip():
        assert environment_of(one) != environment_of(other)


@given(names)
def test_what_looks_like_one_of_ours_is_another(name: str) -> None:
    assert environment_of(safe_name(name)) == environment_of(name) if safe_name(name) == name else True
    if safe_name(name) != name:
        assert environment_of(safe_name(name)) != environment_of(name)


@given(names, names, st.sampled_from(("preview-{name}", "{name}", "shop-of-the-big-company-preview-{name}-eu-west-1")))
def test_namespaces_are_labels_and_differ_as_names_do(one: str, other: str, template: str) -> None:
    spaces = [namespace_of(template, environment_of(name)) for name in (one, other)]
    assert all(LABEL.fullmatch(each) and len(each) <= 63 for each in spaces)
    assert (spaces[0] == spaces[1]) == (one == other)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("12", "12"),
        ("feature-x", "feature-x"),
        ("Feature/X", f"feature-x-{FEATURE}"),
        ("x" * 55, "x" * 55),
    ],
)
def test_names_stay_readable(name: str, label: str) -> None:
    assert safe_name(name) == label


def test_no_name_is_refused() -> None:
    with pytest.raises(UsageError, match="--name is empty"):
        safe_name("  ")


moments = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001 - bounds
    lambda moment: moment.replace(microsecond=0)
)
words = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=20)
images = st.builds(PreviewImage, st.sampled_from(("web:1", "a=b:2@sha256:" + "0" * 64)), words | st.none(),
                   st.integers(1, 10**9) | st.none())  # fmt: skip
files = st.dictionaries(words, st.dictionaries(words, words, max_size=3), max_size=3)
previews = st.builds(
    Preview, name=names, files=files, created=moments, renewed=moments,
    source=words | st.none(), ttl=st.timedeltas(timedelta(0), timedelta(300)).map(
        lambda length: timedelta(seconds=length.total_seconds() // 1)) | st.none(),
    request=st.builds(Asked, words, st.integers(1, 99), words) | st.none(), by=words | st.none(),
    images=st.lists(images, max_size=3).map(tuple),
)  # fmt: skip


@given(previews)
def test_a_record_is_read_as_it_was_written(preview: Preview) -> None:
    assert read_preview(write_preview(preview), record_path(preview.environment)) == preview


@pytest.mark.parametrize("text", ["", "[]", "name: x", "{", "name: x\nfiles: 3\ncreatedAt: now\nrenewedAt: now\n"])
def test_a_record_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"previews/preview-x\.yaml is not understood"):
        read_preview(text, record_path("preview-x"))


def test_a_record_speaks_of_its_own_preview_alone() -> None:
    other = write_preview(Preview(name="y", files={}, created=NOW, renewed=NOW))
    with pytest.raises(SettingsError, match="it is that of 'y'"):
        read_preview(other, record_path("preview-x"))


@pytest.mark.parametrize(
    ("ttl", "after", "over", "renew"),
    [
        (None, timedelta(days=1), False, False),
        (None, timedelta(days=4), False, True),
        (None, timedelta(days=7), True, True),
        (timedelta(hours=2), timedelta(minutes=59), False, False),
        (timedelta(hours=2), timedelta(hours=2), True, True),
        (timedelta(0), timedelta(days=900), False, False),
    ],
)
def test_time_goes_by(ttl: timedelta | None, after: timedelta, over: bool, renew: bool) -> None:
    preview = Preview(name="x", files={}, created=NOW, renewed=NOW, ttl=ttl)
    end = preview.expires(timedelta(days=7))
    assert bool(end and end <= NOW + after) == over
    assert preview.to_renew(timedelta(days=7), NOW + after) == renew


def test_images_of_several_calls_and_of_older_builds() -> None:
    source = Source("shop/web", "c", 12)
    before, _ = merged_images((), ["web:2", "api:1"], source)
    assert [image.argument for image in before] == ["web:2", "api:1"]
    newer, notes = merged_images(before, ["web:3"], Source("shop/web", "d", 13))
    assert ([image.argument for image in newer], notes) == (["web:3", "api:1"], ())
    older, notes = merged_images(newer, ["web:2"], source)
    assert older == newer
    assert "older 12" in notes[0]
    assert merged_images(newer, ["web:1"], Source("shop/other", "d", 3))[0][0].argument == "web:1"
    assert merged_images(newer, ["web:3"], Source("shop/web", "e", 99))[0] == newer


FACTS = Facts("12", "preview-12", "preview-12", "shop", "https://12.example.com")


@pytest.mark.parametrize(
    ("text", "new"),
    [
        ("a: ${preview.name}\n", 'a: "12"\n'),
        ("a: ${preview.name} # why\r\n", 'a: "12" # why\r\n'),
        ("- ${preview.name}\n", '- "12"\n'),
        ("a: x-${preview.name}.${preview.app}\n", "a: x-12.shop\n"),
        ("a: '${preview.name}'\n", "a: '12'\n"),
        ("a: ${preview.namespace}", "a: preview-12"),
        ("a: ${name} {name} $preview.name {{preview.name}} ${ preview.name }", None),
        ('u: "${preview.url}/"', 'u: "https://12.example.com/"'),
        ("\ufeffa: ${preview.environment}\r\n", "\ufeffa: preview-12\r\n"),
    ],
)
def test_placeholders_are_filled_and_nothing_else_moves(text: str, new: str | None) -> None:
    assert filled(text.encode(), "a/values.yaml", FACTS).decode() == (text if new is None else new)


@given(st.binary(max_size=200).filter(lambda content: b"${preview." not in content))
def test_what_has_no_placeholder_stays_byte_for_byte(content: bytes) -> None:
    assert filled(content, "a.yaml", FACTS) == content


def test_other_files_are_filled_without_quotes() -> None:
    assert filled(b"NAME=\xff${preview.name}", "app.env", FACTS) == b"NAME=\xff12"


def test_an_unknown_placeholder_is_named() -> None:
    with pytest.raises(EditError, match=r"a\.yaml:2: there is no placeholder \$\{preview\.nmae\}") as raised:
        filled(b"a: 1\nb: ${preview.nmae}\n", "a.yaml", FACTS)
    assert raised.value.hint == "Did you mean 'name'?"
    with pytest.raises(EditError, match="nothing says what"):
        filled(b"b: ${preview.url}\n", "a.yaml", Facts("x", "preview-x", "preview-x", "shop", None))


@pytest.mark.parametrize(
    ("text", "new"),
    [
        ("resources: [a.yaml]\n", "resources: [a.yaml]\nnamespace: space\n"),
        ("namespace: old # why\nresources: [a.yaml]\n", "namespace: space # why\nresources: [a.yaml]\n"),
        ("namespace: space\n", "namespace: space\n"),
    ],
)
def test_a_kustomization_goes_to_the_namespace(text: str, new: str) -> None:
    assert with_namespace(text, "kustomization.yaml", "space") == new


@pytest.mark.parametrize(
    ("path", "one", "other", "same"),
    [
        ("kustomization.yaml", "resources: [a]\n", "resources: [a]\nimages:\n- name: web\n  newTag: '2'\n", True),
        ("kustomization.yaml", "images: [{name: web}]\nresources: [a]\n", "resources: [a]\n", True),
        ("kustomization.yaml", "resources: [a]\n", "resources: [b]\n", False),
        ("values.yaml", "image: {repository: web, tag: '1'}\n", "image: {repository: web, tag: '2'}\n", True),
        (
            "values.yaml",
            "image: {repository: web, tag: '1'}\nn: 1\n",
            "image: {repository: web, tag: '1'}\nn: 2\n",
            False,
        ),
        ("x.env", "a=1", "a=2", False),
    ],
)
def test_the_shape_of_a_file_is_all_but_its_versions(path: str, one: str, other: str, same: bool) -> None:
    assert (shape(one.encode(), path) == shape(other.encode(), path)) == same


def test_strangers_lie_in_the_folders_of_the_preview() -> None:
    own = {"apps/shop/overlays/preview-x/kustomization.yaml": "", "charts/web/values-preview-x.yaml": ""}
    paths = [*own, "apps/shop/overlays/preview-x/more/a.yaml", "apps/shop/overlays/preview-xy/a.yaml",
             "charts/web/values.yaml"]  # fmt: skip
    assert strangers(paths, own, "preview-x") == ("apps/shop/overlays/preview-x/more/a.yaml",)
