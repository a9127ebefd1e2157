"""`set_images` on each kind of file: what changes, what stays, what is said, what is refused."""

from __future__ import annotations

import pytest

import ci_gitops
from ci_gitops import Edit, image_uses, set_images
from ci_gitops.core.edits.images import edit_images, named_in, read_arguments
from ci_gitops.errors import CiGitopsError, EditError, UsageError

D1 = "sha256:" + "1" * 64
D2 = "sha256:" + "2" * 64
K = "kustomization.yaml"


def edited(text: str, *images: str, path: str = K, **how: str) -> Edit:
    return set_images(text, images, path=path, **how)


HEAD = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
FULL = "images:\n- name: app # the app\n  newName: reg.example.com/app\n  newTag: 'v1' # {marker}\n  tagSuffix: -s\n"


@pytest.mark.parametrize(
    ("before", "image", "after"),
    [
        # a tag keeps newName, tagSuffix, quotes and comments
        (FULL, "app:v2", FULL.replace("v1", "v2")),
        (FULL, "app=*:v2", FULL.replace("v1", "v2")),
        (FULL, "app=reg.example.com/app:v2", FULL.replace("v1", "v2")),
        (FULL, "app=other", FULL.replace("reg.example.com/app", "other")),
        # a tag and a digest
        (FULL, f"app:v2@{D1}", FULL.replace("v1", "v2").replace("  tagS", f"  digest: {D1}\n  tagS")),
        # a stale digest is dropped, a stale tag too
        (f"images:\n- digest: {D1}\n  name: app\n", "app:v2", "images:\n- name: app\n  newTag: v2\n"),
        (f"images:\n- name: app\n  digest: {D1} # old\n", "app:v2", "images:\n- name: app\n  newTag: v2\n"),
        (f"images:\n- name: app\n  digest: {D1}", "app:v2", "images:\n- name: app\n  newTag: v2"),
        ("images:\n- name: app\n  newTag: v1\n", f"app@{D1}", f"images:\n- name: app\n  digest: {D1}\n"),
        # `*` keeps
        (f"images:\n- name: app\n  digest: {D1}\n", "app:v2@*",
         f"images:\n- name: app\n  newTag: v2\n  digest: {D1}\n"),
        (f"images:\n- name: app\n  newTag: v1\n  digest: {D1}\n", f"app:*@{D2}",
         f"images:\n- name: app\n  newTag: v1\n  digest: {D2}\n"),
        # types
        ("images:\n- name: app\n  newTag: v1\n", "app:1.10", 'images:\n- name: app\n  newTag: "1.10"\n'),
        ("images:\n- name: app\n  newTag: 1.10\n", "app:1.10", 'images:\n- name: app\n  newTag: "1.10"\n'),
        ("images:\n- name: app\n  newTag: 1.10\n", "app:1.11.0", "images:\n- name: app\n  newTag: 1.11.0\n"),
        ("images:\n- name: app\n  newTag:\n", "app:v2", "images:\n- name: app\n  newTag: v2\n"),
        # flow styles and JSON
        ("images: [{name: app, newTag: v1}, {name: b}]\n", "app:v2", "images: [{name: app, newTag: v2}, {name: b}]\n"),
        ("images:\n  - {name: app, newTag: \"v1\"}\n", "app:v2", 'images:\n  - {name: app, newTag: "v2"}\n'),
        (f"images: [{{name: app, newTag: v1, digest: '{D1}'}}]\n", "app:v2",
         "images: [{name: app, newTag: v2}]\n"),
        ('{"images": [{"name": "app", "newTag": "v1"}]}', "app:v2",
         '{"images": [{"name": "app", "newTag": "v2"}]}'),
        # an entry that is not there
        (HEAD, "app:v1", HEAD + "images:\n- name: app\n  newTag: v1\n"),
        (HEAD + "resources:\n  - a.yaml", "app=reg/a:v1",
         HEAD + "resources:\n  - a.yaml\nimages:\n  - name: app\n    newName: reg/a\n    newTag: v1"),
        (HEAD + "images: []\n", f"app=a@{D1}", HEAD + f"images:\n- name: app\n  newName: a\n  digest: {D1}\n"),
        ("images:\n  - name: b\n    newTag: v1\n# end\n", "app:v1",
         "images:\n  - name: b\n    newTag: v1\n  - name: app\n    newTag: v1\n# end\n"),
        ("images: [{name: b}]\n", "app:v1", "images: [{name: b}, {name: app, newTag: v1}]\n"),
        ("", "app:v1", "images:\n- name: app\n  newTag: v1\n"),
        # line ends, byte order mark, no last line end, document marks
        ("\ufeff---\r\nimages:\r\n- name: app\r\n  newTag: v1\r\n...\r\n", "app:v2",
         "\ufeff---\r\nimages:\r\n- name: app\r\n  newTag: v2\r\n...\r\n"),
        ("images:\r\n- name: app\r\n  newTag: v1", "app=b:v2",
         "images:\r\n- name: app\r\n  newName: b\r\n  newTag: v2"),
        ("# ünï\nimages:\n- {name: app, newTag: v1} # 😀\n", "app:v2",
         "# ünï\nimages:\n- {name: app, newTag: v2} # 😀\n"),
        # the name of the entry is not found, its newName is
        ("images:\n- name: web\n  newName: reg.example.com/app\n  newTag: v1\n", "reg.example.com/app:v2",
         "images:\n- name: web\n  newName: reg.example.com/app\n  newTag: v2\n"),
        # what cannot be edited elsewhere is no reason
        ("x: &a 1\ny: *a\nz: 1\nz: 2\np: |\n  # images:\n  {{ x }}\nimages:\n- name: app\n  newTag: v1\n", "app:v2",
         "x: &a 1\ny: *a\nz: 1\nz: 2\np: |\n  # images:\n  {{ x }}\nimages:\n- name: app\n  newTag: v2\n"),
    ],
)  # fmt: skip
def test_kustomizations(before: str, image: str, after: str) -> None:
    edit = edited(before, image)
    assert edit.new == after
    again = edited(after, image)
    assert not again.changed
    assert again.changes == ()


def test_component_and_every_file_name() -> None:
    for path in ("kustomization.yaml", "a/kustomization.yml", "a/b/Kustomization"):
        assert edited("kind: Component\n", "app:v1", path=path).new.endswith("- name: app\n  newTag: v1\n")
    own = HEAD + "images:\n- name: app\n  newTag: v1\n"
    assert edited(own, "app:v2", path="other.yaml").changed


def test_what_is_dropped_or_guessed_is_said() -> None:
    assert edited(f"images:\n- name: app\n  digest: {D1}\n", "app:v2").notes == (
        f"app: the digest {D1} was of the image before and is dropped.",
    )
    assert "the tag v1 was" in edited("images:\n- name: app\n  newTag: v1\n", f"app@{D1}").notes[0]
    by_new_name = edited("images:\n- name: web\n  newName: r/app\n  newTag: v1\n", "r/app:v2")
    assert by_new_name.notes == ("r/app is the newName of the entry 'web'; that entry is changed.",)
    assert "there is also one for 'shop-web'" in edited("images:\n- name: shop-web\n", "shop-wep:v2").notes[0]


def test_a_name_that_matches_others_as_a_regular_expression_is_hinted_at() -> None:
    edit = edited("images:\n- name: gcr.io/x.y/app\n- name: gcr.io/xzy/app\n", "gcr.io/x.y/app:v1")
    assert "matches 'gcr.io/xzy/app' too" in edit.notes[0]
    assert not edited("images:\n- name: gcr.io/x.y/app\n- name: other\n", "gcr.io/x.y/app:v1").notes
    assert named_in("image: a:5000/b:v1\n- image: 'c@sha256:1'\n  image: d # x\n") == {"a:5000/b", "c"}


@pytest.mark.parametrize(
    ("text", "image", "says"),
    [
        (
            "images:\n- name: app\n  newTag: v1\n  newTag: v2\n",
            "app:v3",
            "4:3: the key images[0].newTag is written twice",
        ),
        ("images: []\nimages: []\n", "app:v3", "2:1: the key images is written twice"),
        ("images:\n- name: app\n- name: app\n", "app:v3", "3:3: images has two entries named 'app'"),
        ("images:\n- name: app\n  newTag: &t v1\nx: *t\n", "app:v3", "3:11: images[0].newTag has the anchor &t"),
        ("x: &t v1\nimages:\n- name: app\n  newTag: *t\n", "app:v3", "4:11: images[0].newTag is the alias *t"),
        ("x: &t\n- name: app\nimages: *t\n", "app:v3", "3:9: images is the alias *t"),
        ("images:\n- name: app\n  newTag: |\n    v1\n", "app:v3", "3:11: images[0].newTag is a block of text"),
        ("images:\n- name: app\n  newTag: {{ .tag }}\n", "app:v3", "3:11: this is a Go template"),
        ("images: text\n", "app:v3", "1:9: images must be a list"),
        ("images:\n- app\n", "app:v3", "2:3: images[0] must be a map"),
        ("- a\n", "app:v3", "1:1: a kustomization is a map"),
        ("kind: Deployment\n", "app:v3", "its kind is 'Deployment'"),
        ("Images: []\n", "app:v3", "it writes 'Images'"),
        ("images: [\n", "app:v3", "2:1: not YAML"),
        ("images: *none\n", "app:v3", "1:9: not YAML: there is no anchor &none"),
        ("x: &x {name: app}\nimages:\n- <<: *x\n", "app:v3", "3:3: images[0] takes keys from elsewhere by <<"),
        ("images:\n- name: other\n", "app=*", "it has no entry for 'app' whose values could be kept"),
    ],
)
def test_what_cannot_be_edited_safely_is_refused_with_its_place(text: str, image: str, says: str) -> None:
    with pytest.raises(EditError) as caught:
        edited(text, image)
    assert caught.value.message.startswith(K + ":")
    assert says in caught.value.message


VALUES = """\
# -- the image
image:
  repository: reg.example.com/app # {"$imagepolicy": "x"}
  tag: "1.0"  # bumped by hand
  pullPolicy: IfNotPresent
jobs:
- image: reg.example.com/job:v1
"""


@pytest.mark.parametrize(
    ("before", "key", "image", "after"),
    [
        (VALUES, "image", "reg.example.com/app:1.1", VALUES.replace('"1.0"', '"1.1"')),
        (VALUES, "image", "app:1.1", VALUES.replace('"1.0"', '"1.1"')),
        (VALUES, "image", "x=other/app:1.1",
         VALUES.replace('"1.0"', '"1.1"').replace("reg.example.com/app", "other/app")),
        (VALUES, "image", f"app:1.1@{D1}",
         VALUES.replace('"1.0"  # bumped by hand\n', f'"1.1"  # bumped by hand\n  digest: {D1}\n')),
        (VALUES, "jobs[0].image", "reg.example.com/job:v2", VALUES.replace("job:v1", "job:v2")),
        (VALUES, "jobs.0.image", "job:v2", VALUES.replace("job:v1", "job:v2")),
        (VALUES, "jobs.0.image", "x=new/job:v2", VALUES.replace("reg.example.com/job:v1", "new/job:v2")),
        ("image:\n  registry: docker.io\n  repository: bitnami/x\n  tag: v1\n  digest: ''\n", "image",
         "docker.io/bitnami/x:v2",
         "image:\n  registry: docker.io\n  repository: bitnami/x\n  tag: v2\n  digest: ''\n"),
        ("image:\n  registry: docker.io\n  repository: bitnami/x\n  tag: v1\n", "image", "x=reg:5000/y/x:v2",
         "image:\n  registry: reg:5000\n  repository: y/x\n  tag: v2\n"),
        (f"image: {{repository: x, tag: v1, digest: {D1}}}\n", "image", "x:v2",
         'image: {repository: x, tag: v2, digest: ""}\n'),
        (f"image: {{repository: x, tag: v1, digest: {D1}}}\n", "image", f"x:v2@{D2}",
         f'image: {{repository: x, tag: v2, digest: "{D2}"}}\n'.replace('"', "")),
        (f"image:\n  repository: x\n  tag: v1@{D1}\n", "image", f"x:v2@{D2}",
         f"image:\n  repository: x\n  tag: v2@{D2}\n"),
        (f"image:\n  repository: x\n  tag: v1@{D1}\n", "image", "x:v2", "image:\n  repository: x\n  tag: v2\n"),
        ("image:\n  repository: x\n  tag:\n", "image", "x:v2", "image:\n  repository: x\n  tag: v2\n"),
        ("image:\n  repository: x\n", "image", "x:v2", "image:\n  repository: x\n  tag: v2\n"),
        ("a:\n  tag: v1\n", "a", "x:v2", "a:\n  tag: v2\n"),
        ("a.b:\n  image: x:v1\n", '"a.b".image', "x:v2", "a.b:\n  image: x:v2\n"),
        ("image: ''\n", "image", "x=y:v2", "image: 'y:v2'\n"),
        ("image: nginx\ntag: v1\n", "image", "nginx:v2", "image: nginx\ntag: v2\n"),
        ("image: reg:5000/nginx:v1\ntag: v1\n", "image", "nginx:v2", "image: reg:5000/nginx:v2\ntag: v1\n"),
        ("c:\n  image:\n    registry: r.io\n    image: in/c\n    tag: v1\n", "c.image", "r.io/in/c:v2",
         "c:\n  image:\n    registry: r.io\n    image: in/c\n    tag: v2\n"),
        ("a: {image: x:v1}\n---\na: {image: y:v1}\n", "a.image", "y:v2", "a: {image: x:v1}\n---\na: {image: y:v2}\n"),
        ("apiVersion: x.io/v1\nkind: Thing\nspec:\n  image: reg/x:v1\n", "spec.image", "reg/x:v2",
         "apiVersion: x.io/v1\nkind: Thing\nspec:\n  image: reg/x:v2\n"),
    ],
)  # fmt: skip
def test_values_and_custom_resources_by_key(before: str, key: str, image: str, after: str) -> None:
    assert edited(before, image, path="values.yaml", key=key).new == after
    assert not edited(after, image, path="values.yaml", key=key).changed


@pytest.mark.parametrize(
    ("key", "image", "says"),
    [
        ("image", "other:v2", "image is the image 'reg.example.com/app', not 'other'"),
        ("imag", "app:v2", "there is no imag"),
        ("jobs[3].image", "app:v2", "there is no jobs[3].image"),
        ("jobs", "app:v2", "jobs is not an image reference"),
        ("image.tag", "x=y:v2", "image.tag is a part of an image, not an image"),
    ],
)
def test_a_key_that_is_not_that_image_is_refused(key: str, image: str, says: str) -> None:
    with pytest.raises(EditError) as caught:
        edited(VALUES, image, path="values.yaml", key=key)
    assert says in caught.value.message
    assert caught.value.hint or key == "jobs"


def test_a_map_with_image_and_tag_is_one_place() -> None:
    text = "app:\n  image: nginx\n  tag: v1\n"
    assert edited(text, "nginx:v2", path="values.yaml").new == text.replace("v1", "v2")


def test_a_new_digest_key_is_said_to_need_the_chart() -> None:
    assert "the chart must read it" in edited(VALUES, f"app:2@{D1}", path="values.yaml", key="image").notes[0]


def test_values_without_a_key_are_found_by_the_exact_name() -> None:
    edit = edited(VALUES, "reg.example.com/app:1.1", "reg.example.com/job:v2", path="values.yaml")
    assert [(change.field, change.old, change.new) for change in edit.changes] == [
        ("image.tag", "1.0", "1.1"),
        ("jobs[0].image", "reg.example.com/job:v1", "reg.example.com/job:v2"),
    ]
    with pytest.raises(EditError, match=r"The image 'reg\.example\.com/ap' is not used in values\.yaml") as caught:
        edited(VALUES, "reg.example.com/ap:1", path="values.yaml")
    assert caught.value.hint == "Did you mean 'reg.example.com/app' or 'reg.example.com/job'?"


POD = f"""\
    spec:
      initContainers:
      - image: "init:v1"  # first
        name: init
      containers:
        - {{name: web, image: reg:5000/web:v1}}
        - name: side
          image: nginx
      ephemeralContainers:
      - name: debug
        image: 'reg:5000/web@{D1}'
"""

MANIFESTS = f"""\
# generated
apiVersion: apps/v1
kind: Deployment
metadata: {{name: a, annotations: {{image: reg:5000/web:v1}}}}
spec:
  template:
{POD}\
---
apiVersion: batch/v1
kind: CronJob
spec:
  jobTemplate:
    spec:
      template:
        spec:
          containers: [{{name: web, image: 'reg:5000/web:v1'}}]
---
---
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Pod
  spec:
    containers:
    - image: init:v1
"""


def test_containers_of_every_kind_in_every_document() -> None:
    edit = edited(MANIFESTS, "reg:5000/web:v2", "nginx=mirror/nginx:1.27", "init:v2", path="all.yaml")
    expected = (
        MANIFESTS.replace("image: reg:5000/web:v1}\n", "image: reg:5000/web:v2}\n")
        .replace(f"reg:5000/web@{D1}", "reg:5000/web:v2")
        .replace("'reg:5000/web:v1'", "'reg:5000/web:v2'")
        .replace("image: nginx", "image: mirror/nginx:1.27")
        .replace("init:v1", "init:v2")
    )
    assert edit.new == expected
    assert "annotations: {image: reg:5000/web:v1}" in edit.new
    assert [change.field for change in edit.changes][:3] == [
        "spec.template.spec.containers[0].image",
        "spec.template.spec.ephemeralContainers[0].image",
        "spec.jobTemplate.spec.template.spec.containers[0].image",
    ]


@pytest.mark.parametrize(
    ("container", "says"),
    [
        ("*c", "2:14: spec.containers[0] is the alias *c"),
        ("{<<: *c, name: b}", "2:14: spec.containers[0] takes keys from elsewhere by <<, 'image' perhaps among them"),
        ("{image: *i}", "2:22: spec.containers[0].image is the alias *i"),
    ],
)
def test_images_that_come_by_aliases_are_found_and_refused(container: str, says: str) -> None:
    text = f"{{apiVersion: v1, kind: Pod, x: &c {{image: &i x}}, spec: {{\ncontainers: [{container}]}}}}\n"
    assert [use.name for use in image_uses(text, path="pod.yaml")] == ["x"]
    with pytest.raises(EditError) as caught:
        edited(text, "x:v2", path="pod.yaml")
    assert says in caught.value.message


def test_an_alias_in_another_entry_is_no_reason() -> None:
    text = "x: &o {name: other, newTag: v1}\nt: &t v1\nimages:\n- *o\n- name: app\n  newTag: v1\n- {name: *t}\n"
    assert edited(text, "app:v2").new == text.replace("app\n  newTag: v1", "app\n  newTag: v2")
    with pytest.raises(EditError, match=r"4:3: images\[0\] is the alias \*o"):
        edited(text, "other:v2")


def test_helm_values_inside_of_other_manifests() -> None:
    text = (
        "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nspec:\n  values:\n    image:\n"
        "      repository: reg/app\n      tag: v1 # x\n"
    )
    assert edited(text, "reg/app:v2", path="release.yaml").new == text.replace("v1 #", "v2 #")


def test_fluxs_own_kustomization_has_images_too() -> None:
    head = "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nspec:\n"
    text = head + "  images:\n  - name: app\n    newTag: v1\n"
    assert edited(text, "app:v2", path="kustomization.yaml").new == text.replace("newTag: v1", "newTag: v2")


def test_several_images_and_the_last_of_a_name() -> None:
    edit = edited("images:\n- name: a\n  newTag: v1\n", "a:v2", "b:v1", "a:v3")
    assert edit.new == "images:\n- name: a\n  newTag: v3\n- name: b\n  newTag: v1\n"


def test_without_add_an_entry_is_only_changed() -> None:
    edit, found = edit_images("images:\n- name: a\n", read_arguments(["a:v1", "b:v1"]), path=K, add=False)
    assert edit.new == "images:\n- name: a\n  newTag: v1\n"
    assert found == {"a"}


@pytest.mark.parametrize(
    ("images", "how", "says"),
    [
        ([], {}, "No image was named"),
        (["a"], {}, "says neither tag nor digest"),
        (["a:v1"], {"compat": "flux"}, "no compatibility with 'flux'"),
        (["a:v1", "b:v1"], {"key": "image"}, "name exactly one"),
        (["a:v1"], {"compat": "kustomize", "path": "values.yaml"}, "is no kustomization"),
        (["a:v1"], {"key": "images[0]"}, "is a kustomization"),
    ],
)
def test_calls_that_cannot_be(images: list[str], how: dict[str, str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        set_images("a: b\n", images, **{"path": K, **how})


def test_the_public_interface_is_complete() -> None:
    for name in ci_gitops.__all__:
        assert getattr(ci_gitops, name) is not None
    assert dir(ci_gitops) == sorted(ci_gitops.__all__)
    with pytest.raises(AttributeError, match="nothing_such"):
        _ = ci_gitops.nothing_such
    assert issubclass(EditError, CiGitopsError)
