"""Filters such as `backbone == 'resnet8_small' and auc > 0.9`: checked, then evaluated by pandas.

Python's own parser makes a tree of the text. Only columns, constants, lists of constants, comparisons, `and`,
`or`, `not` and `+ - * /` pass the check; a call, an attribute, an index or `@name` is refused by name. Each
comparison is then a `DataFrame.eval`, in which a missing value makes it False.
"""

import ast
from typing import TYPE_CHECKING, Any

from medray.errors import ConfigError, nearest, one_line, unknown_choice_line

if TYPE_CHECKING:
    import pandas as pd

LONGEST = 1000  # characters
ALLOWED = "columns, numbers, 'texts', [lists], comparisons, in, and, or, not, + - * / and brackets"
_ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div)
_REFUSED = {
    ast.Call: "a function call",
    ast.Attribute: "an attribute",
    ast.Subscript: "an index",
    ast.Lambda: "a lambda",
    ast.JoinedStr: "an f-string",
    ast.NamedExpr: "an assignment",
}


def filter_rows(frame: "pd.DataFrame", text: str) -> "pd.DataFrame":
    """Return the rows for which the condition `text` holds; a comparison with a missing value does not hold.

    `COLUMN == None` holds where the value is missing.

    Raises:
        ConfigError: `text` is no condition, or names a column that does not exist.
    """
    import pandas as pd

    conditions: dict[str, pd.Series[Any]] = {}

    def name_conditions(node: ast.expr) -> ast.expr:
        """Evaluate every condition in a tree of `and`, `or` and `not`, and put a name in its place."""
        if isinstance(node, ast.BoolOp):
            return ast.BoolOp(node.op, list(map(name_conditions, node.values)))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return ast.UnaryOp(node.op, name_conditions(node.operand))
        name = f"condition_{len(conditions)}"
        conditions[name] = _evaluate(frame, node)
        return ast.Name(name)

    try:
        tree = name_conditions(_parse(text))
        holds = _eval(pd.DataFrame(conditions), tree)
    except ConfigError as error:
        raise ConfigError(f"--filter: {error}") from None
    except RecursionError:
        raise ConfigError("--filter: it is nested too deeply") from None
    rows: pd.DataFrame = frame[holds.to_numpy(dtype=bool)]
    return rows


def _eval(frame: "pd.DataFrame", tree: ast.expr) -> Any:
    """Return the value of a checked expression; only the columns of the frame are visible to it."""
    return frame.eval(ast.unparse(tree), engine="python", local_dict={}, global_dict={})


def _parse(text: str) -> ast.expr:
    if len(text) > LONGEST:
        raise ConfigError(f"it is longer than {LONGEST} characters")
    if "@" in text:
        raise ConfigError(f"'@' is not allowed; allowed: {ALLOWED}")
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        why = error.msg if isinstance(error, SyntaxError) else type(error).__name__
        raise ConfigError(f"'{text}' can't be read: {why}; allowed: {ALLOWED}") from None


def _evaluate(frame: "pd.DataFrame", node: ast.expr) -> "pd.Series[Any]":
    """Return for which rows one comparison, or a column of truth values, holds; bool, nothing missing."""
    import pandas as pd

    if isinstance(node, ast.Compare):
        if missing := _missing_test(node):
            column, equal = missing
            _check_operand(frame, column)
            return frame[column.id].isna() if equal else frame[column.id].notna()
        _check_comparison(frame, node)
    else:
        _check_operand(frame, node)
        if not isinstance(node, ast.Name) or frame[node.id].dtype not in ("bool", "boolean"):
            raise ConfigError(f"'{ast.unparse(node)}' is no condition, such as auc > 0.9")
    try:
        holds = pd.Series(_eval(frame, node), index=frame.index, dtype="boolean").fillna(False).astype(bool)
    except (TypeError, ValueError, ArithmeticError, AttributeError, KeyError, NotImplementedError) as error:
        raise ConfigError(f"'{ast.unparse(node)}' can't be evaluated: {one_line(error)}") from None
    if isinstance(node, ast.Compare) and not any(isinstance(op, ast.In | ast.NotIn) for op in node.ops):
        # pandas reads `COLUMN != 'text'` as `COLUMN not in ['text']`, which holds for missing values
        for name in {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}:
            holds &= frame[name].notna()
    return holds


def _missing_test(node: ast.Compare) -> tuple[ast.Name, bool] | None:
    """Return the column of `COLUMN == None` or `COLUMN != None` and whether it is `==`; None without a None."""
    sides = [node.left, *node.comparators]
    columns = [side for side in sides if not (isinstance(side, ast.Constant) and side.value is None)]
    if len(columns) == len(sides):
        return None
    op, column = node.ops[0], columns[0] if columns else None
    if len(sides) != 2 or not isinstance(column, ast.Name) or not isinstance(op, ast.Eq | ast.NotEq):
        raise ConfigError("None can only be compared as COLUMN == None or COLUMN != None")
    return column, isinstance(op, ast.Eq)


def _check_comparison(frame: "pd.DataFrame", node: ast.Compare) -> None:
    left = node.left
    for op, right in zip(node.ops, node.comparators, strict=True):
        _check_operand(frame, left)
        if isinstance(op, ast.In | ast.NotIn):
            names = [item for item in ast.walk(right) if isinstance(item, ast.Name)]
            if not isinstance(right, ast.List | ast.Tuple) or not isinstance(left, ast.Name) or names:
                raise ConfigError(f"'{ast.unparse(left)} in {ast.unparse(right)}' is not COLUMN in [a, b]")
            for item in right.elts:
                _check_operand(frame, item)
        elif isinstance(op, ast.Is | ast.IsNot):
            raise ConfigError(f"'is' is not allowed; allowed: {ALLOWED}")
        else:
            _check_operand(frame, right)
        left = right


def _check_operand(frame: "pd.DataFrame", node: ast.expr) -> None:
    """Check that a node is a column, a constant, or computed of them."""
    if isinstance(node, ast.Name):
        columns = list(map(str, frame.columns))
        if node.id not in columns:
            texts = {v for c in columns if frame[c].dtype == "string" for v in frame[c].dropna().unique()}
            if node.id in texts and not nearest(node.id, columns):
                raise ConfigError(f"'{node.id}' is no column: write texts in quotes, '{node.id}'")
            raise ConfigError(unknown_choice_line("column", node.id, columns))
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        _check_operand(frame, node.operand)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, _ARITHMETIC):
        _check_operand(frame, node.left)
        _check_operand(frame, node.right)
    elif not isinstance(node, ast.Constant) or not isinstance(node.value, str | int | float):
        refused = _REFUSED.get(type(node), f"'{ast.unparse(node)}'")
        raise ConfigError(f"{refused} is not allowed here; allowed: {ALLOWED}")
