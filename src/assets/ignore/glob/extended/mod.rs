//! Extended globs such as `*.@(js|ts)` and `!(a|b)`, which may stand within each other.
//!
//! A name of a glob is read into a tree, the tree is simplified, and an expression is made of it:
//! the library's steps in the library's order, because that order decides about what is matched.

mod flatten;
mod read;
mod render;

use super::source::{Part, unescape};

type NodeId = usize;
const ROOT: NodeId = 0;

#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    Node(NodeId),
}

impl Piece {
    fn node(&self) -> Option<NodeId> {
        match self {
            Self::Text(_) => None,
            Self::Node(id) => Some(*id),
        }
    }
}

/// A sequence of pieces, or, with a kind, an extended glob whose pieces are its alternatives.
#[derive(Debug)]
struct Node {
    kind: Option<char>,
    pieces: Vec<Piece>,
    parent: Option<NodeId>,
    /// The number of pieces that the parent had when this was made.
    position: usize,
    /// Its last alternative has no text at its end: `!()`.
    is_empty: bool,
}

/// The tree of one name.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    /// All `!(…)` that were read.
    negations: Vec<NodeId>,
    /// True once the rest of the glob has been copied into the negation.
    is_filled: bool,
}

impl Tree {
    /// The whole name as an expression.
    pub(super) fn into_part(mut self) -> Part {
        self.flatten(ROOT);
        self.fill_negations();
        let part = self.part(ROOT, false);
        Part {
            literal: unescape(&part.source),
            ..part
        }
    }

    fn add(&mut self, kind: Option<char>, parent: Option<NodeId>) -> NodeId {
        let id = self.nodes.len();
        let position = parent.map_or(0, |parent| self.nodes[parent].pieces.len());
        if kind == Some('!') && !self.is_filled {
            self.negations.push(id);
        }
        self.nodes.push(Node {
            kind,
            pieces: Vec::new(),
            parent,
            position,
            is_empty: false,
        });
        id
    }

    fn push_text(&mut self, id: NodeId, text: &mut String) {
        if !text.is_empty() {
            let text = Piece::Text(std::mem::take(text));
            self.nodes[id].pieces.push(text);
        }
    }
}
