"""Where things lie, and the variables that name other places."""

import importlib
from pathlib import Path

import pytest

from posebook import paths, results

VARIABLES = ("POSEBOOK_RESULTS", "POSEBOOK_RUNS", "POSEBOOK_CACHE")


@pytest.fixture(autouse=True)
def unset(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_everything_lies_in_the_clone(root):
    assert paths.CLONE == root
    assert paths.book_folder() == root / "book"
    assert paths.results_folder() == root / "book" / "results"
    assert paths.runs_folder() == root / "runs"
    assert paths.cache_folder() == root / "runs" / "cache"


def test_each_variable_names_another_place(root, tmp_path, monkeypatch):
    monkeypatch.setenv("POSEBOOK_RESULTS", str(tmp_path / "a"))
    assert paths.results_folder() == tmp_path / "a" and paths.runs_folder() == root / "runs"
    monkeypatch.setenv("POSEBOOK_RUNS", str(tmp_path / "b"))
    assert paths.runs_folder() == tmp_path / "b"
    assert paths.cache_folder() == tmp_path / "b" / "cache", "the cache goes with the runs"
    monkeypatch.setenv("POSEBOOK_CACHE", str(tmp_path / "c"))
    assert paths.cache_folder() == tmp_path / "c" and paths.runs_folder() == tmp_path / "b"


@pytest.mark.parametrize("name", VARIABLES)
def test_an_empty_variable_names_nothing(name, monkeypatch):
    folders = (paths.results_folder, paths.runs_folder, paths.cache_folder)
    before = [folder() for folder in folders]
    monkeypatch.setenv(name, "")
    assert [folder() for folder in folders] == before


def test_a_variable_is_read_when_it_is_needed(tmp_path, monkeypatch):
    importlib.import_module("posebook.video.run")
    monkeypatch.setenv("POSEBOOK_RESULTS", str(tmp_path))
    assert results.results_folder() == tmp_path
    monkeypatch.delenv("POSEBOOK_RESULTS")
    assert results.results_folder().parts[-2:] == ("book", "results")


def test_without_a_clone_the_variable_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "CLONE", tmp_path / "site")
    for folder in (paths.book_folder, paths.results_folder):
        with pytest.raises(FileNotFoundError, match="POSEBOOK_RESULTS"):
            folder()
    monkeypatch.setenv("POSEBOOK_RESULTS", str(tmp_path))
    assert paths.results_folder() == tmp_path


@pytest.mark.parametrize("folder", ["results", Path("results")])
def test_runs_on_official_data_have_a_folder_of_their_own(folder):
    for dataset in ("embedded-views", "embedded-video"):
        assert paths.folder_of(dataset, folder) == Path("results")
    assert paths.folder_of("human36m", folder) == Path("results/human36m")
