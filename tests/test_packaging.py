"""What is built from the checkout is whole: sdist, the wheel made from it, and commands of that wheel elsewhere."""

import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LINKS = ("derivations", "figures")  # of the checkout, into symsi


def run(*command: str | Path, cwd: Path) -> str:
    """The output of a command, without the modules that PYTHONPATH would add."""
    outside = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, env=outside)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The sdist of this checkout, and the wheel built from the unpacked sdist."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (sdist,), (wheel,) = out.glob("*.tar.gz"), out.glob("*.whl")
    return sdist, wheel


@pytest.fixture(scope="module")
def installed(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`bin` of a fresh environment: the wheel, behind it the packages of this one, but not its editable installs."""
    home = tmp_path_factory.mktemp("venv")
    venv.create(home, symlinks=True)
    paths = sysconfig.get_paths("venv", {"base": str(home), "platbase": str(home)})
    packages = {sysconfig.get_paths()[kind] for kind in ("purelib", "platlib")}
    (Path(paths["purelib"]) / "dependencies.pth").write_text("\n".join(sorted(packages)))
    python = Path(paths["scripts"]) / "python"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python]
    run(*pip, "install", "--no-deps", "--no-index", "--no-compile", "--ignore-installed", built[1], cwd=home)
    return python.parent


def wheel_names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def files(room: str) -> set[str]:
    found = (path.relative_to(ROOT) for path in (ROOT / room).rglob("*") if path.is_file())
    return {path.as_posix() for path in found if "__pycache__" not in path.parts}


def test_the_sdist_holds_every_file_once(built: tuple[Path, Path]) -> None:
    with tarfile.open(built[0]) as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]
    assert len(names) == len(set(names))
    assert {"README.md", "LICENSE", "Makefile", "constraints.txt", "CHANGELOG.md", "CITATION.cff"} <= set(names)
    for room in ("symsi", "tests", "docs"):
        assert files(room) == {name for name in names if name.startswith(f"{room}/")}
    assert not [name for name in names if name.startswith(LINKS)]


def test_the_wheel_holds_the_package_without_prints_and_training_logs(built: tuple[Path, Path]) -> None:
    expected = {name for name in files("symsi") if not name.endswith((".pdf", ".log"))}
    assert wheel_names(built[1]) == expected
    for kind in (".safetensors", ".json", ".css", ".js", ".png", ".md"):
        assert any(name.endswith(kind) for name in expected), kind


def test_the_installed_package_is_the_wheel(installed: Path, tmp_path: Path) -> None:
    lines = run(installed / "python", "-c", "import symsi.diffusers as s; print(s.__file__)", cwd=tmp_path)
    assert Path(lines.strip()).is_relative_to(installed.parent)
    assert not Path(lines.strip()).is_relative_to(ROOT)


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("verify --only T4", "proved"),
        ("figures --quick --only schedules --out drawn", "schedules.png"),
        ("report --help", "report.html"),
    ],
)
def test_an_installed_command_works(installed: Path, tmp_path: Path, command: str, shown: str) -> None:
    assert shown in run(installed / "symsi", *command.split(), cwd=tmp_path)
    assert (tmp_path / "drawn" / "schedules.png").exists() is ("figures" in command)
