"""Takes the libraries of the HTML report from npm: `python docs/vendor.py echarts@6.1.0 tabulator-tables@6.5.3`.

Without arguments, the versions that are there already, whose checksums have to be the ones that are recorded.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

HOME = Path(__file__).parent.parent / "paramscope" / "render" / "document" / "_app" / "vendor"
FILES = {
    "echarts": {"dist/echarts.min.js": "echarts.min.js", "LICENSE": "LICENSE.echarts", "NOTICE": "NOTICE.echarts"},
    "tabulator-tables": {
        "dist/js/tabulator.min.js": "tabulator.min.js",
        "dist/css/tabulator.min.css": "tabulator.min.css",
        "LICENSE": "LICENSE.tabulator",
    },
}
RECORD = HOME / "vendored.json"


def take(name: str, version: str) -> dict[str, object]:
    """Writes the files of one library; what is recorded of it."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", "--silent", f"{name}@{version}"], cwd=folder, check=True)
        (archive,) = Path(folder).glob("*.tgz")
        with tarfile.open(archive) as packed:
            found = {path: packed.extractfile(f"package/{path}").read() for path in FILES[name]}  # type: ignore[union-attr]
            licence = json.load(packed.extractfile("package/package.json"))["license"]  # type: ignore[arg-type]
    # What maps the code to its sources names a file that is not there.
    found = {path: content.partition(b"\n//# sourceMappingURL")[0] + b"\n" for path, content in found.items()}
    for path, content in found.items():
        (HOME / FILES[name][path]).write_bytes(content)
    sums = {FILES[name][path]: hashlib.sha256(content).hexdigest() for path, content in found.items()}
    return {"name": name, "version": version, "licence": licence, "sha256": sums}


def main() -> None:
    """Every library, of the version that was asked for."""
    before = {each["name"]: each for each in json.loads(RECORD.read_text())} if RECORD.exists() else {}
    wanted = dict(each.rsplit("@", 1) for each in sys.argv[1:])
    taken = [take(name, wanted.get(name) or before[name]["version"]) for name in FILES]
    for each in taken:
        was = before.get(each["name"])
        if was and was["version"] == each["version"] and was != each:
            sys.exit(f"{each['name']} {each['version']} is not what it was: its checksums differ from {RECORD}")
    RECORD.write_text(json.dumps(taken, indent=2) + "\n")


if __name__ == "__main__":
    main()
