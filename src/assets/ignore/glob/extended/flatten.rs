//! Simplifying extended globs that stand within each other: `+(a|+(b|c))` is `+(a|b|c)`.

use super::{NodeId, Piece, Tree};

/// The number of times that one extended glob is simplified.
const PASSES: usize = 10;

/// A kind of extended glob, and kinds that it can take in.
type Adopted = &'static [(char, &'static [char])];

/// Kinds whose alternatives become the parent's.
const ADOPTED: Adopted = &[
    ('!', &['@']),
    ('?', &['?', '@']),
    ('@', &['@']),
    ('*', &['*', '+', '?', '@']),
    ('+', &['+', '@']),
];

/// Kinds whose alternatives become the parent's together with an empty one.
const ADOPTED_WITH_EMPTY: Adopted = &[('!', &['?']), ('@', &['?']), ('+', &['?', '*'])];

/// Those of both.
pub(super) const ADOPTED_SOMEHOW: Adopted = &[
    ('!', &['?', '@']),
    ('?', &['?', '@']),
    ('@', &['?', '@']),
    ('*', &['*', '+', '?', '@']),
    ('+', &['+', '@', '?', '*']),
];

/// An extended glob, an only alternative of it that is an extended glob, and what both together
/// are.
const USURPED: &[(char, char, char)] = &[
    ('!', '!', '@'),
    ('?', '*', '*'),
    ('?', '+', '*'),
    ('@', '!', '!'),
    ('@', '?', '?'),
    ('@', '@', '@'),
    ('@', '*', '*'),
    ('@', '+', '+'),
    ('+', '?', '*'),
    ('+', '*', '*'),
];

impl Tree {
    pub(super) fn flatten(&mut self, id: NodeId) {
        if self.nodes[id].kind.is_none() {
            for child in self.children(id) {
                self.flatten(child);
            }
            return;
        }
        for _ in 0..PASSES {
            if !self.flatten_once(id) {
                return;
            }
        }
    }

    pub(super) fn children(&self, id: NodeId) -> Vec<NodeId> {
        self.nodes[id]
            .pieces
            .iter()
            .filter_map(Piece::node)
            .collect()
    }

    /// Returns true if anything became simpler.
    fn flatten_once(&mut self, id: NodeId) -> bool {
        let mut changed = false;
        let mut index = 0;
        while let Some(piece) = self.nodes[id].pieces.get(index) {
            if let Some(child) = piece.node() {
                self.flatten(child);
                changed |= self.simplify(id, child, index);
            }
            index += 1;
        }
        changed
    }

    fn simplify(&mut self, id: NodeId, child: NodeId, index: usize) -> bool {
        let Some((grandchild, kind)) = self.only_extended(child) else {
            return false;
        };
        if self.can_adopt_kind(id, kind, ADOPTED) {
            self.adopt(id, grandchild, index);
            return true;
        }
        if self.can_adopt_kind(id, kind, ADOPTED_WITH_EMPTY) {
            let empty = self.add(None, Some(grandchild));
            self.nodes[empty].pieces.push(Piece::Text(String::new()));
            self.nodes[grandchild].pieces.push(Piece::Node(empty));
            self.adopt(id, grandchild, index);
            return true;
        }
        self.nodes[id].pieces.len() == 1 && self.usurp(id, grandchild, kind)
    }

    /// The extended glob that is all of an alternative, and its kind.
    fn only_extended(&self, alternative: NodeId) -> Option<(NodeId, char)> {
        let node = &self.nodes[alternative];
        match (node.kind, &node.pieces[..]) {
            (None, [Piece::Node(only)]) => Some((*only, self.nodes[*only].kind?)),
            _ => None,
        }
    }

    pub(super) fn can_adopt_kind(&self, id: NodeId, kind: char, adopted: Adopted) -> bool {
        let own = self.nodes[id].kind;
        adopted
            .iter()
            .any(|(parent, kinds)| own == Some(*parent) && kinds.contains(&kind))
    }

    fn adopt(&mut self, id: NodeId, grandchild: NodeId, index: usize) {
        let pieces = self.nodes[grandchild].pieces.clone();
        self.take_in(id, &pieces);
        self.nodes[id].pieces.splice(index..=index, pieces);
    }

    fn usurp(&mut self, id: NodeId, grandchild: NodeId, kind: char) -> bool {
        let own = self.nodes[id].kind;
        let found = USURPED
            .iter()
            .find(|(parent, child, _)| own == Some(*parent) && *child == kind);
        let Some((_, _, together)) = found else {
            return false;
        };
        let pieces = self.nodes[grandchild].pieces.clone();
        self.take_in(id, &pieces);
        let node = &mut self.nodes[id];
        node.pieces = pieces;
        node.kind = Some(*together);
        node.is_empty = false;
        true
    }

    fn take_in(&mut self, id: NodeId, pieces: &[Piece]) {
        for child in pieces.iter().filter_map(Piece::node) {
            self.nodes[child].parent = Some(id);
        }
    }
}
