"""Path globs, which accept all that a view prints: a path, a folded path, a module for all that lies in it.

`*` crosses dots, `?` is one character, a comma stands between two of them; brackets hold an index or ranges of
numbers, `layers[3]`, `layers.[0-6,8-31]`, and never a set of characters; everything else stands for itself. What a
line shows behind its path (`: Block ×6 =1 !PS104`) is left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator

from paramscope.errors import GlobError, nearest

BRACKETS = "brackets hold an index or ranges of numbers, layers[3] or layers.[0-6,8-31], and no set of characters"

_TOKEN = re.compile(
    r"""(?xs)
    \[ (?P<numbers> NUMBER (?:-NUMBER (?: :NUMBER )? )? (?: ,NUMBER (?:-NUMBER (?: :NUMBER )? )? )* ) \]
    | (?P<key> \[ (?: '(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*" | [^\[\]'"]* ) \] )
    | (?P<one> . )
    """.replace("NUMBER", "(?:0|[1-9][0-9]*)")
)
_BEHIND = re.compile(
    r"(?:: \w+)?(?: ×[\d,]*\d| [=~%+@]\d+| ![A-Z]+\d+(?:,[A-Z]+\d+)*(?:\+\d+)?)+(?=,|\Z)|: \w+\Z", re.ASCII
)
"""What a line shows behind a path: the class, how many fold to one, glyphs of sharing, codes of findings."""
_BELOW = r"(?:(?:[.\[{]|->|::).*)?"
"""What stands behind the path of a module."""


def compile_glob(glob: str, *, with_below: bool = True) -> Callable[[str], bool]:
    """A predicate over paths. with_below: whether what lies in a module matches with it. Raises GlobError for an
    empty glob."""
    if not isinstance(glob, str) or not glob.strip(", "):
        raise GlobError("an empty path glob matches nothing", "Write a path or a pattern: 'head.weight', '*.bias'.")
    several: list[list[str]] = [[]]
    ranges: dict[str, list[range]] = {}
    for token in _TOKEN.finditer(_BEHIND.sub("", glob)):
        if token["numbers"] is not None:
            name = f"n{len(ranges) // 2}"
            # An item of a container or of a module list, or the end of a name: `experts[3]`, `layers.3`, `layer3`.
            several[-1].append(rf"(?:\[(?P<{name}a>\d+)\]|\.?(?P<{name}b>\d+)(?!\d))")
            ranges[f"{name}a"] = ranges[f"{name}b"] = [*map(_range, token["numbers"].split(","))]
        elif token["key"] is not None:
            several[-1].append(re.escape(token["key"]))
        elif token["one"] == ",":
            several.append([])
        elif token["one"] == " " and not several[-1]:
            continue
        else:
            several[-1].append({"*": ".*", "?": "."}.get(token["one"], re.escape(token["one"])))
    pattern = re.compile(
        f"(?:{'|'.join(''.join(parts) for parts in several if parts)}){_BELOW if with_below else ''}", re.DOTALL
    )

    def matches(path: str) -> bool:
        if path == glob:  # whatever its names hold
            return True
        found = pattern.fullmatch(path)
        return found is not None and all(
            any(int(number) in each for each in ranges[name])
            for name, number in found.groupdict().items()
            if number is not None
        )

    return matches


def _range(words: str) -> range:
    """`3`, `0-31` or `0-30:2`, with both ends."""
    first, last, step = re.fullmatch(r"(\d+)(?:-(\d+))?(?::(\d+))?", words).groups()  # type: ignore[union-attr]
    return range(int(first), int(last or first) + 1, int(step or 1) or 1)


def any_of(globs: Iterable[str]) -> Callable[[str], bool]:
    """Whether a text matches one of some globs; any text does where there are none. Raises GlobError."""
    compiled = [compile_glob(glob) for glob in globs]
    return lambda text: not compiled or any(matches(text) for matches in compiled)


def parts_without(glob: str, paths: Collection[str]) -> list[str]:
    """Narrower globs that match none of the paths, though who writes the glob expects each to match one: what stands
    between its commas, and the ends of its ranges, `layers[9]` of `layers[4-9]`. The glob itself where it matches
    none at all."""
    if not any(map(compile_glob(glob), paths)):
        return [glob]
    several: list[list[str]] = [[]]
    for token in _TOKEN.finditer(_BEHIND.sub("", glob)):
        if token["one"] == ",":
            several.append([])
        else:
            several[-1].append(token[0])
    narrower = [["".join(parts).strip(), *_with_ends(parts)] for parts in several if "".join(parts).strip()]
    missing = [[each for each in group if not any(map(compile_glob(each), paths))] for group in narrower]
    return [each for group in missing for each in group[:1]]


def _with_ends(parts: list[str]) -> Iterator[str]:
    """A glob with only one end of one of its ranges, for each range and both its ends."""
    for at, part in enumerate(parts):
        token = _TOKEN.fullmatch(part)
        for numbers in map(_range, token["numbers"].split(",") if token and token["numbers"] else ()):
            for end in dict.fromkeys((numbers[0], numbers[-1])):
                yield "".join([*parts[:at], f"[{end}]", *parts[at + 1 :]])


def close_to(glob: str, paths: Iterable[str], *, most: int = 3) -> list[str]:
    """Paths, or one glob, that a mistyped glob may have meant, nearest first."""
    known = list(dict.fromkeys(paths))[:5_000]
    if any(map(compile_glob(f"*.{glob}"), known)):
        return [f"*.{glob}"]
    wanted = glob.strip("*").strip(".")
    return list(dict.fromkeys([*_with_steps_between(wanted, known), *nearest(wanted, known, n=most, cutoff=0.5)]))[
        :most
    ]


def _with_steps_between(glob: str, paths: Iterable[str]) -> list[str]:
    """Paths that begin and end with the steps of a glob, and have others in between; those with the fewest first."""
    wanted = glob.split(".")
    found = []
    for path in paths if len(wanted) > 1 else ():
        steps = path.split(".")
        more = len(steps) - len(wanted)
        if more > 0 and any(
            steps[:at] == wanted[:at] and steps[at + more :] == wanted[at:] for at in range(1, len(wanted))
        ):
            found.append((more, path))
    return [path for _, path in sorted(found, key=lambda each: each[0])]


def missed(glob: str, paths: Iterable[str]) -> str:
    """What to write instead of a glob that matches nothing: the nearest paths, and how brackets are read."""
    near = close_to(glob, paths)
    hint = f"Near it: {', '.join(near)}." if near else "`*` crosses dots: 'encoder.*', '*.bias'."
    is_misread = any(token["key"] and token["key"][1] not in "'\"" for token in _TOKEN.finditer(glob))
    return f"{hint} Note that {BRACKETS}." if is_misread else hint
