"""The processes that a run of ours has started, by the variable of the environment that each of them has."""

from pathlib import Path

MARK = "SPOT_DRILL_MACHINE"


def marked(pid, machine=""):
    """Those of the run of this process, itself and its watchdogs apart; of one machine if it is named."""
    found = []
    mark = f"{MARK}={pid}-".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            variables = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if any(one.startswith(mark) and f"/{machine}".encode() in one for one in variables):
            found.append(int(folder.name))
    return found
