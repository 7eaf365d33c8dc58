"""Blocks of shell commands in documents, typed into a shell command by command, as a reader would."""

import json
import os
import pathlib
import re
import subprocess
import sys

from _program import Failed, clean_environment

ROOT = pathlib.Path(__file__).parents[2]
# What a reader puts in: `ID=con_...` stands for an id of the answer before, `TOKEN=...` for what they have.
LEFT_OUT = re.compile(r"^(\w+)=\S*\.\.\.(?=\s|$)", re.MULTILINE)
# Every answer is kept, and the reader still sees it.
KEEPING = """
curl() {
    local number=$(($(ls "$ANSWERS" | wc -l) + 1))
    command curl --silent --show-error "$@" --write-out '\\n%{http_code}' > "$ANSWERS/$number" && sed '$d' "$ANSWERS/$number"
}
"""
END = "this-command-has-ended"


def blocks(document):
    """The shell blocks of a document, in order."""
    text = (ROOT / document).read_text()
    return re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands(block):
    """Its commands, one at a time: lines are taken together until bash says that they are whole."""
    pending = []
    for line in block.splitlines():
        if not pending and (not line.strip() or line.startswith("#")):
            continue
        pending.append(line)
        text = "\n".join(pending)
        looked_at = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
        # Of a text that ends within a here-document bash only warns.
        if looked_at.returncode == 0 and not looked_at.stderr and not text.endswith("\\"):
            yield text
            pending = []
    if pending:
        raise Failed("no whole command: " + "\n".join(pending))


class Answer:
    """What a curl of the document was answered."""

    def __init__(self, kept):
        text, _, status = kept.rpartition("\n")
        self.status = int(status)
        try:
            self.body = json.loads(text)
        except ValueError:
            self.body = text

    def id(self):
        """The id that the document goes on with: of what was answered, or of the first of a list."""
        body = self.body
        return body["id"] if "id" in body else body["items"][0]["id"]


class Shell:
    """A bash in a directory of its own. `given` are values for what the document cannot know: addresses, tokens, ids."""

    def __init__(self, directory, given):
        self.given = given
        self.answers = directory / "answers"
        self.answers.mkdir(parents=True)
        programs = pathlib.Path(sys.executable).parent
        self.child = subprocess.Popen(
            ["bash"],
            cwd=directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=clean_environment(ANSWERS=str(self.answers), PATH=f"{programs}{os.pathsep}{os.environ['PATH']}"),
        )
        self._say(KEEPING)

    def type(self, text):
        """Types a command; what it wrote, and the answers that its curls had."""
        seen = len(self._kept())
        written, code = self._say(self._filled_in(text))
        if code != 0:
            raise Failed(f"{text}\nended with {code}: {written}")
        return written, [Answer(path.read_text()) for path in self._kept()[seen:]]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.stdin.close()
        self.child.wait(10)

    def _kept(self):
        return sorted(self.answers.iterdir(), key=lambda path: int(path.name))

    def _say(self, text):
        self.child.stdin.write(f"{text}\nprintf '\\n%s %s\\n' {END} $?\n")
        self.child.stdin.flush()
        written = []
        for line in self.child.stdout:
            if line.startswith(END):
                return "".join(written).removesuffix("\n"), int(line.split()[1])
            written.append(line)
        raise Failed(f"{text}\nended the shell: {''.join(written)}")

    def _filled_in(self, text):
        def last_id(found):
            if found.group(1) in self.given:
                return found.group(0)
            kept = self._kept()
            return f"{found.group(1)}={Answer(kept[-1].read_text()).id()}"

        text = LEFT_OUT.sub(last_id, text)
        for name, value in self.given.items():
            text = re.sub(rf"(^|\s){name}=\S+", rf"\g<1>{name}={value}", text)
        return text
