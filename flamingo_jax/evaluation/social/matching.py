"""Keys of a user's file against those of the rows."""

from collections.abc import Collection

from flamingo_jax.config import ConfigError


def check_keys(given: Collection[str], known: Collection[str], path: str, rows: str, *, skip: bool) -> int:
    """Checks that the rows have what a file speaks of.

    Args:
      given: keys (or texts) of the file.
      known: those of the rows.
      path, rows: the two files, for messages.
      skip: keys that no row has are left out, as of annotations of more pictures than were asked about.

    Returns:
      How many keys of the file no row has.

    Raises:
      ConfigError: no key fits, or some do not and `skip` is false.
    """
    there = set(known)
    unknown = [key for key in given if key not in there]
    first = ", ".join(map(repr, unknown[:3]))
    if len(unknown) == len(given):
        raise ConfigError(
            f"{path}: none of its {len(given):,} keys ({first or 'it is empty'}) is in {rows}, which has "
            f"{', '.join(map(repr, list(known)[:3]))}: write keys as the rows have them"
        )
    if unknown and not skip:
        raise ConfigError(
            f"{path}: {rows} has no row of {len(unknown):,} of its {len(given):,} keys, the first {first}: mend them, "
            "or leave them out with --skip_unknown"
        )
    return len(unknown)
