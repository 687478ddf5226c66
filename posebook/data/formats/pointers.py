"""Git LFS: a small text in the place of a file that was not fetched."""

from pathlib import Path


def lfs_pointer(start: bytes) -> str:
    """What to say after the name of a file that begins so, if it is Git LFS's pointer; else ""."""
    if not start.startswith(b"version https://git-lfs"):
        return ""
    return (
        "is not the file but a pointer of Git LFS to it; run `git lfs pull` in the repository that "
        "it comes from"
    )


def refuse_pointer(path: Path) -> None:
    """Raise ValueError if `path` is Git LFS's pointer to a file in place of the file."""
    with open(path, "rb") as file:
        pointer = lfs_pointer(file.read(64))
    if pointer:
        raise ValueError(f"{path} {pointer}")
