from __future__ import annotations

import pytest

from ci_gitops.core.whole_files import WholeFile, going_back, whole_edit

THEN = ("apps/base/kustomization.yaml", "apps/base/web.yaml", "apps/live/kustomization.yaml")


@pytest.mark.parametrize(
    ("now", "others", "gone"),
    [
        (("apps/live/new.yaml",), (), ("apps/live/new.yaml",)),
        (("apps/base/new.yaml",), (), ("apps/base/new.yaml",)),
        (("apps/base/new.yaml",), ("apps/base/new.yaml",), ()),  # another target would miss it
        (("apps/base2/web.yaml",), (), ()),  # not rendered any more once its kustomization is back
        ((".ci-gitops/holds/live.yaml", ".ci-gitops.yaml"), (), ()),
    ],
)
def test_what_has_come_since_goes_where_nobody_needs_it(
    now: tuple[str, ...], others: tuple[str, ...], gone: tuple[str, ...]
) -> None:
    assert set(going_back(THEN, now, THEN, others)) == {*THEN, *gone}


def test_all_files_of_a_chart_are_rendered_so_new_ones_go_for_everybody() -> None:
    then = ("charts/shop/Chart.yaml", "charts/shop/templates/web.yaml", "charts/shop/values-live.yaml")
    new = "charts/shop/templates/jobs/new.yaml"
    assert new in going_back(then, (new, *then), then, (new,))


def test_the_rules_of_today_stay() -> None:
    rules = (".ci-gitops.yaml", ".ci-gitops/holds/live.yaml", ".gitlab-ci.yml", "CODEOWNERS", "apps/live/release.pub")
    keys = {"apps/live/release.pub"}
    assert going_back((*rules, "kustomization.yaml"), rules, rules, (), keys) == ("kustomization.yaml",)
    assert going_back(("kustomization.yaml",), ("new.pub",), (), (), {"new.pub"}) == ("kustomization.yaml",)


def test_what_is_shown_of_a_file() -> None:
    edit = whole_edit("a.yaml", WholeFile("100644", b"a: 1\n"), WholeFile("100755", b"a: 2\n"))
    assert edit.diff()[2:] == ["@@ -1 +1 @@", "-a: 1", "+a: 2"]
    assert (edit.changes[0].old, edit.changes[0].new) == ("100644, 5 bytes", "100755, 5 bytes")
    assert whole_edit("logo.png", None, WholeFile("100644", b"\xff\xd8")).new == "(2 bytes that are no text)\n"
