"""Records of the config that results were made from: another config does not replace them, and the same one may."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from general_circuits.running import made_from
from general_circuits.storage.files import MADE_FROM


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a checkout whose study `tiny` was made from config/tiny.yaml."""
    root = tmp_path / "checkout"
    (root / "config").mkdir(parents=True)
    (root / "config/tiny.yaml").write_text("study: tiny")
    made_from.keep(root / "results/tiny", [root / "config/tiny.yaml"], root)
    return root


def check(root: Path, *configs: Path | str) -> None:
    made_from.check(root / "results/tiny", [root / config for config in configs], root)


def test_a_copy_of_the_config_is_refused_and_both_are_named(root: Path) -> None:
    shutil.copy(root / "config/tiny.yaml", root / "config/mine.yaml")
    with pytest.raises(made_from.OtherConfigError) as refusal:
        check(root, "config/mine.yaml")
    for part in ("config/mine.yaml", "config/tiny.yaml", "results/tiny/made_from.txt", "--replace"):
        assert part in str(refusal.value)
    (root / "results/tiny" / MADE_FROM).unlink()
    check(root, "config/mine.yaml")


def test_the_same_config_may_be_edited_and_named_in_any_way(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "config/tiny.yaml").write_text("study: tiny\nreplicas: 9")
    (root / "link.yaml").symlink_to("config/tiny.yaml")
    monkeypatch.chdir(root)
    for name in ("config/tiny.yaml", "config/../config/tiny.yaml", "link.yaml", str(root / "config/tiny.yaml")):
        made_from.check(Path("results/tiny"), [Path(name)], Path.cwd())
    check(root, "config/tiny.yaml", "config/changes.yaml")


def test_a_renamed_config_takes_the_results_with_it(root: Path) -> None:
    (root / "config/tiny.yaml").rename(root / "config/renamed.yaml")
    check(root, "config/renamed.yaml")
    made_from.keep(root / "results/tiny", [root / "config/renamed.yaml"], root)
    (root / "config/tiny.yaml").write_text("study: tiny")
    with pytest.raises(made_from.OtherConfigError, match=r"made from config/renamed\.yaml"):
        check(root, "config/tiny.yaml")


def test_a_copied_checkout_uses_its_own_config(root: Path) -> None:
    copy = Path(shutil.copytree(root, root.with_name("copy")))
    check(copy, "config/tiny.yaml")
    with pytest.raises(made_from.OtherConfigError):
        check(copy, root / "config/tiny.yaml")


def test_a_config_outside_the_checkout_is_known_by_its_whole_path(root: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.yaml").write_text("study: tiny")
    made_from.keep(root / "results/tiny", [tmp_path / "one.yaml"], root)
    check(root, tmp_path / "one.yaml")
    with pytest.raises(made_from.OtherConfigError, match=r"one\.yaml"):
        check(root, tmp_path / "two.yaml")
    (tmp_path / "one.yaml").unlink()  # on another machine, say
    check(root, tmp_path / "two.yaml")


def test_results_without_a_readable_record_are_anybody_s(root: Path) -> None:
    for content in (b"", b"\xff"):
        (root / "results/tiny" / MADE_FROM).write_bytes(content)
        check(root, "config/mine.yaml")


def test_settings_from_the_command_line_alone_do_not_replace_results(root: Path) -> None:
    with pytest.raises(made_from.OtherConfigError, match=r"^the command line: "):
        check(root)
