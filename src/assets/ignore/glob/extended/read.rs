//! Reading a name of a glob into its tree.

use super::flatten::ADOPTED_SOMEHOW;
use super::{NodeId, Piece, ROOT, Tree};

/// How deep extended globs may stand within each other; what is deeper is literal.
const DEPTH: usize = 2;

/// Brackets, whose content is passed over while extended globs are searched for.
#[derive(Default)]
struct Brackets {
    /// The place where the content begins.
    content: Option<usize>,
    negated: bool,
}

impl Brackets {
    /// Returns true if `c`, after which the glob goes on `at` this place, belongs to brackets.
    fn take(&mut self, c: char, at: usize) -> bool {
        let Some(content) = self.content else {
            if c == '[' {
                self.content = Some(at);
                self.negated = false;
            }
            return c == '[';
        };
        if at == content + 1 {
            self.negated |= c == '^' || c == '!';
        } else if c == ']' && !(at == content + 2 && self.negated) {
            self.content = None;
        }
        true
    }
}

/// Reads the glob from left to right.
struct Reader {
    glob: Vec<char>,
    at: usize,
}

impl Reader {
    fn next(&mut self) -> Option<char> {
        let c = self.glob.get(self.at).copied();
        self.at += usize::from(c.is_some());
        c
    }

    /// Returns true if `c`, which was just read, begins an extended glob.
    fn begins_extended(&self, c: char) -> bool {
        "!?+*@".contains(c) && self.glob.get(self.at) == Some(&'(')
    }
}

impl Tree {
    pub(in super::super) fn parse(glob: &str) -> Self {
        let mut tree = Self {
            nodes: Vec::new(),
            negations: Vec::new(),
            is_filled: false,
        };
        tree.add(None, None);
        let mut reader = Reader {
            glob: glob.chars().collect(),
            at: 0,
        };
        tree.read_sequence(&mut reader);
        tree
    }

    /// Reads what stands outside of extended globs.
    fn read_sequence(&mut self, reader: &mut Reader) {
        let mut text = String::new();
        let mut brackets = Brackets::default();
        let mut escaping = false;
        while let Some(c) = reader.next() {
            if escaping || c == '\\' {
                escaping = !escaping;
            } else if !brackets.take(c, reader.at) && reader.begins_extended(c) {
                self.push_text(ROOT, &mut text);
                let child = self.add(Some(c), Some(ROOT));
                self.read_alternatives(reader, child, 1);
                self.nodes[ROOT].pieces.push(Piece::Node(child));
                continue;
            }
            text.push(c);
        }
        self.push_text(ROOT, &mut text);
    }

    /// Reads an extended glob from its opening parenthesis on.
    fn read_alternatives(&mut self, reader: &mut Reader, id: NodeId, depth: usize) {
        let start = reader.at;
        reader.at += 1;
        let mut alternative = self.add(None, Some(id));
        let mut complete = Vec::new();
        let mut text = String::new();
        let mut brackets = Brackets::default();
        let mut escaping = false;
        while let Some(c) = reader.next() {
            if escaping || c == '\\' {
                escaping = !escaping;
                text.push(c);
                continue;
            }
            if brackets.take(c, reader.at) {
                text.push(c);
                continue;
            }
            let adoptable = self.can_adopt_kind(id, c, ADOPTED_SOMEHOW);
            if reader.begins_extended(c) && (depth <= DEPTH || adoptable) {
                self.push_text(alternative, &mut text);
                let child = self.add(Some(c), Some(alternative));
                self.nodes[alternative].pieces.push(Piece::Node(child));
                self.read_alternatives(reader, child, depth + usize::from(!adoptable));
                continue;
            }
            match c {
                '|' => {
                    self.push_text(alternative, &mut text);
                    complete.push(Piece::Node(alternative));
                    alternative = self.add(None, Some(id));
                }
                ')' => {
                    self.nodes[id].is_empty = text.is_empty() && self.nodes[id].pieces.is_empty();
                    self.push_text(alternative, &mut text);
                    complete.push(Piece::Node(alternative));
                    self.nodes[id].pieces.append(&mut complete);
                    return;
                }
                _ => text.push(c),
            }
        }
        // It is not closed: literal.
        self.nodes[id].kind = None;
        self.nodes[id].pieces = vec![Piece::Text(reader.glob[start - 1..].iter().collect())];
    }
}
