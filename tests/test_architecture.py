"""The structure, checked from the source text without importing it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PARTS = ("services.contract", "services.api", "services.worker", "services.client", "training")
FORBIDDEN_LIBRARIES = {
    "services.contract": {"fastapi", "ctranslate2", "faster_whisper", "torch", "transformers"},
    "services.api": {"ctranslate2", "faster_whisper", "torch", "transformers"},
    "services.worker": {"fastapi", "starlette", "torch", "transformers"},
    "services.client": {"fastapi", "ctranslate2", "faster_whisper", "torch", "transformers"},
    "training": {"fastapi", "rq", "redis"},
}
MAX_FUNCTION_LINES = 60
MAX_FILE_LINES = 300
#: Lists without logic, which read best whole.
CATALOGUES = {"services/contract/errors.py"}


def sources(part: str) -> list[Path]:
    return sorted((ROOT / part.replace(".", "/")).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""


def is_inside(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


@pytest.mark.parametrize("part", PARTS)
def test_parts_meet_only_in_the_contract(part: str) -> None:
    others = [other for other in PARTS if other not in (part, "services.contract")]
    for path in sources(part):
        for module in imports(path):
            crossed = [other for other in others if is_inside(module, other)]
            assert not crossed, f"{path.relative_to(ROOT)} imports {module}"


@pytest.mark.parametrize("part", PARTS)
def test_a_part_does_not_load_the_libraries_of_another(part: str) -> None:
    for path in sources(part):
        for module in imports(path):
            assert module.split(".")[0] not in FORBIDDEN_LIBRARIES[part], (
                f"{path.relative_to(ROOT)} imports {module}"
            )


@pytest.mark.parametrize("part", PARTS)
def test_the_environment_is_read_in_one_place(part: str) -> None:
    for path in sources(part):
        if path.name != "settings.py":
            for node in ast.walk(ast.parse(path.read_text())):
                reads = isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
                assert not reads, f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"


@pytest.mark.parametrize("part", PARTS)
def test_files_and_functions_stay_short(part: str) -> None:
    for path in sources(part):
        text = path.read_text()
        name = str(path.relative_to(ROOT))
        assert text.count("\n") <= MAX_FILE_LINES or name in CATALOGUES, f"{name} is too long"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                assert lines <= MAX_FUNCTION_LINES, f"{path.relative_to(ROOT)}: {node.name}"


@pytest.mark.parametrize("part", PARTS)
def test_every_module_says_what_it_is_for(part: str) -> None:
    for path in sources(part):
        if path.name != "__init__.py":
            assert ast.get_docstring(ast.parse(path.read_text())), path.relative_to(ROOT)


def test_package_markers_are_empty() -> None:
    for part in PARTS:
        for path in (ROOT / part.replace(".", "/")).rglob("__init__.py"):
            assert not path.read_text().strip(), path.relative_to(ROOT)


@pytest.mark.parametrize("part", PARTS)
def test_only_api_knows_http_errors(part: str) -> None:
    for path in sources(part):
        if part != "services.api":
            assert "HTTPException" not in path.read_text(), path.relative_to(ROOT)
