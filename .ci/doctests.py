#!/usr/bin/env python3
"""Each public item of `mobula` has an example that runs.

Reads the JSON that rustdoc writes of each crate. Items are what users of `mobula` can name:
functions, macros, types, traits, the methods of types, and the methods that a trait declares.
Methods of trait implementations and hidden items do not count. An example is a code block that
`cargo test --doc` compiles and runs.
"""

import json
import os
import re
import sys

CRATES = ["mobula", "mobula_protocol", "mobula_worker", "mobula_store", "mobula_macros"]
TYPES = {"struct", "enum", "union", "type_alias"}
ITEMS = TYPES | {"function", "trait", "macro", "proc_macro"}
# Words behind the fence of a code block that runs.
RUNS = re.compile(r"(rust|should_panic|standalone_crate|edition\d+)?")

# What still stands without an example. Take an item off the list when it has one.
KNOWN = """
"""


class Docs:
    def __init__(self, folder):
        self.crates = {}
        for name in CRATES:
            with open(os.path.join(folder, name + ".json")) as text:
                self.crates[name] = json.load(text)
        self.places = {
            (path["kind"], tuple(path["path"])): (name, int(item))
            for name, crate in self.crates.items()
            for item, path in crate["paths"].items()
            if path["crate_id"] == 0
        }
        self.found = {}

    def item(self, crate, number):
        """The crate that defines an item, and the item there; nothing if the crate is not ours."""
        here = self.crates[crate]
        if str(number) in here["index"]:
            return crate, here["index"][str(number)]
        path = here["paths"].get(str(number))
        place = path and self.places.get((path["kind"], tuple(path["path"])))
        return place and (place[0], self.crates[place[0]]["index"][str(place[1])])

    def add(self, name, item, more_docs=""):
        has = runs(more_docs) or runs(item["docs"] or "")
        self.found[name] = self.found.get(name, True) and has

    def walk(self, crate, number, prefix="", rename=None, more_docs=""):
        """Takes an item, and what it contains."""
        place = self.item(crate, number)
        if not place:
            return
        crate, item = place
        kind, inner = next(iter(item["inner"].items()))
        if kind == "use":
            if inner["is_glob"]:
                for child in self.children(*self.item(crate, inner["id"])):
                    self.walk(crate, child, prefix)
            elif inner["id"] is not None:
                self.walk(
                    crate, inner["id"], prefix, inner["name"], more_docs + (item["docs"] or "")
                )
            return
        name = prefix + (rename or item["name"] or "")
        if kind == "module":
            if name == "prelude":
                return
            for child in inner["items"]:
                self.walk(crate, child, name + "::" if number != self.crates[crate]["root"] else "")
        elif kind in ITEMS:
            self.add(name, item, more_docs)
            for child in self.children(crate, item):
                method = self.crates[crate]["index"][str(child)]
                if "function" in method["inner"] and (
                    kind == "trait" or method["visibility"] == "public"
                ):
                    self.add(f"{name}::{method['name']}", method)

    def children(self, crate, item):
        """The methods of a type or a trait, or the items of a module."""
        index = self.crates[crate]["index"]
        inner = next(iter(item["inner"].values()))
        found = inner["items"] if "items" in inner else []
        for number in inner["impls"] if "impls" in inner else []:
            block = index.get(str(number), {"inner": {"impl": {"trait": True}}})["inner"]["impl"]
            found = found + (block["items"] if block["trait"] is None else [])
        return [child for child in found if str(child) in index]


def runs(docs):
    """Whether the text has a code block that runs."""
    inside = False
    for line in docs.splitlines():
        if fence := re.match(r"\s*```+(.*)", line):
            if not inside and all(
                RUNS.fullmatch(word) for word in re.split(r"[\s,]+", fence[1].strip())
            ):
                return True
            inside = not inside
    return False


def main():
    docs = Docs(sys.argv[1])
    docs.walk("mobula", docs.crates["mobula"]["root"])
    without = {name for name, has in docs.found.items() if not has}
    known = set(KNOWN.split())
    for name in sorted(without - known):
        print(f"{name}: has no example that runs")
    for name in sorted(known - without):
        print(f"{name}: has an example or is gone; take it off the list in .ci/doctests.py")
    count = len(docs.found)
    print(f"{count - len(without)} of {count} public items have an example that runs")
    sys.exit(without != known)


if __name__ == "__main__":
    main()
