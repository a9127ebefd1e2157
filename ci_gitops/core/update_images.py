"""An image, written into the files of one target: its overlay, its Helm values or its manifests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ci_gitops.core.edits import Change, Edit, image_uses, set_images
from ci_gitops.core.images import KEEP, ImageArgument
from ci_gitops.core.text import did_you_mean
from ci_gitops.core.update_work import TargetFiles, Work, yaml_files
from ci_gitops.core.uses import (
    kustomization_file,
    read_kustomization,
    reference,
    unseen_parts,
    visible_images,
    walk,
)
from ci_gitops.core.yamlscalar import write_string
from ci_gitops.core.yamltext import Mapping, find, parse, parse_path
from ci_gitops.errors import EditError


def set_image(work: Work, files: TargetFiles, image: ImageArgument) -> bool:
    """Write `image` into the target; False where the target does not use it."""
    if files.images and image.name not in files.images:
        return False
    if kustomization := kustomization_file(work.tree, files.target.path):
        return _set_in_kustomization(work, files, kustomization, image)
    if files.values:
        return _set_in_values(work, files, image)
    return _set_in_manifests(work, files, image)


def _set_in_kustomization(work: Work, files: TargetFiles, path: str, image: ImageArgument) -> bool:
    text = work.text(path)
    entries = {entry.name: entry for entry in read_kustomization(work.tree, path, text).entries}
    old: str | None
    if image.name in entries:
        name, old = image.name, entries[image.name].reference
    elif renamed := [entry for entry in entries.values() if entry.new_name == image.name]:
        name, old = renamed[0].name, renamed[0].reference
    else:
        found = walk(work.tree, files.target.path)
        visible = visible_images(found, files.target.path)
        unseen = unseen_parts(found)
        if image.name not in visible and not (files.named and unseen):
            parsed = parse(text, path)
            if parsed.template:
                find(parsed, 0, ())  # refuses it: what a template will hold cannot be known
            return False
        if image.name not in visible:
            work.notes.append(f"{path}: {image.name} is new there; {unseen[0]} was not looked into")
        name, old = image.name, visible.get(image.name)
    edit = set_images(text, [replace(image, name=name)], path=path)
    work.put(edit)
    after = {entry.name: entry for entry in read_kustomization(work.tree, path, edit.new).entries}
    if edit.changed:
        work.moved(files, image.name, old, after[name].reference)
    return True


def _set_in_manifests(work: Work, files: TargetFiles, image: ImageArgument) -> bool:
    paths = yaml_files(work.tree, files.target)
    work.load(paths)
    found = False
    for path in paths:
        uses = [use for use in image_uses(work.text(path), path=path) if use.name == image.name]
        if not uses:
            continue
        found = True
        edit = set_images(work.text(path), [image], path=path)
        work.put(edit)
        if edit.changed:
            after = next(use for use in image_uses(edit.new, path=path) if use.field == uses[0].field)
            old = reference(image.name, uses[0].tag, uses[0].digest)
            work.moved(files, image.name, old, reference(after.name, after.tag, after.digest))
    return found


def _set_in_values(work: Work, files: TargetFiles, image: ImageArgument) -> bool:
    """Write into the last values file (the environment's own), at the key where any of the files names the image."""
    work.load(files.values)
    present = [path for path in files.values if path in work.after]
    own = present[-1] if present else None
    keys: dict[str, str] = {}
    for path in present:
        keys |= {
            use.field: reference(use.name, use.tag, use.digest)
            for use in image_uses(work.text(path), path=path)
            if use.name == image.name
        }
    if own is None or not keys:
        return False
    for key, old in keys.items():
        text = work.text(own)
        edit = set_images(text, [image], path=own, key=key) if _has(text, own, key) else _added(text, own, key, image)
        work.put(edit)
        if edit.changed:
            work.moved(files, image.name, old, _written(edit, image))
    return True


def _has(text: str, path: str, key: str) -> bool:
    document = next(iter(parse(text, path).documents), None)
    node = document
    for part in parse_path(key):
        node = node.get(part) if isinstance(node, Mapping) and isinstance(part, str) else None
    return node is not None


def _added(text: str, path: str, key: str, image: ImageArgument) -> Edit:
    """The environment's values with tag and digest at a key that only the chart's own values have yet."""
    parts = parse_path(key)
    parsed = parse(text, path)
    root = parsed.documents[0] if len(parsed.documents) == 1 else None
    plain = (not parsed.documents or root is None or isinstance(root, Mapping)) and len(parsed.documents) < 2
    known = isinstance(root, Mapping) and root.get(str(parts[0])) is not None
    if not plain or known or (isinstance(root, Mapping) and root.flow) or not all(isinstance(p, str) for p in parts):
        raise EditError(
            f"{path} has no {key}, where the image's version would stand.",
            hint=f"Write {key}.tag into it once; from then on it is kept up to date.",
        )
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = [f"{'  ' * depth}{write_string(str(part))[0]}:" for depth, part in enumerate(parts)]
    given = [("tag", image.tag), ("digest", image.digest)]
    lines += [
        f"{'  ' * len(parts)}{name}: {write_string(value)[0]}"
        for name, value in given
        if value not in (None, KEEP) and value
    ]
    start = text if not text or text.endswith(("\n", "\r")) else text + newline
    changes = tuple(
        Change(f"{key}.{name}", None, value, start.count("\n") + 1) for name, value in given if value and value != KEEP
    )
    return Edit(path, text, start + newline.join(lines) + newline, changes)


def _written(edit: Edit, image: ImageArgument) -> str:
    """The reference after an edit of values, as far as the file itself says it."""
    uses = [use for use in image_uses(edit.new, path=edit.path) if use.name == image.name]
    if uses:
        return reference(uses[0].name, uses[0].tag, uses[0].digest)
    tag = image.tag if isinstance(image.tag, str) else None
    return reference(image.name, tag, image.digest if isinstance(image.digest, str) else None)


def unused(work: Work, targets: Sequence[TargetFiles], image: ImageArgument) -> EditError:
    known: dict[str, None] = {}
    for files in targets:
        if kustomization_file(work.tree, files.target.path):
            found = walk(work.tree, files.target.path)
            known |= dict.fromkeys(visible_images(found, files.target.path))
            own = found.kustomizations.get(files.target.path)
            known |= dict.fromkeys(entry.new_name or entry.name for entry in (own.entries if own else ()))
        else:
            paths = [*files.values] or yaml_files(work.tree, files.target)
            work.load(paths)
            texts = [(path, work.after[path]) for path in paths if path in work.after]
            known |= dict.fromkeys(use.name for path, text in texts for use in image_uses(text, path=path))
    where = ", ".join(str(files.target) for files in targets[:4]) + (" and others" if len(targets) > 4 else "")
    return EditError(
        f"The image {image.name} is used nowhere in {where}.",
        hint=did_you_mean(image.name, known, "Images there") or "No image was found there at all.",
    )
