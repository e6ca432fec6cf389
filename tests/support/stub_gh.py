"""A stand-in for GitHub's command line `gh`: one release, kept in the folder `GH_STATE`. A program of its own.

`release view | create | upload | download | edit`, as release.yml calls them. `GH_FLIP` names a file that comes back
with one byte changed; `GH_BREAK` one at whose upload it fails, the file half there.
"""

import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

UPLOADED = '.assets[] | select(.state == "uploaded") | "\\(.digest) \\(.name)"'


def main(command: str, tag: str, options: list[str]) -> int:
    """Do what was asked; return the exit code."""
    state = Path(os.environ["GH_STATE"])
    with (state / "calls").open("a") as calls:
        calls.write(json.dumps([command, tag, *options]) + "\n")
    release, assets = state / tag, state / tag / "assets"
    if command == "create":
        release.mkdir()
        assets.mkdir()
        (release / "draft").write_text("true" if "--draft" in options else "false")
        return 0
    if not release.exists():
        sys.stderr.write("release not found\n")
        return 1
    return {"view": view, "upload": upload, "download": download, "edit": edit}[command](release, assets, options)


def view(release: Path, assets: Path, options: list[str]) -> int:
    """Print what was asked for; half an asset is `starter` at GitHub, and not shown for `uploaded`."""
    if options == ["--json", "isDraft", "--jq", ".isDraft"]:
        sys.stdout.write((release / "draft").read_text() + "\n")
        return 0
    assert options == ["--json", "assets", "--jq", UPLOADED], options
    for path in sorted(assets.iterdir()):
        if path.suffix != ".half":
            sys.stdout.write(f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()} {path.name}\n")
    return 0


def upload(release: Path, assets: Path, options: list[str]) -> int:
    """Take a file."""
    source, clobber = Path(options[0]), "--clobber" in options[1:]
    if source.name == os.environ.get("GH_BREAK"):
        (assets / f"{source.name}.half").write_bytes(b"half")
        return 1
    assert clobber or not (assets / source.name).exists()
    (assets / f"{source.name}.half").unlink(missing_ok=True)
    shutil.copyfile(source, assets / source.name)
    return 0


def download(release: Path, assets: Path, options: list[str]) -> int:
    """Give all files back, one of them changed where that is wanted."""
    for path in assets.iterdir():
        content = path.read_bytes()
        if path.name == os.environ.get("GH_FLIP"):
            content = bytes([content[0] ^ 1]) + content[1:]
        (Path(options[1]) / path.name).write_bytes(content)
    return 0


def edit(release: Path, assets: Path, options: list[str]) -> int:
    """Show the draft to everybody."""
    assert options == ["--draft=false"], options
    (release / "draft").write_text("false")
    return 0


if __name__ == "__main__":
    assert sys.argv[1] == "release"
    sys.exit(main(sys.argv[2], sys.argv[3], sys.argv[4:]))
