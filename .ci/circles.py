#!/usr/bin/env python3
"""No modules of one crate import each other in a circle.

The rule: where module A names an item of module B, take the closest module that contains both. If
that is A or B itself, the two are parent and descendant, which may use each other. Otherwise the
import counts between the two children of it that contain A and B. Among the children of one
module, imports must form no circle. A name that a module re-exports counts for the module that
defines it. Modules called `tests`, `models` or `checks` do not count, nor does code under
`#[cfg(test)]`.
"""

import os
import re
import sys

CRATES = ["store", "protocol", "worker", "macros", "framework", "benches", "examples"]
SKIPPED = {"tests", "models", "checks"}

# Children that may still form circles, by parent, and why. A child that forms none any more is
# taken off.
KNOWN = {
    # A handle asks its engine for its value, and an engine gives out handles.
    "protocol": "engine handles",
    # A handle gives out payloads, and a payload refers to objects by handles.
    "protocol::handles": "object_handle payload",
    # An actor's value waits as a task does (`block_on`), and a task passes the value on. A context
    # asks the task that runs, and the task sets it.
    "worker": "actor context process",
    # The worker's state is one value, on which the steps of a task are methods.
    "worker::process": "own_calls shortage tasks worker",
    # The scheduler is one value as well; plain types and its methods are not yet apart.
    "framework::scheduler": "actors claims functions task worker workers counts lending objects",
    # A type that travels knows how it is encoded, and the codecs know those types.
    "framework::typed": "actor arg as_completed bound bytes call codecs flat join map mismatch nd "
    "object_ref object_stream private probe put runtime_api shared split",
    # A ref finds its actor by name, and what looks for a name gives out refs.
    "framework::typed::actor": "actor_ref call lookup",
}


def plain(text):
    """The code without comments, strings and character literals; lines keep their numbers."""
    pattern = re.compile(
        r'//[^\n]*|/\*.*?\*/|b?r(#*)".*?"\1|b?"(?:\\.|[^"\\])*"|b?\'(?:\\[^\n]+?|[^\\\n])\'', re.S
    )
    return pattern.sub(lambda m: re.sub(r"[^\n]", "_" if m[0][0] in "\"'br" else " ", m[0]), text)


def close(text, at):
    """The place behind the bracket that closes the one at `at`."""
    depth = 0
    for i in range(at, len(text)):
        depth += (text[i] in "{[(") - (text[i] in "}])")
        if depth == 0:
            return i + 1
    return len(text)


def blank(text, begin, end):
    return text[:begin] + re.sub(r"[^\n]", " ", text[begin:end]) + text[end:]


def without_tests(text):
    """Blanks each item under `#[cfg(test)]` and the like."""
    for m in reversed(list(re.finditer(r"#\[cfg\((?:all\()?(?:test|loom)\b[^\]]*\]", text))):
        item = re.compile(r"[;{]").search(text, m.end())
        if item:
            end = close(text, item.start()) if item[0] == "{" else item.end()
            if text[m.end() : item.start()].split()[:1] == ["use"]:
                end = text.index(";", m.end()) + 1
            text = blank(text, m.start(), end)
    return text


def leaves(tree, prefix=()):
    """The paths in a `use` tree, each with the name that it gets."""
    tree = tree.strip()
    if tree.startswith("{"):
        depth, start = 0, 1
        for i, c in enumerate(tree):
            depth += (c == "{") - (c == "}")
            if (c == "," and depth == 1) or depth == 0:
                if tree[start:i].strip():
                    yield from leaves(tree[start:i], prefix)
                start = i + 1
        return
    head, found, rest = tree.partition("::")
    if found:
        yield from leaves(rest, prefix + (head.strip(),))
        return
    path, _, name = tree.partition(" as ")
    path = prefix if path.strip() == "self" else prefix + (path.strip(),)
    yield path, name.strip() or path[-1]


class Crate:
    def __init__(self, name):
        self.name, self.files, self.code, self.names = name, {}, {}, {}
        root = os.path.join(name, "src")
        for folder, _, files in os.walk(root):
            parts = tuple(os.path.relpath(folder, root).split(os.sep)) if folder != root else ()
            if parts[:1] == ("bin",):
                continue
            for file in files:
                if not file.endswith(".rs") or file == "main.rs":
                    continue
                own = parts if file in ("mod.rs", "lib.rs") else parts + (file[:-3],)
                if not SKIPPED & set(own):
                    self.files[own] = os.path.join(folder, file)
        for module, path in list(self.files.items()):
            with open(path) as text:
                self.read(module, without_tests(plain(text.read())))

    def read(self, module, text):
        """Takes a module's code, and that of modules inside it."""
        while m := re.search(r"\bmod\s+(\w+)\s*\{", text):
            end = close(text, m.end() - 1)
            inner = "\n" * text.count("\n", 0, m.end()) + text[m.end() : end - 1]
            if m[1] not in SKIPPED:
                self.files[module + (m[1],)] = self.files[module]
                self.read(module + (m[1],), inner)
            text = blank(text, m.start(), end)
        uses = []
        for m in re.finditer(r"\buse\s+([^;]+);", text):
            line = text.count("\n", 0, m.start()) + 1
            uses += [(path, name, line) for path, name in leaves(m[1].removeprefix("::"))]
            text = blank(text, m.start(), m.end())
        self.names[module] = {name: path for path, name, _ in uses if name not in ("_", "*")}
        paths = [(path, line) for path, _, line in uses]
        for m in re.finditer(r"(?<![\w$:])(?:crate|super|self)(?:\s*::\s*\w+)+", text):
            line = text.count("\n", 0, m.start()) + 1
            paths.append((tuple(re.split(r"\s*::\s*", m[0])), line))
        self.code[module] = paths

    def resolve(self, module, path, seen=()):
        """The module that defines what `path` names, seen from `module`; none if another crate."""
        at = module
        for i, part in enumerate(path):
            if part == "crate":
                at = ()
            elif part == "super":
                at = at[:-1]
            elif part == "self":
                pass
            elif at + (part,) in self.files:
                at += (part,)
            elif part in self.names.get(at, {}) and (at, part) not in seen:
                seen += ((at, part),)
                return self.resolve(at, self.names[at][part] + path[i + 1 :], seen)
            elif i == 0:
                return None
            else:
                return at
        return at

    def edges(self):
        """Per parent: from child to child, with the places that import."""
        found = {}
        for module, paths in self.code.items():
            for path, line in paths:
                target = self.resolve(module, path)
                if target is None:
                    continue
                same = 0
                while same < min(len(module), len(target)) and module[same] == target[same]:
                    same += 1
                if same < len(module) and same < len(target):
                    pair = (module[same], target[same])
                    places = found.setdefault(module[:same], {}).setdefault(pair, [])
                    places.append(f"{self.files[module]}:{line} uses {'::'.join(target)}")
        return found


def circles(pairs):
    """The groups of children that reach each other."""
    reach = {}
    for start in {a for a, _ in pairs}:
        todo, seen = [start], set()
        while todo:
            at = todo.pop()
            new = {b for a, b in pairs if a == at} - seen
            seen |= new
            todo += new
        reach[start] = seen
    groups = {frozenset(b for b in reach[a] if a in reach.get(b, ())) for a in reach}
    return [group for group in groups if len(group) > 1]


def main():
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    failed = False
    unused = {(parent, child) for parent, children in KNOWN.items() for child in children.split()}
    for name in CRATES:
        for parent, pairs in sorted(Crate(name).edges().items()):
            path = "::".join((name, *parent))
            known = set(KNOWN.get(path, "").split())
            for group in sorted(circles(pairs), key=sorted):
                unused -= {(path, child) for child in group}
                if group <= known:
                    continue
                failed = True
                print(f"{path}: a circle of {' '.join(sorted(group))}")
                for (a, b), places in sorted(pairs.items()):
                    if {a, b} <= group and not {a, b} <= known:
                        more = f" (and {len(places) - 1} more)" if places[1:] else ""
                        print(f"  {a} -> {b}: {places[0]}{more}")
    for parent, child in sorted(unused):
        failed = True
        print(f"{parent}: {child} is in no circle any more; take it off the list in .ci/circles.py")
    sys.exit(failed)


if __name__ == "__main__":
    main()
