"""Classes of the program and their instances."""

from __future__ import annotations

from auditor.flow import provenance as P  # noqa: N812 - its flags are written P.VAL
from auditor.flow import uses
from auditor.flow.affine import Affine
from auditor.flow.expressions import Expressions
from auditor.flow.values import Array, Bound, ClassObj, Closure, External, Instance, Seq, Top, Tuple, Value

_LAYERS = ("Linear", "Embedding", "Conv1d", "LayerNorm", "RMSNorm", "EmbeddingBag", "Bilinear")


class Classes(Expressions):
    """Makes instances, calls them and goes through them."""

    hooks: list[Value]
    module_calls: int
    _hooked: set[tuple[int, int]]
    _replacing: set[int]

    def call_library(self, name: str, args: list[Value], keywords: dict[str, Value], owner: Value | None) -> Value:
        """Call a library function, or a method of a library value (then ``owner`` is the first argument)."""
        raise NotImplementedError

    def call_layer(self, layer: Instance, args: list[Value], keywords: dict[str, Value]) -> Value:
        """Call an instance of a library class."""
        raise NotImplementedError

    def call_unknown(self, function: Value, args: list[Value], keywords: dict[str, Value]) -> Value:
        """A call of something unknown: the result may hold whatever went in."""
        raise NotImplementedError

    def bases(self, cls: Value) -> tuple[Value, ...]:
        """A class and its ancestors, nearest first."""
        return cls.lineage if isinstance(cls, ClassObj) else (cls,)

    def inherits(self, cls: Value, *names: str) -> bool:
        """Whether a class descends from a library class whose dotted name ends with one of these."""
        if isinstance(cls, ClassObj):
            return cls.descends_from(*names)
        return isinstance(cls, External) and cls.name.rpartition(".")[2] in names

    def find(self, cls: Value, name: str, after: Value | None = None) -> Value | None:
        """A class attribute, looked up along the ancestors (behind ``after`` for super())."""
        skip = after is not None
        for base in self.bases(cls):
            if skip:
                skip = base is not after
                continue
            if isinstance(base, ClassObj) and name in base.attrs:
                return base.attrs[name]
        return None

    def instantiate(self, cls: ClassObj, args: list[Value], keywords: dict[str, Value]) -> Value:
        """Make an instance."""
        instance = Instance(cls, self.lattice.none)
        if cls.descends_from(*_LAYERS):  # a subclass of a layer has its parameter, whoever makes it
            instance.attrs["weight"] = Array(self.lattice.make(P.WEIGHTS), None, 2, None, "parameter")
        init = self.find(cls, "__init__")
        if init is not None:
            self.call(init, [instance, *args], keywords)
            return instance
        self._fill(instance, cls, args, keywords)
        if self.inherits(cls, "Optimizer"):
            self.call_library("torch.optim.Optimizer", [instance, *args], keywords, instance)
        return instance

    def _fill(self, instance: Instance, cls: ClassObj, args: list[Value], keywords: dict[str, Value]) -> None:
        """What the ``__init__`` that a dataclass or named tuple is given does."""
        classes = [base for base in reversed(self.bases(cls)) if isinstance(base, ClassObj)]
        fields = list(dict.fromkeys(name for base in classes for name in base.fields))
        for name in fields:
            default = self.find(cls, name)
            if isinstance(default, Bound) and is_field(default.function):
                if "default_factory" in default.keywords:
                    instance.attrs[name] = self.call(default.keywords["default_factory"], [], {})
                elif "default" in default.keywords:
                    instance.attrs[name] = default.keywords["default"]
        for name, value in [*zip(fields, args, strict=False), *keywords.items()]:
            instance.attrs[name] = value
        post = self.find(cls, "__post_init__")
        if post is not None:
            self.call(post, [instance], {})

    def call_instance(self, instance: Instance, args: list[Value], keywords: dict[str, Value]) -> Value:
        """``instance(...)``."""
        for name in ("__call__", "forward"):
            method, given = self.find(instance.cls, name), [instance, *args]
            own = instance.attrs.get(name)
            # A module looks its ``forward`` up in itself, so that one may be put in its place.
            if method is None or (name == "forward" and isinstance(own, Closure | Bound)):
                method, given = own, args
            if method is not None:
                if name == "__call__" and not self.inherits(instance.cls, "Module"):
                    return self.call(method, given, keywords)
                self.module_calls += 1
                try:
                    result = self.call(method, given, keywords)
                finally:
                    self.module_calls -= 1
                return self.hooked(args, result)
        if isinstance(instance.cls, External):
            return self.call_layer(instance, args, keywords)
        return self.call_unknown(instance, args, keywords)

    def tokens_given(self, value: Value) -> list[Affine]:
        """Positions of the tokens in ``value``, as they stand; inside a model only those of what it was given.

        A model may shift, mix and mask what it was given as it likes: its own alignment is not followed.
        """
        prov = value.prov
        if prov.flags & (P.TABLE | P.HASHED | P.OPAQUE | P.WEIGHTS) or uses.positions(prov, "masked"):
            return []
        given = {token.position for token in prov.tokens}
        for frame in self.frames:
            first = frame.first
            if frame.function is None or frame.owner is None or not isinstance(first, Instance):
                continue
            if self.inherits(first.cls, "Module"):
                known = [frame.scope.names.get(parameter.name) for parameter in frame.function.parameters]
                inputs = [{token.position for token in v.prov.tokens} for v in known if isinstance(v, Array)]
                return list(given) if given in inputs else []
        return list(given)

    def hooked(self, args: list[Value], result: Value) -> Value:
        """A module's result, after its forward hooks.

        Hooks see what went into the outermost module; hooks made by one function count once, and again only where they
        put something in the place of the result.
        """
        if not self.hooks or not args or self.module_calls:
            return result
        hooks, self.hooks = self.hooks, []
        prov = self.prov_of(args)
        value = Array(self.lattice.change(prov, tokens=(), reads=()))
        for key, hook in {(_hook_key(hook), id(value.prov)): hook for hook in hooks}.items():
            if key in self._hooked and key[0] not in self._replacing:
                continue
            self._hooked.add(key)
            returned = self.call(hook, [self.top(), Tuple((value,), self.lattice.none), result], {})
            if isinstance(returned, Array) and isinstance(result, Array):
                self._replacing.add(key[0])
                result = Array(self.lattice.union(result.prov, returned.prov), None, result.ndim)
        self.hooks = hooks
        return result

    def iterated(self, value: Value) -> Value:
        """What a loop over a value goes through: ``__iter__``, else every ``__getitem__``."""
        if not isinstance(value, Instance) or not isinstance(value.cls, ClassObj):
            return value
        method = self.find(value.cls, "__iter__")
        if method is not None:
            result = self.call(method, [value], {})
            advance = self.find(result.cls, "__next__") if isinstance(result, Instance) else None
            return result if advance is None else Seq(None, self.call(advance, [result], {}), self.lattice.none)
        getter = self.find(value.cls, "__getitem__")
        if getter is None:
            return value
        element = self.call(getter, [value, Top(self.lattice.none, self.numbers.of(("any", value)))], {})
        return Seq(None, element, self.lattice.none)


def _hook_key(hook: Value) -> int:
    return id(hook.function) if isinstance(hook, Closure) else id(hook)


def is_field(function: Value) -> bool:
    """Whether a call is the declaration of a dataclass field."""
    return isinstance(function, External) and function.name == "dataclasses.field"
