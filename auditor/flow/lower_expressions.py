"""Lower libcst expressions, counting lines on the way.

libcst nodes know no positions, and its position provider costs several times the parse. But every newline of a file
sits in some whitespace node, string literal or statement end, so a traversal in source order that adds them up knows
where it is: :attr:`ExpressionLowering.line`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from typing import Any

import libcst as cst

from auditor.flow import ir

_OPERATORS: dict[type, str] = {
    cst.Add: "+", cst.Subtract: "-", cst.Multiply: "*", cst.Divide: "/", cst.FloorDivide: "//", cst.Modulo: "%",
    cst.Power: "**", cst.MatrixMultiply: "@", cst.BitAnd: "&", cst.BitOr: "|", cst.BitXor: "^", cst.LeftShift: "<<",
    cst.RightShift: ">>", cst.And: "and", cst.Or: "or", cst.Not: "not", cst.Minus: "-", cst.Plus: "+",
    cst.BitInvert: "~", cst.Equal: "==", cst.LessThan: "<", cst.GreaterThan: ">", cst.LessThanEqual: "<=",
    cst.GreaterThanEqual: ">=", cst.In: "in", cst.NotIn: "not in", cst.Is: "is", cst.IsNot: "is not",
    cst.NotEqual: "!=",
}  # fmt: skip
_NAMED = {"True": True, "False": False, "None": None}


class ExpressionLowering:
    """Lowers expressions; :class:`auditor.flow.lower.Lowering` adds the statements."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.line = 1
        self.functions: list[ir.Function] = []
        self.bound: list[dict[str, Any]] = [{}]
        self._by_type: dict[type, Callable[[Any], ir.Expr]] = {
            cst.Name: self._name, cst.Attribute: self._attribute, cst.Call: self._call, cst.Subscript: self._subscript,
            cst.Integer: self._number, cst.Float: self._number, cst.Imaginary: self._number,
            cst.SimpleString: self._string, cst.ConcatenatedString: self._concatenated,
            cst.FormattedString: self._formatted, cst.BinaryOperation: self._binary,
            cst.BooleanOperation: self._boolean, cst.UnaryOperation: self._unary, cst.Comparison: self._comparison,
            cst.IfExp: self._if_exp, cst.Tuple: self._tuple, cst.List: self._list, cst.Set: self._set,
            cst.Dict: self._dict, cst.ListComp: self._comprehension, cst.SetComp: self._comprehension,
            cst.GeneratorExp: self._comprehension, cst.DictComp: self._comprehension, cst.Lambda: self._lambda,
            cst.NamedExpr: self._named, cst.Yield: self._yield, cst.Await: self._await, cst.Ellipsis: self._ellipsis,
            cst.StarredElement: self._starred,
        }  # fmt: skip

    def space(self, node: Any) -> None:
        """Count the newlines of a whitespace node (or of nothing)."""
        if type(node) is cst.ParenthesizedWhitespace:
            self.line += 1 + len(node.empty_lines)
            node = node.last_line
        value = getattr(node, "value", "")
        if isinstance(value, str) and "\n" in value:
            self.line += value.count("\n")

    def comma(self, node: Any) -> None:
        """Count the newlines around a comma."""
        if type(node) is cst.Comma:
            self.space(node.whitespace_before)
            self.space(node.whitespace_after)

    def expr(self, node: Any) -> ir.Expr:
        """Lower one expression with its parentheses."""
        left = getattr(node, "lpar", ())
        for paren in left:
            self.space(paren.whitespace_after)
        lower = self._by_type.get(type(node))
        result = lower(node) if lower is not None else ir.Constant(self.line, None)
        if left:
            for paren in node.rpar:
                self.space(paren.whitespace_before)
        return result

    def _name(self, node: cst.Name) -> ir.Expr:
        name = node.value
        if name in _NAMED:
            return ir.Constant(self.line, _NAMED[name])
        for function in self.functions:
            function.names.add(name)
        return ir.Name(self.line, name)

    def _attribute(self, node: cst.Attribute) -> ir.Expr:
        value = self.expr(node.value)
        dot = node.dot
        self.space(dot.whitespace_before)
        self.space(dot.whitespace_after)
        return ir.Attribute(self.line, value, node.attr.value)

    def _call(self, node: cst.Call) -> ir.Expr:
        func = self.expr(node.func)
        line = self.line
        self.space(node.whitespace_before_args)
        args, keywords = self.arguments(node.args)
        return ir.Call(line, func, args, keywords)

    def arguments(self, nodes: Iterable[cst.Arg]) -> tuple[list[ir.Expr], list[tuple[str | None, ir.Expr]]]:
        """Lower call arguments to positional and keyword ones."""
        args: list[ir.Expr] = []
        keywords: list[tuple[str | None, ir.Expr]] = []
        for arg in nodes:
            self.space(arg.whitespace_after_star)
            equal = arg.equal
            if type(equal) is cst.AssignEqual:
                self.space(equal.whitespace_before)
                self.space(equal.whitespace_after)
            value = self.expr(arg.value)
            if arg.keyword is not None:
                keywords.append((arg.keyword.value, value))
            elif arg.star == "**":
                keywords.append((None, value))
            elif arg.star == "*":
                args.append(ir.Starred(value.line, value))
            else:
                args.append(value)
            self.space(arg.whitespace_after_arg)
            self.comma(arg.comma)
        return args, keywords

    def _subscript(self, node: cst.Subscript) -> ir.Expr:
        value = self.expr(node.value)
        line = self.line
        self.space(node.lbracket.whitespace_after)
        items: list[ir.Expr] = []
        for element in node.slice:
            inner = element.slice
            if isinstance(inner, cst.Index):
                items.append(self.expr(inner.value))
            elif isinstance(inner, cst.Slice):
                lower = self.expr(inner.lower) if inner.lower is not None else None
                self._colon(inner.first_colon)
                upper = self.expr(inner.upper) if inner.upper is not None else None
                self._colon(inner.second_colon)
                step = self.expr(inner.step) if inner.step is not None else None
                items.append(ir.Slice(self.line, lower, upper, step))
            self.comma(element.comma)
        several = len(items) > 1 or type(node.slice[0].comma) is cst.Comma
        self.space(node.rbracket.whitespace_before)
        return ir.Subscript(line, value, ir.Sequence(line, "tuple", items) if several else items[0])

    def _colon(self, node: Any) -> None:
        if type(node) is cst.Colon:
            self.space(node.whitespace_before)
            self.space(node.whitespace_after)

    def _number(self, node: Any) -> ir.Expr:
        try:
            return ir.Constant(self.line, ast.literal_eval(node.value))
        except (ValueError, SyntaxError):  # an integer longer than the interpreter's limit
            return ir.Constant(self.line, None)

    def _string(self, node: cst.SimpleString) -> ir.Expr:
        line = self.line
        self.line += node.value.count("\n")
        try:
            return ir.Constant(line, ast.literal_eval(node.value))
        except (ValueError, SyntaxError):
            return ir.Constant(line, node.value)

    def _concatenated(self, node: cst.ConcatenatedString) -> ir.Expr:
        line = self.line
        left = self.expr(node.left)
        self.space(node.whitespace_between)
        right = self.expr(node.right)
        if isinstance(left, ir.Constant) and isinstance(right, ir.Constant) and type(left.value) is type(right.value):
            return ir.Constant(line, left.value + right.value)
        parts: list[str | ir.Expr] = []
        for side in (left, right):
            if isinstance(side, ir.Text):
                parts += side.parts
            else:
                parts.append(str(side.value) if isinstance(side, ir.Constant) else side)
        return ir.Text(line, parts)

    def _formatted(self, node: cst.FormattedString) -> ir.Expr:
        line = self.line
        parts: list[str | ir.Expr] = []
        for part in node.parts:
            if isinstance(part, cst.FormattedStringText):
                self.line += part.value.count("\n")
                parts.append(part.value)
            elif isinstance(part, cst.FormattedStringExpression):
                self.space(part.whitespace_before_expression)
                parts.append(self.expr(part.expression))
                self.space(part.whitespace_after_expression)
        return ir.Text(line, parts)

    def _operator(self, operator: Any) -> str:
        self.space(getattr(operator, "whitespace_before", None))
        self.space(getattr(operator, "whitespace_after", None))
        return _OPERATORS.get(type(operator), "?")

    def _binary(self, node: cst.BinaryOperation) -> ir.Expr:
        left = self.expr(node.left)
        line = self.line
        op = self._operator(node.operator)
        return ir.Binary(line, op, left, self.expr(node.right))

    def _boolean(self, node: cst.BooleanOperation) -> ir.Expr:
        left = self.expr(node.left)
        line = self.line
        op = self._operator(node.operator)
        return ir.Boolean(line, op, left, self.expr(node.right))

    def _unary(self, node: cst.UnaryOperation) -> ir.Expr:
        line = self.line
        op = self._operator(node.operator)
        value = self.expr(node.expression)
        if op == "-" and isinstance(value, ir.Constant) and isinstance(value.value, int | float):
            return ir.Constant(line, -value.value)
        return ir.Unary(line, op, value)

    def _comparison(self, node: cst.Comparison) -> ir.Expr:
        left = self.expr(node.left)
        line = self.line
        rest = []
        for target in node.comparisons:
            op = self._operator(target.operator)
            rest.append((op, self.expr(target.comparator)))
        return ir.Compare(line, left, rest)

    def _if_exp(self, node: cst.IfExp) -> ir.Expr:
        line = self.line
        body = self.expr(node.body)
        self.space(node.whitespace_before_if)
        self.space(node.whitespace_after_if)
        test = self.expr(node.test)
        self.space(node.whitespace_before_else)
        self.space(node.whitespace_after_else)
        return ir.IfExp(line, test, body, self.expr(node.orelse))

    def _elements(self, nodes: Iterable[Any]) -> list[ir.Expr]:
        items = []
        for element in nodes:
            starred = isinstance(element, cst.StarredElement)
            value = self.expr(element.value)
            items.append(ir.Starred(value.line, value) if starred else value)
            self.comma(element.comma)
        return items

    def _tuple(self, node: cst.Tuple) -> ir.Expr:
        return ir.Sequence(self.line, "tuple", self._elements(node.elements))

    def _list(self, node: cst.List) -> ir.Expr:
        line = self.line
        self.space(node.lbracket.whitespace_after)
        items = self._elements(node.elements)
        self.space(node.rbracket.whitespace_before)
        return ir.Sequence(line, "list", items)

    def _set(self, node: cst.Set) -> ir.Expr:
        line = self.line
        self.space(node.lbrace.whitespace_after)
        items = self._elements(node.elements)
        self.space(node.rbrace.whitespace_before)
        return ir.Sequence(line, "set", items)

    def _dict(self, node: cst.Dict) -> ir.Expr:
        line = self.line
        self.space(node.lbrace.whitespace_after)
        items: list[tuple[ir.Expr | None, ir.Expr]] = []
        for element in node.elements:
            key = None
            if isinstance(element, cst.DictElement):
                key = self.expr(element.key)
                self.space(element.whitespace_before_colon)
                self.space(element.whitespace_after_colon)
            items.append((key, self.expr(element.value)))
            self.comma(element.comma)
        self.space(node.rbrace.whitespace_before)
        return ir.Mapping(line, items)

    def _comprehension(self, node: Any) -> ir.Expr:
        line = self.line
        open_, close = getattr(node, "lbracket", None), getattr(node, "rbracket", None)
        open_, close = open_ or getattr(node, "lbrace", None), close or getattr(node, "rbrace", None)
        if open_ is not None:
            self.space(open_.whitespace_after)
        key = None
        self.bound.append({})  # a comprehension has a scope of its own
        if isinstance(node, cst.DictComp):
            key = self.expr(node.key)
            self.space(node.whitespace_before_colon)
            self.space(node.whitespace_after_colon)
            element = self.expr(node.value)
        else:
            element = self.expr(node.elt)
        clauses = []
        clause = node.for_in
        while clause is not None:
            self.space(clause.whitespace_before)
            target = self.expr(clause.target)
            self.space(clause.whitespace_before_in)
            self.space(clause.whitespace_after_in)
            iterable = self.expr(clause.iter)
            conditions = []
            for condition in clause.ifs:
                self.space(condition.whitespace_before)
                conditions.append(self.expr(condition.test))
            clauses.append((target, iterable, conditions))
            clause = clause.inner_for_in
        self.bound.pop()
        if close is not None:
            self.space(close.whitespace_before)
        kinds: dict[type, str] = {cst.ListComp: "list", cst.SetComp: "set", cst.DictComp: "dict"}
        return ir.Comprehension(line, kinds.get(type(node), "generator"), key, element, clauses)

    def parameters(self, node: cst.Parameters) -> list[ir.Parameter]:
        """Lower a parameter list, defaults included."""
        result = []
        groups: list[tuple[str, Iterable[Any]]] = [("positional", node.posonly_params), ("positional", node.params)]
        if isinstance(node.star_arg, cst.Param):
            groups.append(("*", [node.star_arg]))
        elif isinstance(node.star_arg, cst.ParamStar):
            self.comma(node.star_arg.comma)
        groups.append(("keyword", node.kwonly_params))
        if node.star_kwarg is not None:
            groups.append(("**", [node.star_kwarg]))
        for kind, group in groups:
            for param in group:
                self.annotation(param.annotation)
                default = None
                if param.default is not None:
                    default = self.expr(param.default)
                self.comma(param.comma)
                self.space(param.whitespace_after_param)
                result.append(ir.Parameter(param.name.value, kind, default))
        return result

    def annotation(self, node: cst.Annotation | None) -> None:
        """Walk an annotation for its lines alone."""
        if node is not None:
            self.space(node.whitespace_before_indicator)
            self.space(node.whitespace_after_indicator)
            self.expr(node.annotation)

    def _lambda(self, node: cst.Lambda) -> ir.Expr:
        line = self.line
        self.space(node.whitespace_after_lambda)
        function = ir.Function(line, "<lambda>", self.parameters(node.params), [], self.file)
        self.functions.append(function)
        self.bound.append({})
        value = self.expr(node.body)
        self.bound.pop()
        self.functions.pop()
        function.body = [ir.Return(value.line, value)]
        return function

    def _named(self, node: cst.NamedExpr) -> ir.Expr:
        line = self.line
        target = self.expr(node.target)
        self.space(node.whitespace_before_walrus)
        self.space(node.whitespace_after_walrus)
        self.bind(target)
        return ir.NamedExpr(line, target, self.expr(node.value))

    def _yield(self, node: cst.Yield) -> ir.Expr:
        line = self.line
        if self.functions:
            self.functions[-1].generator = True
        if isinstance(node.value, cst.From):
            return ir.Yield(line, self.expr(node.value.item), many=True)
        return ir.Yield(line, self.expr(node.value) if node.value is not None else None, many=False)

    def _await(self, node: cst.Await) -> ir.Expr:
        return self.expr(node.expression)

    def _ellipsis(self, node: cst.Ellipsis) -> ir.Expr:
        return ir.Constant(self.line, ...)

    def _starred(self, node: cst.StarredElement) -> ir.Expr:
        value = self.expr(node.value)
        return ir.Starred(value.line, value)

    def bind_name(self, name: str, constant: object = ir.VARIES) -> None:
        """Note that ``name`` is bound; two bindings that differ leave ``ir.VARIES``."""
        for names in self.bound:
            known = names.setdefault(name, constant)
            if type(known) is not type(constant) or known != constant:
                names[name] = ir.VARIES

    def bind(self, target: ir.Expr, value: ir.Expr | None = None) -> None:
        """Note the names that a target binds, and to which constant, for the scopes and loops around it."""
        if isinstance(target, ir.Name):
            self.bind_name(target.id, value.value if isinstance(value, ir.Constant) else ir.VARIES)
        elif isinstance(target, ir.Sequence):
            for item in target.items:
                self.bind(item)
        elif isinstance(target, ir.Starred):
            self.bind(target.value)
