"""Image references and the arguments of `set-image`."""

from __future__ import annotations

import pytest

from ci_gitops.core.images import KEEP, ImageArgument, ImageRef
from ci_gitops.errors import UsageError

D256 = "sha256:" + "0123456789abcdef" * 4
D512 = "sha512:" + "0123456789abcdef" * 8


@pytest.mark.parametrize(
    ("text", "name", "tag", "digest", "registry", "repository"),
    [
        ("nginx", "nginx", None, None, "docker.io", "library/nginx"),
        ("nginx:1.27", "nginx", "1.27", None, "docker.io", "library/nginx"),
        ("grafana/grafana:1", "grafana/grafana", "1", None, "docker.io", "grafana/grafana"),
        ("docker.io/nginx", "docker.io/nginx", None, None, "docker.io", "library/nginx"),
        ("docker.io/a/b", "docker.io/a/b", None, None, "docker.io", "a/b"),
        ("localhost/a", "localhost/a", None, None, "localhost", "a"),
        ("localhost:5000/a:v1", "localhost:5000/a", "v1", None, "localhost:5000", "a"),
        ("reg.example.com:5000/a/b_c/d--e:v1", "reg.example.com:5000/a/b_c/d--e", "v1", None,
         "reg.example.com:5000", "a/b_c/d--e"),
        ("127.0.0.1:5000/a", "127.0.0.1:5000/a", None, None, "127.0.0.1:5000", "a"),
        ("[::1]:5000/a:v1", "[::1]:5000/a", "v1", None, "[::1]:5000", "a"),
        (f"a@{D256}", "a", None, D256, "docker.io", "library/a"),
        (f"reg.example.com/a:v1@{D512}", "reg.example.com/a", "v1", D512, "reg.example.com", "a"),
        ("Registry/a", "Registry/a", None, None, "Registry", "a"),
    ],
)  # fmt: skip
def test_a_reference_is_read_and_written_as_it_was(
    text: str, name: str, tag: str | None, digest: str | None, registry: str, repository: str
) -> None:
    image = ImageRef.parse(text)
    assert (image.name, image.tag, image.digest) == (name, tag, digest)
    assert (image.registry, image.repository) == (registry, repository)
    assert str(image) == text
    assert image == ImageRef.parse(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "it has no name"),
        (":v1", "it has no name"),
        ("Nginx", "'Nginx' may hold lower-case"),
        ("a/B:v1", "'B' may hold lower-case"),
        ("a//b", "a part of its name is empty"),
        ("a/", "a part of its name is empty"),
        ("/a", "a part of its name is empty"),
        ("../../etc/passwd:v1", "'..' is not a registry's host"),
        ("a..b", "'a..b' may hold"),
        ("-a:v1", "'-a' may hold"),
        ("--output=x", "'--output=x' may hold"),
        ("a:", "the tag is empty"),
        ("a:-v", "'-v' is not a tag"),
        ("a:" + "x" * 129, "is not a tag"),
        ("a:v 1", "'v 1' is not a tag"),
        ("a:v1\n", "is not a tag"),
        ("a\n:v1", "may hold lower-case"),
        ("a@", "'' is not a digest"),
        ("a@sha256:123", "'sha256:123' is not a digest"),
        ("a@sha256:" + "A" * 64, "is not a digest"),
        ("a@md5:" + "0" * 32, "is not a digest"),
        ("reg_x.y:99/a:v1", "'reg_x.y:99' is not a registry's host"),
        ("reg.example.com:port/a", "is not a registry's host"),
        ("https://reg.example.com/a:v1", "is not a registry's host"),
        ("a" * 256, "longer than 255"),
        ("ä:v1", "'ä' may hold"),
    ],
)
def test_what_is_no_reference_says_why(text: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        ImageRef.parse(text)
    assert says in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "argument"),
    [
        ("app:v1", ImageArgument("app", None, "v1")),
        (f"app@{D256}", ImageArgument("app", None, None, D256)),
        (f"app:v1@{D256}", ImageArgument("app", None, "v1", D256)),
        ("app=reg:5000/new:v1", ImageArgument("app", "reg:5000/new", "v1")),
        ("app=new", ImageArgument("app", "new")),
        ("app=*:v1@*", ImageArgument("app", KEEP, "v1", KEEP)),
        ("reg:5000/app:v1", ImageArgument("reg:5000/app", None, "v1")),
        ("reg:5000/app=*", ImageArgument("reg:5000/app", KEEP)),
        ("PROJECT_ID/app=reg/app:v1", ImageArgument("PROJECT_ID/app", "reg/app", "v1")),
    ],
)
def test_the_grammar_of_arguments(text: str, argument: ImageArgument) -> None:
    assert ImageArgument.parse(text) == argument
    assert ImageArgument.parse(text, "kustomize") == argument


@pytest.mark.parametrize(
    "text",
    ["app", "reg:5000/app", "app=", "app:", "app@", ":v1", "=b:v1", "a=b=c:v1", "app:bad tag", "app@notadigest",
     "reg:5000:v1", "a=b@sha256:1:v1", "oci://a:v1", "-x:v1", "--flag=b:v1", "a b=c:v1", "*:v1", "a=B:v1", ""],
)  # fmt: skip
def test_strict_arguments_refuse_what_kustomize_would_take(text: str) -> None:
    with pytest.raises(UsageError):
        ImageArgument.parse(text)


@pytest.mark.parametrize(
    ("text", "argument"),
    [
        ("a=b=c:v1", ImageArgument("a", "b=c", "v1")),
        ("reg:5000:v1", ImageArgument("reg", None, "5000:v1")),
        ("a:bad tag", ImageArgument("a", None, "bad tag")),
        ("a=b@sha256:1:v1", ImageArgument("a", "b", None, "sha256:1:v1")),
        ("oci://a:v1", ImageArgument("oci://a", None, "v1")),
        ("a=", ImageArgument("a", "")),
        (":v1", ImageArgument("", None, "v1")),
        ("=b:v1", ImageArgument("b", None, "v1")),
        ("*:v1", ImageArgument("*", None, "v1")),
    ],
)
def test_compat_takes_what_kustomize_takes(text: str, argument: ImageArgument) -> None:
    assert ImageArgument.parse(text, "kustomize") == argument


@pytest.mark.parametrize("text", ["a", "reg:5000/a", ""])
def test_compat_refuses_what_kustomize_refuses(text: str) -> None:
    with pytest.raises(UsageError):
        ImageArgument.parse(text, "kustomize")


def test_what_an_argument_wants() -> None:
    assert ImageArgument.parse("app=*:v2@*").wanted == "app:v2"
    assert ImageArgument.parse("app=new:v2").wanted == "new:v2"
