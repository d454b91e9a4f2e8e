//! From the tree of a name to its expression.

use super::super::source::{ANY, NOT_HIDDEN, NOT_UPWARD, Part, SOME, plain};
use super::{NodeId, Piece, Tree};

impl Tree {
    /// Copies what follows each negation into it: `!(a)b` is no `ab`.
    pub(super) fn fill_negations(&mut self) {
        self.is_filled = true;
        while let Some(negation) = self.negations.pop() {
            if self.nodes[negation].kind != Some('!') {
                continue;
            }
            let mut inner = negation;
            while let Some(outer) = self.nodes[inner].parent {
                if self.nodes[outer].kind.is_none() {
                    let after = self.nodes[inner].position + 1;
                    let pieces = self.nodes[outer].pieces.iter().skip(after);
                    for piece in pieces.cloned().collect::<Vec<_>>() {
                        self.copy_into_alternatives(negation, &piece);
                    }
                }
                inner = outer;
            }
        }
    }

    fn copy_into_alternatives(&mut self, negation: NodeId, piece: &Piece) {
        for alternative in self.children(negation) {
            self.copy_into(alternative, piece);
        }
    }

    fn copy_into(&mut self, id: NodeId, piece: &Piece) {
        let copy = match piece {
            Piece::Text(text) if text.is_empty() => return,
            Piece::Text(text) => Piece::Text(text.clone()),
            Piece::Node(original) => {
                let copy = self.add(self.nodes[*original].kind, Some(id));
                for piece in self.nodes[*original].pieces.clone() {
                    self.copy_into(copy, &piece);
                }
                Piece::Node(copy)
            }
        };
        self.nodes[id].pieces.push(copy);
    }

    /// Returns true if a node stands at the start of the name, negations before it aside.
    fn is_start(&self, id: NodeId) -> bool {
        let node = &self.nodes[id];
        let Some(parent) = node.parent else {
            return true;
        };
        let before = self.nodes[parent].pieces.iter().take(node.position);
        self.is_start(parent) && before.clone().all(|piece| self.is_negation(piece))
    }

    fn is_negation(&self, piece: &Piece) -> bool {
        piece
            .node()
            .is_some_and(|id| self.nodes[id].kind == Some('!'))
    }

    /// Returns true if a node stands at the end of the name, or of a negation.
    fn is_end(&self, id: NodeId) -> bool {
        let node = &self.nodes[id];
        let Some(parent) = node.parent else {
            return true;
        };
        if self.nodes[parent].kind == Some('!') {
            return true;
        }
        self.is_end(parent)
            && (node.kind.is_none() || node.position + 1 == self.nodes[parent].pieces.len())
    }

    /// The expression of a node. `hidden`: it may begin with a dot.
    pub(super) fn part(&mut self, id: NodeId, hidden: bool) -> Part {
        match self.nodes[id].kind {
            None => self.sequence(id, hidden),
            Some(kind) => self.extended(id, kind, hidden),
        }
    }

    fn sequence(&mut self, id: NodeId, hidden: bool) -> Part {
        let (starts, ends) = (self.is_start(id), self.is_end(id));
        let pieces = self.nodes[id].pieces.clone();
        let only_text = pieces.iter().all(|piece| piece.node().is_none());
        let mut whole = Part::default();
        for piece in &pieces {
            let part = match piece {
                Piece::Text(text) => plain(text, starts && ends && only_text),
                Piece::Node(child) => self.part(*child, hidden),
            };
            whole.source += &part.source;
            whole.wild |= part.wild;
            whole.unicode |= part.unicode;
        }
        if let (true, Some(Piece::Text(first))) = (starts, pieces.first()) {
            let is_dots = pieces.len() == 1 && (first == "." || first == "..");
            if !is_dots {
                whole.source.insert_str(0, guard(&whole.source, hidden));
            }
        }
        let parent = self.nodes[id].parent;
        if ends && parent.is_some_and(|parent| self.nodes[parent].kind == Some('!')) {
            whole.source += r"(?:$|\/)";
        }
        whole
    }

    fn extended(&mut self, id: NodeId, kind: char, hidden: bool) -> Part {
        let (starts, ends) = (self.is_start(id), self.is_end(id));
        let (body, mut unicode) = self.alternatives(id, hidden);
        if starts && ends && body.is_empty() && kind != '!' {
            // Nothing but an empty extended glob: literal.
            let text = self.text(id);
            let node = &mut self.nodes[id];
            node.kind = None;
            node.pieces = vec![Piece::Text(text.clone())];
            return Part {
                source: text,
                ..Part::default()
            };
        }
        let not_hidden = if starts && !hidden { NOT_HIDDEN } else { "" };
        // What is repeated may begin with a dot from the second time on.
        let mut again = String::new();
        if matches!(kind, '*' | '+') && !hidden {
            let (repeated, needs_unicode) = self.alternatives(id, true);
            unicode |= needs_unicode;
            if repeated != body {
                again = repeated;
            }
        }
        let body = if again.is_empty() {
            body
        } else {
            format!("(?:{body})(?:{again})*?")
        };
        let source = match kind {
            '!' if self.nodes[id].is_empty => format!("{not_hidden}{SOME}"),
            '!' => format!("(?:(?!(?:{body})){not_hidden}{ANY})"),
            '@' => format!("(?:{body})"),
            '+' if !again.is_empty() => format!("(?:{body})"),
            '*' if !again.is_empty() => format!("(?:{body})?"),
            _ => format!("(?:{body}){kind}"),
        };
        Part {
            source,
            wild: true,
            unicode,
            ..Part::default()
        }
    }

    fn alternatives(&mut self, id: NodeId, hidden: bool) -> (String, bool) {
        let whole = self.is_start(id) && self.is_end(id);
        let mut unicode = false;
        let mut sources = Vec::new();
        for child in self.children(id) {
            let part = self.part(child, hidden);
            unicode |= part.unicode;
            if !(whole && part.source.is_empty()) {
                sources.push(part.source);
            }
        }
        (sources.join("|"), unicode)
    }

    /// The glob that a node was read from.
    fn text(&self, id: NodeId) -> String {
        let node = &self.nodes[id];
        let pieces = node.pieces.iter().map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Node(child) => self.text(*child),
        });
        let pieces: Vec<String> = pieces.collect();
        match node.kind {
            None => pieces.concat(),
            Some(kind) => format!("{kind}({})", pieces.join("|")),
        }
    }
}

/// The guard that keeps an expression at the start of a name from matching hidden names.
fn guard(source: &str, hidden: bool) -> &'static str {
    let is_risky = |text: &str| text.starts_with(['[', '.']);
    let after_dots = [r"\.", r"\.\."]
        .into_iter()
        .any(|dots| source.strip_prefix(dots).is_some_and(is_risky));
    if after_dots || (hidden && is_risky(source)) {
        NOT_UPWARD
    } else if !hidden && is_risky(source) {
        NOT_HIDDEN
    } else {
        ""
    }
}
