"""Write docs/reference/api.md, the public names, from ``__all__`` and docstrings: `make api`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import griffe

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "api.md"
PACKAGES = {"hwloop": ".", "hwloop_sim": "sim", "hwloop_drivers": "drivers"}
ENUMERATIONS = {"IntFlag", "Enum", "StrEnum", "IntEnum"}

HEAD = """# Public names

Made by `make api` from the packages' `__all__` and docstrings; do not edit.

Public is what `__all__` of `hwloop` itself names, and that of a package or module directly below
`hwloop`, `hwloop_sim` and `hwloop_drivers`: the list below. It changes with an entry in the
changelog. Everything else,
every deeper module among it, is private and may change without notice. So import
`from hwloop.array import PulseMap`, never from `hwloop.array.operations`. With
[import-linter](https://import-linter.readthedocs.io/) a package of your own is held to that; see
the `pyproject.toml` of [Add an instrument](../tutorials/add-an-instrument.md).

| place | for |
| --- | --- |
"""


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    """Return the whole page, of the source as it is now."""
    modules = public_modules()
    rows = [f"| [`{m.path}`](#{_anchor(m.path)}) | {_first_sentence(m)} |\n" for m in modules]
    return HEAD + "".join(rows) + "".join(_section(module) for module in modules)


def public_modules() -> list[griffe.Module]:
    """Return packages, and modules directly below them, that have an ``__all__``, in order."""
    loader = griffe.GriffeLoader(search_paths=[ROOT / folder for folder in PACKAGES.values()])
    for package in PACKAGES:
        loader.load(package)
    loader.resolve_aliases(implicit=False)
    return [
        module
        for package in PACKAGES
        for module in (
            loader.modules_collection[package],
            *(one for _, one in sorted(loader.modules_collection[package].modules.items())),
        )
        if module.exports
    ]


def public_names() -> dict[str, frozenset[str]]:
    """Return the names that each public module exports."""
    return {module.path: frozenset(map(str, module.exports or ())) for module in public_modules()}


def _section(module: griffe.Module) -> str:
    text = f"\n## {module.path}\n\n{_markdown(module)}\n"
    for name in sorted(map(str, module.exports or ()), key=str.lower):
        member = module.members[name]
        text += _entry(member.final_target if isinstance(member, griffe.Alias) else member)
    return text


def _entry(item: griffe.Object) -> str:
    text = f"\n### {item.name}\n"
    if isinstance(item, griffe.Class):
        return text + f"\n{_markdown(item)}\n" + "".join(_class_parts(item))
    if isinstance(item, griffe.Function):
        return text + f"\n```python\n{_signature(item)}\n```\n\n{_markdown(item)}\n"
    described = f"\n{_markdown(item)}\n" if item.docstring else ""
    return text + f"\n```python\n{item.name} = {getattr(item, 'value', None)}\n```\n{described}"


def _class_parts(item: griffe.Class) -> Iterator[str]:
    """Yield the fields with types and defaults as code, then properties and methods as a list."""
    members = [member for name, member in item.members.items() if not name.startswith("_")]
    fields = [
        member
        for member in members
        if isinstance(member, griffe.Attribute) and not {"property", "cached"} & member.labels
    ]
    bases = ", ".join(str(base) for base in item.bases)
    if fields or bases:
        head = f"class {item.name}({bases}):" if bases else f"class {item.name}:"
        lines = [f"    {_field(field)}" for field in fields if _shown(field)] or ["    ..."]
        yield "\n```python\n" + "\n".join([head, *lines]) + "\n```\n"
    described = [member for member in members if member.docstring and member not in fields]
    if described:
        yield "\n" + "".join(f"- {_member(member)}\n" for member in described)


def _shown(field: griffe.Attribute) -> bool:
    owner = field.parent
    enumerated = isinstance(owner, griffe.Class) and any(
        str(base) in ENUMERATIONS for base in owner.bases
    )
    return field.annotation is not None or enumerated


def _field(field: griffe.Attribute) -> str:
    annotation = f": {field.annotation}" if field.annotation is not None else ""
    value = f" = {field.value}" if field.value is not None else ""
    return f"{field.name}{annotation}{value}"


def _member(member: griffe.Object | griffe.Alias) -> str:
    summary = " ".join(_markdown(member).split("\n\n")[0].split())
    abstract = "abstract; " if "abstractmethod" in member.labels else ""
    if isinstance(member, griffe.Function):
        shown = _signature(member).replace("\n", " ")
        shown = re.sub(r"\(\s+", "(", re.sub(r",?\s+\)", ")", re.sub(r"\s+", " ", shown)))
        return f"`{shown}`: {abstract}{summary}"
    return f"`{member.name}`: {abstract}{summary}"


def _signature(function: griffe.Function) -> str:
    parts: list[str] = []
    kinds = griffe.ParameterKind
    marked = False
    for parameter in function.parameters:
        if parameter.name in ("self", "cls"):
            continue
        if parameter.kind is kinds.keyword_only and not marked:
            parts.append("*")
            marked = True
        star = {kinds.var_positional: "*", kinds.var_keyword: "**"}.get(parameter.kind, "")
        marked = marked or star == "*"
        annotation = f": {parameter.annotation}" if parameter.annotation is not None else ""
        default = f" = {parameter.default}" if parameter.default is not None and not star else ""
        parts.append(f"{star}{parameter.name}{annotation}{default}")
    returns = f" -> {function.returns}" if function.returns is not None else ""
    return f"{function.name}({', '.join(parts)}){returns}"


def _markdown(item: griffe.Object | griffe.Alias) -> str:
    """Return a docstring with its roles, literals and ``::`` blocks as Markdown."""
    text = item.docstring.value if item.docstring else ""
    text = re.sub(r":\w+:`~?(?:[\w.]+\.)?(\w+)`", r"`\1`", text)
    text = text.replace("``", "`")
    lines: list[str] = []
    inside = False
    for line in text.splitlines():
        if line.rstrip().endswith("::"):
            lines += [line.rstrip().removesuffix("::").rstrip() + ":", "", "```python"]
            inside = True
        elif inside and line.strip() and not line.startswith("    "):
            lines += ["```", "", line]
            inside = False
        elif inside:
            lines += [line.removeprefix("    ")] if line.strip() or lines[-1] != "```python" else []
        else:
            lines.append(line)
    while lines and not lines[-1].strip():
        lines.pop()
    return "\n".join(lines + ["```"] * inside).removeprefix(":").strip()


def _first_sentence(item: griffe.Object | griffe.Alias) -> str:
    return " ".join(_markdown(item).split("\n\n")[0].split())


def _anchor(path: str) -> str:
    return path.replace(".", "").lower()


if __name__ == "__main__":
    main()
