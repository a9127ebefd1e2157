from __future__ import annotations

import os
from pathlib import Path

from ci_gitops.adapters.cluster.folder_writer import FolderWriter, file_name
from ci_gitops.core.manifests import Manifest, parse

ROLE = """
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: "system:a/../b", namespace: shop}
rules: []
"""


def role(rules: str = "[]") -> Manifest:
    (manifest,) = parse(ROLE.replace("[]", rules), "a file")
    return manifest


def test_an_object_is_created_left_alone_and_updated(tmp_path: Path) -> None:
    folder = FolderWriter(tmp_path / "production" / "shop")
    operations = [
        folder.apply_manifest(manifest, dry_run=False).operation for manifest in (role(), role(), role("[{}]"))
    ]
    assert operations == ["create", "unchanged", "update"]
    (file,) = (tmp_path / "production" / "shop").iterdir()
    assert parse(file.read_text(), "") == (role("[{}]"),)


def test_names_are_kustomizes_and_stay_in_the_folder() -> None:
    assert file_name(role()) == "shop_rbac.authorization.k8s.io_v1_role_system-a-..-b.yaml"


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    assert FolderWriter(tmp_path / "new").apply_manifest(role(), dry_run=True).operation == "create"
    assert not (tmp_path / "new").exists()


def test_files_have_the_mode_of_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        FolderWriter(tmp_path).apply_manifest(role(), dry_run=False)
    finally:
        os.umask(before)
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o640
