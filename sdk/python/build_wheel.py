"""Builds the package (PEP 517) with the standard library alone, so that it can be built where nothing can be downloaded.

`pip wheel .` and `python -m build` find it through pyproject.toml. The same files give the same wheel, byte for byte.
"""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

_HERE = Path(__file__).parent
_EPOCH = (1980, 1, 1, 0, 0, 0)
#: What an archive of the source holds, besides the package.
_SOURCES = ("pyproject.toml", "build_wheel.py", "README.md", "CHANGELOG.md", "LICENSE")


def _project() -> dict[str, str]:
    """The plain texts of pyproject.toml's [project]; Python 3.10 has no reader for it."""
    section = (_HERE / "pyproject.toml").read_text().split("[project]", 1)[1]
    pairs = [line.split(" = ", 1) for line in section.splitlines() if " = " in line]
    return {name: value.strip('"') for name, value in pairs if value.startswith('"')}


def _license() -> bytes:
    """In the repository it lies at the root; in an archive of the source beside this file."""
    own = _HERE / "LICENSE"
    return (own if own.exists() else _HERE.parent.parent / "LICENSE").read_bytes()


def _package_files() -> dict[str, bytes]:
    paths = [path for path in sorted((_HERE / "obol").rglob("*")) if path.suffix in (".py", ".typed")]
    return {path.relative_to(_HERE).as_posix(): path.read_bytes() for path in paths}


def _metadata(project: dict[str, str]) -> bytes:
    head = [
        "Metadata-Version: 2.4",
        f"Name: {project['name']}",
        f"Version: {project['version']}",
        f"Summary: {project['description']}",
        f"License-Expression: {project['license']}",
        "License-File: LICENSE",
        f"Requires-Python: {project['requires-python']}",
        "Classifier: Programming Language :: Python :: 3",
        "Classifier: Typing :: Typed",
        "Description-Content-Type: text/markdown",
    ]
    return "\n".join([*head, "", (_HERE / "README.md").read_text()]).encode()


def build_wheel(wheel_directory: str, config_settings: object = None, metadata_directory: str | None = None) -> str:
    """Writes the wheel, and gives its name."""
    project = _project()
    info = f"{project['name']}-{project['version']}.dist-info"
    files = {
        **_package_files(),
        f"{info}/licenses/LICENSE": _license(),
        f"{info}/METADATA": _metadata(project),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: obol\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [f"{name},sha256={_digest(data)},{len(data)}" for name, data in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""]).encode()
    name = f"{project['name']}-{project['version']}-py3-none-any.whl"
    with zipfile.ZipFile(Path(wheel_directory) / name, "w", zipfile.ZIP_DEFLATED) as wheel:
        for path, data in files.items():
            entry = zipfile.ZipInfo(path, _EPOCH)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            wheel.writestr(entry, data)
    return name


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def build_sdist(sdist_directory: str, config_settings: object = None) -> str:
    """Writes the archive of the source, and gives its name."""
    project = _project()
    base = f"{project['name']}-{project['version']}"
    files = {**_package_files(), "PKG-INFO": _metadata(project)}
    files |= {name: _license() if name == "LICENSE" else (_HERE / name).read_bytes() for name in _SOURCES}
    with tarfile.open(Path(sdist_directory) / f"{base}.tar.gz", "w:gz", format=tarfile.PAX_FORMAT) as archive:
        for path, data in files.items():
            entry = tarfile.TarInfo(f"{base}/{path}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return f"{base}.tar.gz"
