"""What an operation will cost, seen from its text and the sizes it asks for, before anything is done for it.

`depth` is how deep fields nest, `aliases` how many fields are renamed, `cost` how many fields the answer may hold: what
stands under a list counts as often as the list may be long. Each fragment is measured once, however often it is
spread, so that measuring takes time in proportion to the text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    Node,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    is_composite_type,
)

from ledger.api.schema.limits import Limits, within

SIZES = {"first": "page_max", "last": "page_max", "limit": "nodes_max", "refs": "refs_max", "commands": "commands_max"}
"""Arguments that say how long the list below them may be, by a number or by their own length; and what limits them."""

LIST_ASSUMED = 4
"""How long a list is taken to be of which nothing says how long it is: premises, citations."""

SHAPES_KEPT = 64
"""Of one document, for different sizes."""

Sizes = Mapping[str, int | None]


class Shape(NamedTuple):
    """What an operation asks for."""

    depth: int
    aliases: int
    cost: int

    def beside(self, other: Shape) -> Shape:
        """Both, next to each other."""
        return Shape(max(self.depth, other.depth), self.aliases + other.aliases, self.cost + other.cost)

    def check(self, limits: Limits) -> None:
        """Raises TooLarge, naming the limit and the value."""
        within("depth", self.depth, limits.depth_max)
        within("aliases", self.aliases, limits.aliases_max)
        within("cost", self.cost, limits.cost_max)


NOTHING = Shape(0, 0, 0)


@lru_cache(maxsize=256)
def surveyed(schema: GraphQLSchema, document: DocumentNode, limits: Limits) -> Survey:
    """What can be told of a document without its variables; kept, because most clients send the same ones."""
    return Survey(schema, document, limits)


class Survey:
    """A document, and the shapes its operations have for the sizes asked so far."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode, limits: Limits) -> None:
        self._schema = schema
        self._limits = limits
        self._operations = [one for one in document.definitions if isinstance(one, OperationDefinitionNode)]
        self._fragments = {
            one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)
        }
        fields = [field for definition in document.definitions for field in _fields(definition)]
        self.contents = any(field.name.value == "content" for field in fields)
        """Whether contents are asked for; if not, none need be read."""
        self._sizing = sorted({argument.value.name.value for field in fields for argument in _sized(field)})
        self._shapes: dict[Any, Shape] = {}

    def shape(self, name: str | None, variables: Mapping[str, Any]) -> Shape:
        """The shape of the operation of this name (of the first, without)."""
        sizes = {one: _length(variables[one]) for one in self._sizing if one in variables}
        asked = (name, *sizes.items())
        if asked not in self._shapes:
            if len(self._shapes) >= SHAPES_KEPT:
                self._shapes.clear()
            self._shapes[asked] = self._measure(name, sizes)
        return self._shapes[asked]

    def _measure(self, name: str | None, sizes: dict[str, int | None]) -> Shape:
        for operation in self._operations:
            if name is None or (operation.name is not None and operation.name.value == name):
                root = self._schema.get_root_type(operation.operation)
                ruler = _Ruler(self._schema, self._limits, self._fragments, _defaults(operation) | sizes)
                return ruler.selections(operation.selection_set, root, None)
        return NOTHING


class _Ruler:
    """Measures one operation. `size` is how long the next list below may be; None if nothing says."""

    def __init__(
        self, schema: GraphQLSchema, limits: Limits, fragments: Mapping[str, FragmentDefinitionNode], sizes: Sizes
    ) -> None:
        self.schema = schema
        self.limits = limits
        self.fragments = fragments
        self.sizes = sizes
        self.measured: dict[tuple[str, int | None], Shape] = {}

    def selections(self, node: SelectionSetNode | None, parent: GraphQLNamedType | None, size: int | None) -> Shape:
        total = NOTHING
        for selection in node.selections if node is not None else ():
            total = total.beside(self._selection(selection, parent, size))
        return total

    def _selection(self, node: SelectionNode, parent: GraphQLNamedType | None, size: int | None) -> Shape:
        match node:
            case FieldNode():
                return self._field(node, parent, size)
            case InlineFragmentNode():
                on = node.type_condition
                return self.selections(
                    node.selection_set, parent if on is None else self.schema.get_type(on.name.value), size
                )
            case FragmentSpreadNode():
                return self._spread(node.name.value, size)
        return NOTHING

    def _spread(self, name: str, size: int | None) -> Shape:
        fragment = self.fragments.get(name)
        if fragment is None:
            return NOTHING  # validation tells
        if (name, size) not in self.measured:
            self.measured[name, size] = NOTHING  # a circle ends here, and validation tells
            parent = self.schema.get_type(fragment.type_condition.name.value)
            self.measured[name, size] = self.selections(fragment.selection_set, parent, size)
        return self.measured[name, size]

    def _field(self, node: FieldNode, parent: GraphQLNamedType | None, size: int | None) -> Shape:
        definition = self.schema.get_field(parent, node.name.value) if is_composite_type(parent) else None
        size = self._told(node) or self._unless_told(definition) or size
        named, times = None, 1
        if definition is not None:
            named = get_named_type(definition.type)
            if _is_list(definition.type) and is_composite_type(named) and not named.name.startswith("__"):
                times, size = size or LIST_ASSUMED, None
        inner = self.selections(node.selection_set, named, size)
        return Shape(1 + inner.depth, inner.aliases + (node.alias is not None), 1 + times * inner.cost)

    def _told(self, node: FieldNode) -> int | None:
        """How long the list below may be, by the arguments given; what is over the limit is refused by name later."""
        for argument in node.arguments or ():
            if argument.name.value in SIZES:
                value = argument.value
                size = self.sizes.get(value.name.value) if isinstance(value, VariableNode) else _size(value)
                if size:
                    return min(size, int(getattr(self.limits, SIZES[argument.name.value])))
        return None

    def _unless_told(self, definition: GraphQLField | None) -> int | None:
        """How long it is by default."""
        arguments = {} if definition is None else definition.args
        if "first" in arguments or "last" in arguments:
            return self.limits.page_default
        return self.limits.nodes_max if "limit" in arguments else None


def _fields(node: Node) -> Iterator[FieldNode]:
    """Every field in it, fragments spread there aside."""
    if isinstance(node, FieldNode):
        yield node
    selected: SelectionSetNode | None = getattr(node, "selection_set", None)
    for selection in selected.selections if selected is not None else ():
        yield from _fields(selection)


def _sized(field: FieldNode) -> Iterator[Any]:
    """The arguments by which a variable says how long a list may be."""
    for argument in field.arguments or ():
        if argument.name.value in SIZES and isinstance(argument.value, VariableNode):
            yield argument


def _defaults(operation: OperationDefinitionNode) -> dict[str, int | None]:
    definitions = [one for one in operation.variable_definitions or () if one.default_value is not None]
    return {one.variable.name.value: _size(one.default_value) for one in definitions}


def _is_list(type_: Any) -> bool:
    return isinstance(type_.of_type if isinstance(type_, GraphQLNonNull) else type_, GraphQLList)


def _size(value: Any) -> int | None:
    """The size that a literal says."""
    match value:
        case IntValueNode():
            # Digits beyond this would be refused by `int` and are over every limit.
            return max(int(value.value[:12]), 0)
        case ListValueNode():
            return len(value.values)
    return None


def _length(value: Any) -> int | None:
    """The size that a variable says."""
    if isinstance(value, list):
        return len(value)
    return max(value, 0) if isinstance(value, int) else None
