"""What readers of a YAML file see through its aliases and merges: for looking only, never for editing."""

from __future__ import annotations

from ci_gitops.core.yamltext import Alias, Mapping, Node, Sequence, YamlText, walk

Anchors = dict[str, Node]


def anchors(parsed: YamlText, document: int) -> Anchors:
    """What each alias of a document stands for; nothing where there is no alias."""
    if not parsed.aliased:
        return {}
    nodes = (node for _, node in walk(parsed.documents[document]))
    return {node.anchor: node for node in nodes if not isinstance(node, Alias) and node.anchor}


def stands_for(node: Node | None, known: Anchors) -> Node | None:
    """The node itself, or what the alias stands for."""
    return known.get(node.anchor) if isinstance(node, Alias) else node


def look(node: Node | None, name: str, known: Anchors) -> Node | None:
    """The value of a key as readers see it: aliases followed, `<<` too."""
    node = stands_for(node, known)
    if not isinstance(node, Mapping):
        return None
    value = node.get(name)
    if value is None and known and node.merges:
        merged = stands_for(node.get("<<"), known)
        sources = merged.items if isinstance(merged, Sequence) else [merged]
        value = next((found for source in sources if (found := _own(source, name, known))), None)
    return stands_for(value, known)


def _own(node: Node | None, name: str, known: Anchors) -> Node | None:
    source = stands_for(node, known)
    return source.get(name) if isinstance(source, Mapping) else None
