"""Requirements: pip, pip's constraints and conda have the same list."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
CONDA_NAMES = {"torch": "pytorch"}
IMPORTS = {"scikit-learn": "sklearn"}

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def exact(requirements: list[str]) -> dict[str, str]:
    """Map the name of each requirement to its version. Every requirement must be pinned."""
    return dict(requirement.split("==") for requirement in requirements)


def test_conda_has_every_runtime_requirement_in_the_same_version() -> None:
    entries = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    conda = dict(entry.split("=") for entry in entries if re.fullmatch(r"[\w.-]+=[\w.]+", entry))
    assert conda == {CONDA_NAMES.get(name, name): version for name, version in exact(PROJECT["dependencies"]).items()}


def test_conda_and_pip_want_the_same_python() -> None:
    entries = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    assert f"python{PROJECT['requires-python']}" in entries


def test_constraints_pin_everything_that_is_required() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    constraints = {name.lower().replace("_", "-"): version for name, version in exact(lines).items()}
    for group in (PROJECT["dependencies"], PROJECT["optional-dependencies"]["dev"]):
        for name, version in exact(group).items():
            assert constraints[name] == version


def test_the_citation_and_the_changelog_have_the_version_of_the_project() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"]
    assert f"## {PROJECT['version']}" in (ROOT / "CHANGELOG.md").read_text()


def test_imported_packages_are_required_and_required_packages_are_imported() -> None:
    imported = {
        module
        for file in (ROOT / "src").rglob("*.py")
        for module in re.findall(r"^\s*(?:import|from) ((?:ruamel\.)?\w+)", file.read_text(), re.MULTILINE)
    }
    required = {IMPORTS.get(name, name.replace("-", "_")) for name in exact(PROJECT["dependencies"])}
    outside = {"captum", "grimp", "matplotlib", "numpy", "pandas", "psutil", "pyarrow", "pydantic", "safetensors"}
    outside |= {"scipy", "seaborn", "sklearn", "snakemake", "torch", "typer"}
    assert imported & outside <= required
    assert required <= imported | {"snakemake", "snakemake_logger_plugin_rich"}, "a requirement that nothing uses"
