"""The clips of a release on disk, whose extensions depend on what a site offered when they were fetched."""

from etils import epath

EXTENSIONS = ("mp4", "mkv", "webm", "avi", "mov", "flv", "3gp", "ogv")


class ClipFiles:
    """The clips in a folder and its subfolders, found by their path without its extension.

    The folder is listed once: a look at each of half a million clips would take an hour on an object store.
    """

    def __init__(self, folder: epath.Path):
        """Lists the folder; one that is not there counts as empty."""
        self._folder = str(folder)
        self._paths: dict[str, str] = {}
        if folder.is_dir():
            self._list(folder, "")

    def path(self, *names: str) -> str:
        """The file of the first of these names that is there, such as "yoga/0c_000010_000020" (no extension).

        If none is, where an mp4 of the first would be: the caller finds it missing when it looks at its media.
        """
        for name in names:
            if name in self._paths:
                return self._paths[name]
        return f"{self._folder}/{names[0]}.mp4"

    def _list(self, folder: epath.Path, prefix: str) -> None:
        for entry in folder.iterdir():
            stem, dot, extension = entry.name.rpartition(".")
            if dot and extension.lower() in EXTENSIONS:
                # Of two files of one name, always the same one is taken, in whatever order they are listed.
                name, path = f"{prefix}{stem}", f"{self._folder}/{prefix}{entry.name}"
                self._paths[name] = min(path, self._paths.get(name, path))
            elif entry.is_dir():
                self._list(entry, f"{prefix}{entry.name}/")
