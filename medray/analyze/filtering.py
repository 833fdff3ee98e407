"""A filter such as `backbone == 'resnet8_small' and auc > 0.9`: read as a tree of a few kinds, nothing is run.

Python's own parser makes the tree. Only columns, numbers, texts, lists of them, comparisons, `and`, `or`, `not`
and `+ - * /` are known; a call, an attribute, an index or `@name` is refused by name.
"""

import ast
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from medray.errors import ConfigError, nearest, unknown_choice_line

if TYPE_CHECKING:
    import pandas as pd

LONGEST = 1000  # characters
ALLOWED = "columns, numbers, 'texts', [lists], comparisons, in, and, or, not, + - * / and brackets"
_COMPARE: dict[type, Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}  # fmt: skip
_ARITHMETIC: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
}  # fmt: skip
_WORDS = {
    ast.Call: "a function call",
    ast.Attribute: "an attribute",
    ast.Subscript: "an index",
    ast.Lambda: "a lambda",
    ast.JoinedStr: "an f-string",
    ast.NamedExpr: "an assignment",
}


def filtered(frame: "pd.DataFrame", text: str) -> "pd.DataFrame":
    """Return the rows for which `text` holds; a comparison with a missing value does not hold.

    `COLUMN == None` asks for the missing ones.

    Raises:
        ConfigError: `text` is no filter, or it names a column that there is not.
    """
    try:
        if len(text) > LONGEST:
            raise ConfigError(f"it is longer than {LONGEST} characters")
        chosen = _Filter(frame).truth(_parse(text))
    except ConfigError as error:
        raise ConfigError(f"--filter: {error}") from None
    return frame[chosen.to_numpy(dtype=bool)]


def _parse(text: str) -> ast.expr:
    if "@" in text:
        raise ConfigError(f"'@' is not allowed; allowed: {ALLOWED}")
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        why = error.msg if isinstance(error, SyntaxError) else type(error).__name__
        raise ConfigError(f"'{text}' can't be read: {why}; allowed: {ALLOWED}") from None


class _Filter:
    def __init__(self, frame: "pd.DataFrame") -> None:
        self.frame = frame

    def truth(self, node: ast.expr) -> "pd.Series[Any]":
        """Which rows a condition holds for; a missing answer is no."""
        import pandas as pd

        if isinstance(node, ast.BoolOp):
            parts = [self.truth(value) for value in node.values]
            joined = parts[0]
            for part in parts[1:]:
                joined = joined & part if isinstance(node.op, ast.And) else joined | part
            return joined
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return ~self.truth(node.operand)
        found = self._compared(node) if isinstance(node, ast.Compare) else self.value(node)
        if not isinstance(found, pd.Series) or found.dtype not in ("bool", "boolean"):
            raise ConfigError(f"'{ast.unparse(node)}' is no condition, such as auc > 0.9")
        return found.fillna(False).astype(bool)

    def _compared(self, node: ast.Compare) -> "pd.Series[Any]":
        """A comparison; of `0.9 < auc < 0.95` both hold."""
        import pandas as pd

        holds: Any = pd.Series(True, index=self.frame.index)
        left = node.left
        for op, right in zip(node.ops, node.comparators, strict=True):
            try:
                holds = holds & self._pair(op, left, right)
            except (TypeError, ValueError) as error:
                why = f"can't be compared: {' '.join(str(error).split())}"
                raise ConfigError(f"'{ast.unparse(node)}' {why}") from None
            left = right
        return pd.Series(holds, index=self.frame.index)

    def _pair(self, op: ast.cmpop, left: ast.expr, right: ast.expr) -> Any:
        import pandas as pd

        if isinstance(op, ast.In | ast.NotIn):
            column = self.value(left)
            if not isinstance(right, ast.List | ast.Tuple | ast.Set) or not isinstance(column, pd.Series):
                raise ConfigError(f"'{ast.unparse(left)} in {ast.unparse(right)}' is not COLUMN in [a, b]")
            inside = column.isin([self.value(item) for item in right.elts])
            return inside if isinstance(op, ast.In) else ~inside
        own, other = self.value(left), self.value(right)
        if own is None or other is None:
            return self._missing(op, other if own is None else own)
        if type(op) not in _COMPARE:
            raise ConfigError(f"'is' is not allowed; allowed: {ALLOWED}")
        answer = _COMPARE[type(op)](own, other)
        return answer.fillna(False).astype(bool) if isinstance(answer, pd.Series) else bool(answer)

    def _missing(self, op: ast.cmpop, column: Any) -> Any:
        import pandas as pd

        if not isinstance(column, pd.Series) or not isinstance(op, ast.Eq | ast.NotEq):
            raise ConfigError("None can only be compared as COLUMN == None or COLUMN != None")
        return column.isna() if isinstance(op, ast.Eq) else column.notna()

    def value(self, node: ast.expr) -> Any:
        """A column, a constant, or what is computed of them."""
        if isinstance(node, ast.Name):
            return self._column(node.id)
        if isinstance(node, ast.Constant) and isinstance(node.value, str | int | float | None):
            return node.value
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return self._computed(node, operator.mul, -1, self.value(node.operand))
        if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
            return self._computed(node, _ARITHMETIC[type(node.op)], self.value(node.left), self.value(node.right))
        word = _WORDS.get(type(node), f"'{ast.unparse(node)}'")
        raise ConfigError(f"{word} is not allowed here; allowed: {ALLOWED}")

    def _computed(self, node: ast.expr, how: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
        import pandas as pd

        numbers = all(
            pd.api.types.is_numeric_dtype(side) if isinstance(side, pd.Series) else isinstance(side, int | float)
            for side in (left, right)
        )
        try:
            if numbers:
                return how(left, right)
        except (ZeroDivisionError, OverflowError):
            pass
        raise ConfigError(f"'{ast.unparse(node)}' can't be computed")

    def _column(self, name: str) -> Any:
        columns = list(map(str, self.frame.columns))
        if name in columns:
            return self.frame[name]
        values = {v for c in columns if self.frame[c].dtype == "string" for v in self.frame[c].dropna().unique()}
        if name in values and not nearest(name, columns):
            raise ConfigError(f"'{name}' is no column: write texts in quotes, '{name}'")
        raise ConfigError(unknown_choice_line("column", name, columns))
