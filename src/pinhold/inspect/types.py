"""BTF as drgn's types: a type finder, which makes a type when it is asked for and its members when they are looked at.

drgn 0.3 reads DWARF alone.  A reader of its own is proposed (its pull request 625); with that this module can go.
BTF says less than DWARF of arrays: one without a length has the length 0, and pahole writes an array of arrays as one
that is as long as all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from drgn import (
    Object,
    Program,
    Qualifiers,
    Type,
    TypeEnumerator,
    TypeKind,
    TypeMember,
    TypeParameter,
)

from pinhold.inspect.btf import Btf, BtfError, Kind, Member, Record

_KINDS = {
    TypeKind.STRUCT: (Kind.STRUCT,),
    TypeKind.UNION: (Kind.UNION,),
    TypeKind.TYPEDEF: (Kind.TYPEDEF,),
    TypeKind.ENUM: (Kind.ENUM, Kind.ENUM64),
    TypeKind.INT: (Kind.INT,),
    TypeKind.FLOAT: (Kind.FLOAT,),
    TypeKind.BOOL: (Kind.INT,),
}
_QUALIFIERS = {
    Kind.CONST: Qualifiers.CONST,
    Kind.VOLATILE: Qualifiers.VOLATILE,
    Kind.RESTRICT: Qualifiers.RESTRICT,
    Kind.TYPE_TAG: Qualifiers.NONE,
}
_BOOL, _SIGNED = 4, 1
_DEEP = 64
"""Types within types that are no structures: no C has so many stars, and a damaged BTF goes in a circle."""


class TypesOfBtf:
    """The types of one BTF, and of its base through `base`, the finder of that one."""

    def __init__(self, program: Program, btf: Btf, base: TypesOfBtf | None = None) -> None:
        self._program = program
        self._btf = btf
        self._base = base
        self._made: dict[int, tuple[Type, Qualifiers]] = {}
        self._depth = 0

    def register(self, name: str, index: int) -> None:
        """As a finder of the program's, at that place among its finders."""
        self._program.register_type_finder(name, self.find, enable_index=index)

    def forget(self) -> None:
        """What was made so far: another BTF has come, and may define what was only declared in this one."""
        self._made.clear()

    def find(self, program: Program, kinds: Iterable[TypeKind], name: str | None, filename: str | None) -> Type | None:
        """See drgn.Program.register_type_finder().  Raises BtfError."""
        for kind in kinds:
            for number in self._btf.find(name or "", _KINDS.get(kind, ())):
                found, _ = self._type(number)
                if found.kind == kind:
                    return found
        return None

    def _qualified(self, number: int) -> Type:
        found, qualifiers = self._type(number)
        return found.qualified(qualifiers) if qualifiers else found

    def _type(self, number: int) -> tuple[Type, Qualifiers]:
        """Raises BtfError."""
        if number == 0:
            return self._program.void_type(), Qualifiers.NONE
        if number < self._btf.first and self._base is not None:
            return self._base._type(number)
        if number not in self._made:
            if self._depth > _DEEP:
                raise BtfError(f"type {number} of this BTF is made of itself: it is damaged")
            self._depth += 1
            try:
                self._made[number] = self._make(self._btf.record(number))
            except (TypeError, ValueError, OverflowError) as wrong:
                raise BtfError(f"type {number} of this BTF cannot be: {wrong}") from None
            finally:
                self._depth -= 1
        return self._made[number]

    def _make(self, record: Record) -> tuple[Type, Qualifiers]:
        if record.kind in _QUALIFIERS:
            found, qualifiers = self._type(record.size)
            return found, qualifiers | _QUALIFIERS[record.kind]
        return self._plain(record), Qualifiers.NONE

    def _plain(self, record: Record) -> Type:
        try:
            make = _MAKERS[record.kind]
        except KeyError:
            what = record.kind.name
            raise BtfError(f"a member of this BTF is a {what}, which is no type: it is damaged") from None
        return make(self, record)

    def _int(self, record: Record) -> Type:
        encoding = record.words[0] >> 24
        if encoding & _BOOL:
            return self._program.bool_type(record.name, record.size, "little")
        return self._program.int_type(record.name, record.size, bool(encoding & _SIGNED), "little")

    def _float(self, record: Record) -> Type:
        return self._program.float_type(record.name, record.size, "little")

    def _pointer(self, record: Record) -> Type:
        return self._program.pointer_type(self._qualified(record.size), 8, "little")

    def _array(self, record: Record) -> Type:
        return self._program.array_type(self._of_something(record.words[0]), record.words[2])

    def _typedef(self, record: Record) -> Type:
        return self._program.typedef_type(record.name, self._qualified(record.size))

    def _compound(self, record: Record) -> Type:
        make = self._program.struct_type if record.kind == Kind.STRUCT else self._program.union_type
        members = [self._member(member) for member in self._btf.members(record)]
        return make(record.name or None, record.size, members)

    def _function(self, record: Record) -> Type:
        parameters = [
            TypeParameter(self._later(number), name or None) for name, number in self._btf.parameters(record) if number
        ]
        return self._program.function_type(self._qualified(record.size), parameters, False)

    def _named(self, record: Record) -> Type:
        """Of a function, a variable or a remark: the type that it has."""
        return self._qualified(record.size)

    def _later(self, number: int) -> Callable[[], Type]:
        return lambda: self._of_something(number)

    def _of_something(self, number: int) -> Type:
        """A type that takes room: of a member, of an array's elements, of a parameter."""
        found = self._qualified(number)
        if found.kind in (TypeKind.VOID, TypeKind.FUNCTION):
            raise BtfError(f"type {number} of this BTF is where one that takes room should be: it is damaged")
        return found

    def _member(self, member: Member) -> TypeMember:
        def bit_field() -> Object:
            try:
                return Object(self._program, self._of_something(member.type), bit_field_size=member.bits)
            except (TypeError, ValueError) as wrong:
                raise BtfError(f"the bit field {member.name} of this BTF cannot be: {wrong}") from None

        return TypeMember(bit_field if member.bits else self._later(member.type), member.name or None, member.offset)

    def _enum(self, record: Record) -> Type:
        program = self._program
        if not record.vlen:
            return program.enum_type(record.name or None)
        name = "" if record.flag else "unsigned "
        name += {1: "char", 2: "short", 8: "long"}.get(record.size, "int")
        of = program.int_type(name, record.size or 4, record.flag, "little")
        values = [TypeEnumerator(name, value) for name, value in self._btf.enumerators(record)]
        return program.enum_type(record.name or None, of, values)

    def _defined_elsewhere(self, record: Record) -> Type:
        """A type that is only declared here: a module defines it, or another BTF than this module's."""
        word, make = ("union", self._program.union_type) if record.flag else ("struct", self._program.struct_type)
        try:
            return self._program.type(f"{word} {record.name}")
        except (LookupError, SyntaxError):  # the name of a damaged one need not be a name
            return make(record.name or None)


_MAKERS: dict[Kind, Callable[[TypesOfBtf, Record], Type]] = {
    Kind.INT: TypesOfBtf._int,
    Kind.FLOAT: TypesOfBtf._float,
    Kind.PTR: TypesOfBtf._pointer,
    Kind.ARRAY: TypesOfBtf._array,
    Kind.TYPEDEF: TypesOfBtf._typedef,
    Kind.STRUCT: TypesOfBtf._compound,
    Kind.UNION: TypesOfBtf._compound,
    Kind.ENUM: TypesOfBtf._enum,
    Kind.ENUM64: TypesOfBtf._enum,
    Kind.FWD: TypesOfBtf._defined_elsewhere,
    Kind.FUNC_PROTO: TypesOfBtf._function,
    Kind.FUNC: TypesOfBtf._named,
    Kind.VAR: TypesOfBtf._named,
    Kind.DECL_TAG: TypesOfBtf._named,
}
