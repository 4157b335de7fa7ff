# SPDX-License-Identifier: MIT
"""Holds a document against the list of settings.

settings.py LIST README.md|libcopool.7|copool.1: prints what the list has and the document has not, and the other way round;
the status is 1 then. LIST is what build/completions/settings list writes.
"""

import re
import sys

# What copool run has besides the list: they set COPOOL_MODE and COPOOL_SUMMARY.
OWN_OPTIONS = {"--observe", "--summary"}
LARGEST_PID = "4194304"  # a number that is a process is not told with its range


class Setting:
    def __init__(self, line):
        (self.name, self.variable, self.option, self.kind, self.low, self.high, self.standard, zero, live,
            words) = line.rstrip("\n").split("\t")
        self.has_zero = zero == "zero"
        self.is_live = live == "live"
        self.words = words.split()


def plain(text):
    """A manual page's text without its macros; escapes are what they stand for."""
    text = text.replace(r"\-", "-").replace(r"\&", "")
    text = re.sub(r"^\.(?:\\\".*|[A-Z][a-z]\b ?)", "", text, flags=re.M)
    return re.sub(r"\s+", " ", text)


def readme(text):
    """Of each variable with a row in the table: what the row says, and its default."""
    return {row[1]: (row[2], row[3].strip())
            for row in re.finditer(r"^\| `(COPOOL_\w+)` \| (.*) \| ([^|]*) \|$", text, flags=re.M)}


def items(section, pattern):
    """Of each name that an item of a manual page's list begins with: the item's text, with lists inside of it."""
    found, names = {}, []
    for item in re.split(r"^\.It ", section, flags=re.M)[1:]:
        head, _, body = item.partition("\n")
        names = re.findall(pattern, head) or names
        for name in names:
            found[name] = f"{found.get(name, '')} {plain(head)} {plain(body)}"
    return found


def section(page, begin, end):
    match = re.search(rf"^{begin}$(.*?)^{end}", page, flags=re.M | re.S)
    return match[1] if match else ""


def lacks(setting, text, default):
    """What a text that is to tell all of a setting does not tell."""
    if setting.kind == "number" and setting.high != LARGEST_PID:
        if not re.search(rf"(?<!\d){setting.low} to {setting.high}(?!\d)", text):
            yield f"the range {setting.low} to {setting.high}"
        if setting.has_zero and not re.search(r"(?<!\d)0(?!\d)", text):
            yield "the meaning of 0"
    if setting.kind == "word":
        for word in setting.words:
            if not re.search(rf"\b{word}\b", text):
                yield f"the word {word}"
    if default is None:
        return
    wanted = {"word": setting.words[0] if setting.words else "", "text": "", "switch": "0",
              "number": "" if setting.standard == "derived" else setting.standard}[setting.kind]
    if wanted and not re.search(rf"(?<!\w){wanted}(?!\w)", default):
        yield f"the default {wanted}"


def default_of(text):
    """The words around `default` in a manual's text."""
    return " ".join(re.findall(r"\w+ ?,? \(?(?:[Tt]he )?default", text) + re.findall(r"[Dd]efault(?: is|:) [^,;]{1,20}", text))


def check(told, key, settings, has_default):
    """Compares what a document tells of each name with the list."""
    for setting in settings:
        name = getattr(setting, key)
        if name not in told:
            yield f"{name} is not there"
            continue
        text, default = told[name]
        for missing in lacks(setting, text, default if has_default(setting) else None):
            yield f"{name} lacks {missing}"
    for name in sorted(set(told) - {getattr(setting, key) for setting in settings}):
        yield f"{name} is not in the list"


def main():
    with open(sys.argv[1], encoding="utf-8") as lines:
        settings = [Setting(line) for line in lines]
    with open(sys.argv[2], encoding="utf-8") as document:
        text = document.read()
    variables = {setting.variable for setting in settings}
    wrong = [f"{name} is not in the list" for name in sorted(set(re.findall(r"\bCOPOOL_[A-Z][A-Z_]*[A-Z]\b", text)))
             if name not in variables and not name.startswith(("COPOOL_TEST_", "COPOOL_BUILD"))]
    if sys.argv[2].endswith(".md"):
        rows = readme(text)
        if rows:  # the manual has all of them; a table in README has all, or is not there
            wrong += check(rows, "variable", settings, lambda setting: True)
    elif sys.argv[2].endswith(".7"):
        told = items(section(text, r"\.Sh ENVIRONMENT", r"\.Sh "), r"COPOOL_\w+")
        told = {name: (body, default_of(body)) for name, body in told.items()}
        wrong += check(told, "variable", settings, lambda setting: True)
    else:
        told = items(section(text, r"\.Ss copool run", r"\.Ss "), r"\\-([a-z-]+)")
        told = {f"--{name}": (body, default_of(body)) for name, body in told.items()}
        options = [setting for setting in settings if setting.option != "--"]
        wrong += [f"{name} is not there" for name in OWN_OPTIONS if name not in told]
        told = {name: body for name, body in told.items() if name not in OWN_OPTIONS}
        wrong += check(told, "option", options, lambda setting: setting.kind in ("number", "word"))
        for setting in settings:
            if setting.is_live and not re.search(rf"^\.Op Cm {setting.name} Ns", text, flags=re.M):
                wrong.append(f"copool set lacks {setting.name}")
    for line in wrong:
        print(f"{sys.argv[2].rsplit('/', 1)[-1]}: {line}")
    return 1 if wrong else 0


sys.exit(main())
