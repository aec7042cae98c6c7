"""What was assumed beside what was seen, line by line, as Markdown and as JSON.

Separate because it must not be possible to write a line that says more than was seen."""

import json
from dataclasses import asdict, dataclass

AS_ASSUMED, OTHERWISE = "as assumed", "NOT as assumed"
# It was looked for and not seen; it was looked for, and what it is about did not come about; nobody looked; nobody can.
NOT_SEEN, NOT_SHOWN, NOT_ASKED, NOT_REHEARSED = "not seen", "not shown", "not asked", "not to be rehearsed"
SIMULATED = "the simulated account"


@dataclass(frozen=True)
class Answer:
    """What was seen, whether it is what was assumed (None: it does not show), and where it was seen."""

    seen: str
    is_so: bool | None
    source: str


@dataclass(frozen=True)
class Line:
    about: str
    assumed: str
    seen: str
    result: str
    source: str


class Table:
    def __init__(self, account):
        self.account, self.lines = account, []

    def compare(self, question, answer):
        """Something was seen."""
        result = {None: NOT_SHOWN, True: AS_ASSUMED, False: OTHERWISE}[answer.is_so]
        self._add(question, answer.seen, result, answer.source)

    def leave(self, question, result, why):
        """Nothing was seen: `result` says in which sense, and no line says what."""
        assert result in (NOT_SEEN, NOT_ASKED, NOT_REHEARSED)
        self._add(question, f"nothing: {why}", result, "none")

    def _add(self, question, seen, result, source):
        if self.account.is_rehearsal and source != "none":
            source, result = f"{SIMULATED}: {source}", f"{result}, simulated"
        elif self.account.is_rehearsal:
            source = f"{SIMULATED}: none"
        self.lines.append(Line(question.about, question.assumed, seen, result, source))

    def failed(self):
        """The lines that somebody must look at: otherwise than assumed, or not seen though it was looked for."""
        return [line for line in self.lines if line.result.startswith((OTHERWISE, NOT_SEEN))]

    def title(self):
        if self.account.is_rehearsal:
            return "A rehearsal on the simulated account: no line says anything about AWS"
        return f"Seen in account {self.account.id}, {self.account.region}"

    def markdown(self):
        text = lambda words: str(words).replace("|", "\\|").replace("\n", " ")
        rows = [[line.about, line.assumed, line.seen, f"**{line.result}**", line.source] for line in self.lines]
        head = ["about", "assumed", "seen", "result", "source of what was seen"]
        rows = [head, ["---"] * len(head), *rows]
        return f"# {self.title()}\n\n" + "".join(f"| {' | '.join(map(text, row))} |\n" for row in rows)

    def json(self):
        account = {"account": self.account.id, "region": self.account.region, "rehearsal": self.account.is_rehearsal}
        return json.dumps({**account, "lines": [asdict(line) for line in self.lines]}, indent=1) + "\n"

    def write(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "assumptions.md").write_text(self.markdown())
        (folder / "assumptions.json").write_text(self.json())
