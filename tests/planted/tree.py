"""A copy of this tree with something planted in it, and the tests built from it."""

import json
import os
import pathlib
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]


# What a checkout without git's own folder may have besides the tree.
BUILT = {".git", "target", "out", "node_modules", "__pycache__"}


def tracked() -> dict[str, bytes]:
    """The tree as git knows it, with what is not committed; where git does not know it, all of it but what is built there."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True)
    if listed.returncode == 0:
        names = listed.stdout.decode().split("\0")
    else:
        paths = (path.relative_to(ROOT) for path in ROOT.rglob("*"))
        names = [str(path) for path in paths if not BUILT & set(path.parts)]
    return {name: (ROOT / name).read_bytes() for name in names if name and (ROOT / name).is_file()}


def write(files: dict[str, bytes], copy: pathlib.Path) -> None:
    """Leaves alone what is as it should be, so that the next build compiles only what changed."""
    for name, content in files.items():
        target = copy / name
        if target.is_file() and target.read_bytes() == content:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        target.chmod((ROOT / name).stat().st_mode)


def messages(cargo: list[str], copy: pathlib.Path, target: pathlib.Path, profile: str) -> tuple[int, list[dict]]:
    """What cargo says of a build, which tells of its progress itself, and its status."""
    command = ["cargo", *cargo, *packages(profile), "--profile", profile, "--locked", "--message-format=json"]
    environment = os.environ | {"CARGO_TARGET_DIR": str(target), "CARGO_INCREMENTAL": "0"}
    build = subprocess.Popen(command, cwd=copy, env=environment, stdout=subprocess.PIPE, text=True)
    said = [json.loads(line) for line in build.stdout]
    return build.wait(), said


def packages(profile: str) -> list[str]:
    """All, or those that `cargo pure` tests where the profile is its own."""
    if profile != "pure":
        return ["--workspace"]
    words = tomllib.loads((ROOT / ".cargo/config.toml").read_text())["alias"]["pure"].split()
    return words[words.index("--no-default-features"):]


def built(copy: pathlib.Path, target: pathlib.Path, profile: str = "faults") -> dict[str, str] | None:
    """Test binaries and the program `faults`, by name. `None`: it does not build."""
    status, said = messages(["test", "--no-run"], copy, target, profile)
    found = {}
    for message in said:
        if message.get("reason") != "compiler-artifact" or not message.get("executable"):
            continue
        kind, name = message["target"]["kind"][0], message["target"]["name"]
        if kind == "bin" and name == "faults" and not message["profile"]["test"]:
            found["trials"] = message["executable"]
        elif kind == "test":
            found[name] = message["executable"]
        elif kind == "lib" and message["profile"]["test"]:
            found[f"unit tests of {name}"] = message["executable"]
    return None if status else found


def crate(test: str, copy: pathlib.Path) -> pathlib.Path:
    """The folder of the crate that a test binary belongs to."""
    name = test.removeprefix("unit tests of ").replace("_", "-")
    for manifest in [copy / "tests/Cargo.toml", *copy.glob("*/*/Cargo.toml")]:
        folder = manifest.parent
        if f'name = "{name}"' in manifest.read_text() or (folder / "tests" / f"{test}.rs").exists():
            return folder
    sys.exit(f"{test} is of no crate")
