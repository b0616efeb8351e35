"""The blocks of a page, and what they are marked with.

    ```sh         commands, which must succeed
    ```console    commands behind "$ ", each with the output that follows it: "..." stands for
                  anything within a line, or, as a line, for any lines
    ```python     a program
    ```yaml       a file, if it is named
    ```text       nothing to run

Marks are HTML comments on the lines in front of a block, which a reader of the page does not see:

    <!-- file: NAME -->         the block is written to that file
    <!-- not run: REASON -->    a test cannot do it
    <!-- needs: PROGRAM -->     run only where the program (or Python module) is there
    <!-- exits: CODE -->        the commands end with that exit code
"""

import re

LANGUAGES = ("sh", "console", "python", "yaml", "text")
MARK = re.compile(r"^<!-- (file|not run|needs|exits): (.+) -->$")
FENCE = re.compile(r"^```(\w*)$")


class Block:
    def __init__(self, page, line, language, marks):
        self.page, self.line, self.language, self.marks = page, line, language, marks
        self.lines = []

    def __str__(self):
        return f"{self.page}:{self.line}"

    @property
    def text(self):
        return "\n".join(self.lines) + "\n"

    def commands(self):
        """[command, expected output or None] of a block that is to be run."""
        if self.language != "console":
            return [[self.text, None]]
        found = []
        for line in self.lines:
            if line.startswith("$ "):
                found.append([line[2:], ""])
            elif found and found[-1][1] == "" and found[-1][0].endswith("\\"):
                found[-1][0] += "\n" + line
            else:
                found[-1][1] += line + "\n"
        return found


def blocks(page, text):
    """All blocks of a page; ValueError where one is not marked as what it is."""
    found, marks, block = [], {}, None
    for number, line in enumerate(text.splitlines(), 1):
        mark, fence = MARK.match(line), FENCE.match(line)
        if block is not None:
            if line == "```":
                found.append(block)
                block = None
            else:
                block.lines.append(line)
        elif mark:
            marks[mark[1]] = mark[2]
        elif fence:
            if fence[1] not in LANGUAGES:
                raise ValueError(f"{page}:{number}: a block of {fence[1] or 'nothing'}: expected "
                                 + ", ".join(LANGUAGES))
            block, marks = Block(page, number, fence[1], marks), {}
        elif line.startswith("    "):
            raise ValueError(f"{page}:{number}: an indented block cannot be marked: use ```sh")
        elif line.strip() and marks:
            raise ValueError(f"{page}:{number}: a mark in front of no block")
    if block is not None:
        raise ValueError(f"{page}:{block.line}: the block does not end")
    return found


def matches(expected, actual):
    """Whether output is as the page shows it."""
    pattern = ""
    for line in expected.splitlines():
        if line.strip() == "...":
            pattern += r"(?:[^\n]*\n)*?"
        else:
            pattern += r"[^\n]*".join(re.escape(part) for part in line.rstrip().split("...")) + r"\n"
    shown = "".join(line.rstrip() + "\n" for line in actual.splitlines())
    return re.fullmatch(pattern, shown) is not None


def prose(text):
    """The page without its blocks."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def links(text):
    return re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", prose(text))


def anchors(text):
    """What headings are linked by, as GitHub makes it."""
    heads = re.findall(r"^#+ (.+)$", prose(text), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
