"""Print what the named extras of pyproject.toml need: `python deploy/requirements.py api s3`.

Images install their libraries from this list in a layer of its own, which stays cached while the
list is the same.
"""

import sys
import tomllib
from pathlib import Path


def requirements(extras: list[str]) -> list[str]:
    """Return the project's own requirements and those of the extras.

    Raises:
        SystemExit: an extra that pyproject.toml does not have.
    """
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    unknown = set(extras) - set(project["optional-dependencies"])
    if unknown:
        raise SystemExit(f"pyproject.toml has no extra named {', '.join(sorted(unknown))}")
    lists = [project["dependencies"], *(project["optional-dependencies"][e] for e in extras)]
    return sorted({requirement for entries in lists for requirement in entries})


if __name__ == "__main__":
    print("\n".join(requirements(sys.argv[1:])))
