"""What we write without quotes, every reader takes for that string: YAML 1.1's, YAML 1.2's, and Go's in kustomize."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import yaml
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from ci_gitops.core.yamlscalar import write_string
from tests.conftest import SEED

#: Characters of which numbers, dates, booleans and indicators are made in some reader.
AMBIGUOUS = "0123456789.eExXoObB_+-:,yYnNtTfFuUlLaAsSrR~#"


@seed(SEED)
@settings(database=None, deadline=None, max_examples=500)
@given(st.text(AMBIGUOUS, max_size=8))
def test_python_readers(value: str) -> None:
    text = f"a: {write_string(value)[0]}\n"
    assert yaml.load(text, yaml.CSafeLoader) == {"a": value}
    assert YAML(typ="safe", pure=True).load(text) == {"a": value}


def test_gos_reader(kustomize: str, tmp_path: Path, rng: random.Random) -> None:
    values = ["".join(rng.choices(AMBIGUOUS, k=rng.randint(1, 8))) for _ in range(2000)]
    values += [
        "1.10",
        "12e4567",
        "yes",
        "y",
        "0123",
        "0o17",
        "0x1F",
        "1_000",
        "12:30",
        "2024-01-01",
        "~",
        "null",
        ".inf",
    ]
    written = "".join(f"  k{number}: {write_string(value)[0]}\n" for number, value in enumerate(values))
    (tmp_path / "kustomization.yaml").write_text(f"resources: [a.yaml]\ncommonAnnotations:\n{written}")
    (tmp_path / "a.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n")
    done = subprocess.run([kustomize, "build", str(tmp_path)], capture_output=True, text=True, check=True)
    annotations = yaml.load(done.stdout, yaml.CBaseLoader)["metadata"]["annotations"]
    assert [annotations[f"k{number}"] for number in range(len(values))] == values
