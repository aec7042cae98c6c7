"""Writes many mutants into one text: each behind a switch, so that all of them are built at once.

What cargo-mutants lists names a place and what to put there. Rust has no preprocessor that could choose between the two
when the program runs, so each becomes an `if` around the expression that it changes, or at the begin of the function
whose value it replaces; the expression's end is what tree-sitter says.
"""

import re

import tree_sitter
import tree_sitter_rust

# What the compiler sees to go wrong is to go wrong when it runs, in a mutant's branch alone.
ALLOWED = "#![allow(arithmetic_overflow, unconditional_panic)]\n"
SWITCH = """
/// Is this mutant the one that the environment asks for? Tells of each once that it was come by, where it is asked to.
#[doc(hidden)]
#[allow(warnings, clippy::all)]
pub fn planted(number: u32) -> bool {{
    use std::io::Write;
    static WANTED: std::sync::OnceLock<(u32, Option<std::fs::File>)> = std::sync::OnceLock::new();
    static REACHED: [std::sync::atomic::AtomicBool; {count}] = [const {{ std::sync::atomic::AtomicBool::new(false) }}; {count}];
    let (wanted, reached) = WANTED.get_or_init(|| {{
        let reached = std::env::var_os("MUTANTS_REACHED");
        (
            std::env::var("MUTANT").ok().and_then(|number| number.parse().ok()).unwrap_or(u32::MAX),
            reached.map(|path| std::fs::File::options().append(true).create(true).open(path).unwrap()),
        )
    }});
    if let Some(mut file) = reached.as_ref() {{
        if !REACHED[number as usize].swap(true, std::sync::atomic::Ordering::Relaxed) {{
            let _ = file.write_all(format!("{{number}}\\n").as_bytes());
        }}
    }}
    *wanted == number
}}
"""


def switch(count: int) -> str:
    return SWITCH.format(count=count)


class Source:
    """One file, and the mutants of it."""

    def __init__(self, text: str, mutants: list[dict]):
        self.text = text.encode()
        lines = text.split("\n")
        starts = [0]
        for line in lines:
            starts.append(starts[-1] + len(line.encode()) + 1)

        def offset(place: dict) -> int:
            return starts[place["line"] - 1] + len(lines[place["line"] - 1][: place["column"] - 1].encode())

        self.at = {}
        for mutant in mutants:
            span = offset(mutant["span"]["start"]), offset(mutant["span"]["end"])
            self.at.setdefault((mutant["genre"], *span), []).append(mutant)
        self.placed = set()
        parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_rust.language()))
        self.root = parser.parse(self.text).root_node

    def mutated(self) -> str:
        return self.rendered(self.root).decode()

    def original(self, node) -> bytes:
        return self.text[node.start_byte : node.end_byte]

    def take(self, genre: str, start: int, end: int) -> list[dict]:
        found = self.at.get((genre, start, end), [])
        self.placed.update(mutant["number"] for mutant in found)
        return found

    def rendered(self, node) -> bytes:
        parts, at = [], node.start_byte
        for child in node.children:
            parts += [self.text[at : child.start_byte], self.rendered(child)]
            at = child.end_byte
        inner = b"".join([*parts, self.text[at : node.end_byte]])
        match node.type:
            case "binary_expression" | "compound_assignment_expr":
                inner = self.operator(node, inner)
            case "unary_expression":
                inner = self.unary(node, inner)
            case "block":
                inner = self.body(node, inner)
            case "match_pattern":
                inner = self.arm(node, inner)
            case "field_initializer" | "shorthand_field_initializer":
                inner = self.field(node, inner)
        guard = node.parent is not None and node.parent.type == "match_pattern"
        return self.guard(node, inner) if guard else inner

    def chosen(self, mutants: list[dict], inner: bytes, put) -> bytes:
        """The expression as it is, or what a mutant makes of it."""
        if not mutants:
            return inner
        text = b"".join(
            b"if crate::planted(%d) { %s } else " % (one["number"], marked(one["number"], put(one))) for one in mutants
        )
        return b"(" + text + b"{ " + inner + b" })"

    def operator(self, node, inner: bytes) -> bytes:
        operator = node.child_by_field_name("operator")
        mutants = self.take("BinaryOperator", operator.start_byte, operator.end_byte)
        before = self.text[node.start_byte : operator.start_byte]
        after = self.text[operator.end_byte : node.end_byte]
        text = self.chosen(mutants, inner, lambda one: before + one["replacement"].encode() + after)
        return text if not mutants or node.type == "binary_expression" else text.removeprefix(b"(").removesuffix(b")")

    def unary(self, node, inner: bytes) -> bytes:
        operator = node.children[0]
        mutants = self.take("UnaryOperator", operator.start_byte, operator.end_byte)
        return self.chosen(mutants, inner, lambda one: self.text[operator.end_byte : node.end_byte])

    def body(self, node, inner: bytes) -> bytes:
        statements = [one for one in node.named_children if not one.type.endswith("_comment")]
        if node.parent.type != "function_item" or not statements:
            return inner
        mutants = self.take("FnValue", statements[0].start_byte, statements[-1].end_byte)
        text = b"".join(
            b" if crate::planted(%d) { %s }" % (one["number"], marked(one["number"], f"return {one['replacement']};".encode()))
            for one in mutants
        )
        return inner[:1] + text + inner[1:]

    def arm(self, node, inner: bytes) -> bytes:
        # Without an arm that takes all others, the compiler wants this one.
        arm = node.parent
        if not any(self.original(other.child_by_field_name("pattern")) == b"_" for other in arm.parent.named_children if other.type == "match_arm"):
            return inner
        mutants = self.take("MatchArm", arm.start_byte, arm.end_byte) or self.take("MatchArm", arm.start_byte, arm.end_byte - 1)
        if not mutants:
            return inner
        guard = b" && " if node.child_by_field_name("condition") else b" if "
        return inner + guard + b" && ".join(marked(one["number"], b"!crate::planted(%d)" % one["number"]) for one in mutants)

    def field(self, node, inner: bytes) -> bytes:
        end = node.end_byte
        mutants = self.take("StructField", node.start_byte, end) or self.take("StructField", node.start_byte, end + 1)
        base = next((one for one in node.parent.children if one.type == "base_field_initializer"), None)
        if not mutants or base is None:
            return inner
        short = node.type == "shorthand_field_initializer"
        name = inner if short else self.original(node.child_by_field_name("field"))
        before = b"" if short else self.text[node.start_byte : node.child_by_field_name("value").start_byte]
        default = b"(" + self.original(base.named_children[0]) + b")." + name
        return (b"%s: " % name if short else before) + self.chosen(mutants, inner[len(before) :], lambda one: default)

    def guard(self, node, inner: bytes) -> bytes:
        mutants = self.take("MatchArmGuard", node.start_byte, node.end_byte)
        return self.chosen(mutants, inner, lambda one: one["replacement"].encode())


def marked(number: int, text: bytes) -> bytes:
    return b"/*<%d*/%s/*%d>*/" % (number, text, number)


def ranges(text: bytes) -> dict[int, tuple[int, int]]:
    """Where each mutant stands in what was written."""
    found = re.finditer(rb"/\*<(\d+)\*/.*?/\*\1>\*/", text, re.S)
    return {int(one[1]): one.span() for one in found}


def blamed(told: dict, texts: dict[str, bytes]) -> set[int]:
    """The mutants that a compiler's message is about: those in whose text it points, or else on whose lines."""
    spans = list(told["spans"])
    for child in told["children"]:
        spans += child["spans"]
    inside, beside = set(), set()
    for span in spans:
        text = texts.get(span["file_name"])
        if text is None:
            continue
        begin = text.rfind(b"\n", 0, span["byte_start"]) + 1
        end = text.find(b"\n", span["byte_end"])
        for number, (first, last) in ranges(text).items():
            if first < span["byte_end"] and span["byte_start"] < last:
                inside.add(number)
            elif first < end and begin < last:
                beside.add(number)
    return inside or beside
