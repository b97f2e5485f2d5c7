"""All files of the package are opened for writing in one place, which never follows a link."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import paretohqd

PACKAGE = Path(paretohqd.__file__).parent
PLACE = "frames/new_files.py"

OPENS = {"write_text", "write_bytes", "touch", "symlink_to", "hardlink_to", "copyfile", "copy2"}
"""Methods that open a file by its name, or make one."""
WRITES = {"write_parquet", "write_csv", "write_ndjson", "write_ipc", "sink_parquet", "sink_csv"}
"""Methods that write into an open file, into memory, or into the file that they are given."""
RUN_FOLDERS = {"self", "self.folder", "s.folder"}
"""What has a method `write_text` of its own, which is `frames.writing.write_text`."""

KNOWN = {
    ("cli/main.py", "os.open(os.devnull, os.O_WRONLY)"): "the device that swallows all",
    ("cli/rows.py", "file.write_bytes(text)"): "in a new temporary folder",
    ("cli/rows.py", "open(sys.stdout.fileno(), 'wb', closefd=False)"): "open already",
    (
        "models/cache.py",
        "os.open(lock, os.O_RDWR | os.O_CREAT | os.O_EXCL, 384)",
    ): "a new lock, or none",
    ("models/cache.py", "os.open(lock, os.O_RDWR | NO_LINK)"): "a lock that is there, no link",
    (
        "models/served_adapters.py",
        "shutil.copyfile(file, folder / file.name)",
    ): "in a new temporary folder",
    (
        "models/served_adapters.py",
        "shutil.copyfile(adapter / name, folder / name)",
    ): "in a new temporary folder",
    ("models/template_files.py", "os.open(file, flags)"): "to read",
    ("runs/folder.py", "os.open(path, os.O_RDONLY)"): "to put on the disk what was written",
}


def calls() -> Iterator[tuple[str, ast.Call]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                yield path.relative_to(PACKAGE).as_posix(), node


def opens_for_writing(call: ast.Call) -> bool:
    if isinstance(call.func, ast.Attribute):
        name, owner = call.func.attr, ast.unparse(call.func.value)
        if name in OPENS:
            return owner not in RUN_FOLDERS
        if name in WRITES:
            return bool(call.args) and ast.unparse(call.args[0]) not in ("file", "buffer")
        if (owner, name) == ("os", "open"):
            return True
    elif isinstance(call.func, ast.Name):
        name = call.func.id
    else:
        return False
    given = [*call.args, *(keyword.value for keyword in call.keywords)]
    modes = [v.value for v in given if isinstance(v, ast.Constant) and isinstance(v.value, str)]
    return name == "open" and any(
        set(mode) & set("wax+") and set(mode) <= set("rwaxbt+") for mode in modes
    )


def test_no_other_module_opens_a_file_for_writing() -> None:
    found = {
        (file, ast.unparse(call))
        for file, call in calls()
        if file != PLACE and opens_for_writing(call)
    }
    assert found == set(KNOWN), f"open it by {PLACE}, or say here why not"


def test_the_search_finds_what_it_looks_for() -> None:
    lines = ["path.write_text('x')", "open(p, 'w')", "p.open(mode='ab')", "f.write_csv(out / 'a')"]
    harmless = ["open(p)", "open(p, 'rb')", "f.write_csv(file)", "f.write_csv()", "s.open('waltz')"]
    for line in [*lines, *harmless]:
        (expression,) = ast.parse(line).body
        assert isinstance(expression, ast.Expr)
        assert isinstance(expression.value, ast.Call)
        assert opens_for_writing(expression.value) == (line in lines), line
