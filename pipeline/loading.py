"""From a recipe file to a `Recipe`: every problem at once, each with its file, line and key."""

from __future__ import annotations

import difflib
import re
from pathlib import Path

from pydantic import ValidationError

from pipeline.errors import RecipeError
from pipeline.recipe import Recipe
from pipeline.recipe_checks import cross_checks
from pipeline.recipe_errors import Problem, problems_of
from pipeline.toml_text import MAX_BYTES, key_lines, line_of, parse, split_lines

SHIPPED = Path(__file__).parent / "recipes"
"""Folder of the recipes that come with the package."""


def shipped_recipes() -> list[str]:
    """Return the names of the recipes that come with the package, sorted."""
    return sorted(path.stem for path in SHIPPED.glob("*.toml"))


def file_beside(folder: Path, name: str) -> Path:
    """Return the path of a file that a recipe in `folder` names.

    A shipped recipe may be copied without the rows that are shipped with it: where `folder` has no file of that name,
    and `name` is the plain name of a shipped file, it is that one.
    """
    path, shipped = folder / name, SHIPPED / name
    is_shipped = Path(name).name == name and shipped.is_file()
    return shipped if is_shipped and not path.exists() else path


def find_recipe(argument: str | Path) -> Path:
    """Return the file that a recipe argument means: a path, or the name of a shipped recipe.

    Raises RecipeError with the nearest name when there is no such file.
    """
    path = Path(argument)
    try:
        path.resolve()
        if path.is_file():
            return path
    except (OSError, ValueError) as error:  # too long for a name, or a NUL in it
        message = f"a recipe cannot be called so: {str(argument)[:80]!r}"
        raise RecipeError(message, where="--recipe", advice="give the path of a .toml file") from error
    shipped = SHIPPED / f"{argument}.toml"
    if re.fullmatch(r"[\w-]+", str(argument)) and shipped.is_file():
        return shipped
    if path.is_dir():
        message = f"the recipe {argument} is a folder"
        raise RecipeError(message, where=str(path.resolve()), advice="name the .toml file inside it")
    message = f"there is no recipe {str(argument)!r}"
    raise RecipeError(message, where=str(path.resolve()), advice=_nearest_recipe(path))


def _nearest_recipe(path: Path) -> str:
    """Advise the shipped recipe, or the file beside the missing one, whose name is nearest."""
    beside = {str(file): file.name for file in path.parent.glob("*.toml")} if path.parent.is_dir() else {}
    names = {**beside, **{name: name for name in shipped_recipes()}}
    wanted = (path.name, path.stem)
    for name in wanted:
        if near := difflib.get_close_matches(name, names.values(), n=1):
            return f"did you mean {next(full for full, short in names.items() if short == near[0])}?"
    return f"give the path of a .toml file, or one of the shipped recipes: {', '.join(shipped_recipes())}"


def load_recipe(argument: str | Path) -> Recipe:
    """Read a recipe: a path or the name of a shipped one. Raises RecipeError with all its problems."""
    path = find_recipe(argument)
    return recipe_of(read_source(path), path, str(argument))


def recipe_of(source: bytes, path: Path, argument: str) -> Recipe:
    """Return the recipe whose file, `path`, holds `source`; `argument` is how the user calls it.

    Raises RecipeError with all its problems.
    """
    text = _text(source, path)
    recipe, problems = read_recipe(text, path.name if path.parent == SHIPPED else argument)
    if recipe is None or problems:
        raise _error(path, problems)
    return recipe.in_folder(path.resolve().parent)


def read_recipe(text: str, file: str) -> tuple[Recipe | None, list[Problem]]:
    """Check a recipe's text; return the recipe, if it has the right form, and every problem found.

    `file` is what messages call it. A TOML syntax error is the only problem of such a text: nothing
    behind it can be read.
    """
    try:
        raw = parse(text)
    except (ValueError, RecursionError) as error:  # ValueError: a number of more digits than Python reads
        return None, [_syntax_problem(error, text, file)]
    recipe, problems = None, []
    try:
        recipe = Recipe.model_validate(raw)
    except ValidationError as error:
        problems = problems_of(error, raw)
    problems += cross_checks(raw)
    lines = key_lines(text)
    located = [problem.located(file, line_of(lines, problem.key)) for problem in problems]
    return recipe, sorted(located, key=lambda problem: (problem.line or 0, problem.name))


def read_source(path: Path) -> bytes:
    """Return the bytes of a recipe's file. Raises RecipeError."""
    try:
        if path.stat().st_size > MAX_BYTES:
            message = f"the recipe has more than {MAX_BYTES:,} bytes"
            raise RecipeError(message, where=str(path), advice="a recipe names data, it does not hold them")
        return path.read_bytes()
    except OSError as error:
        message = f"the recipe cannot be read: {error.strerror}"
        raise RecipeError(message, where=str(path), advice="check the file's permissions") from error


def _text(source: bytes, path: Path) -> str:
    """Decode a recipe; a byte order mark is accepted, another encoding is not."""
    try:
        return source.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = source[: error.start].count(b"\n") + 1
        message = f"the recipe is not UTF-8: byte 0x{source[error.start]:02x} on line {line}"
        raise RecipeError(message, where=f"{path}:{line}", advice="save the file as UTF-8") from error


_SYNTAX = re.compile(r"^(?P<what>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)$", re.DOTALL)


def _syntax_problem(error: ValueError | RecursionError, text: str, file: str) -> Problem:
    """Turn tomllib's message into a problem with line and column."""
    match = _SYNTAX.match(str(error))
    lines = split_lines(text.rstrip("\r\n"))
    if match is None:
        return Problem((), str(error), "valid TOML").located(file, None)
    line = int(match["line"] or len(lines))
    column = int(match["column"] or len(lines[-1]) + 1)
    what = f"not valid TOML: {match['what'][:1].lower()}{match['what'][1:]}"
    return Problem((), what, 'for example key = "text"').located(f"{file}:{line}:{column}", None)


def _error(path: Path, problems: list[Problem]) -> RecipeError:
    """Put all problems into one error, a line each."""
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    message = "\n".join([f"the recipe has {count}:", *(f"  {problem}" for problem in problems)])
    return RecipeError(message, where=str(path.resolve()), advice="every key is described in docs/recipes.md")
