//! From the text of a document to its tree: YAML with anchors, aliases and merge keys, and JSON.
//! What a document can grow to is bounded.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, Tag};

use super::node::{Kind, Member, Node};
use super::problem::{Place, Problem};

/// Largest document, in bytes.
pub const MAX_DOCUMENT: usize = 4 * 1024 * 1024;
/// Most room that a document takes with all its aliases written out, in bytes.
const MAX_WEIGHT: u64 = 64 * 1024 * 1024;
/// Longest text, or list or map in brackets, in characters.
const MAX_AHEAD: usize = 512 * 1024;
/// How deep maps and lists may be within each other.
const MAX_DEPTH: usize = 32;
/// Most parts of a document, with those that maps have from others.
const MAX_PARTS: usize = 300_000;
/// Most maps of a document that is JSON and no YAML.
const MAX_MAPS: usize = 100_000;
/// The key of a map that takes what another map has.
const MERGE: &str = "<<";

/// The tree of a document.
pub(super) fn parse(bytes: &[u8]) -> Result<Rc<Node>, Problem> {
    let text = text(bytes)?;
    let tree = yaml(text);
    let may_be_json = text.trim_start().starts_with('{') && text.matches('{').count() <= MAX_MAPS;
    // Some JSON is no YAML, such as halves of a surrogate pair, or is too long in one piece.
    match tree {
        Err(problem) if may_be_json => match serde_json::from_str(text) {
            Ok(value) => of_value(&value),
            Err(_) => Err(problem),
        },
        tree => tree,
    }
}

/// The tree of a JSON value.
pub(super) fn of_value(value: &serde_json::Value) -> Result<Rc<Node>, Problem> {
    bounded(Rc::new(Node::of(value)))
}

fn text(bytes: &[u8]) -> Result<&str, Problem> {
    if bytes.len() > MAX_DOCUMENT {
        let length = bytes.len();
        return Err(whole(format_args!(
            "the list is too large: expected at most {MAX_DOCUMENT} bytes, got {length}"
        )));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|_| whole("the list is no UTF-8 text: save it as UTF-8"))?;
    Ok(text.trim_start_matches('\u{feff}'))
}

fn yaml(text: &str) -> Result<Rc<Node>, Problem> {
    let fed = Fed::default();
    let mut composer = Composer::default();
    let mut parser = Parser::new_from_iter(fed.feed(text));
    while let Some(event) = parser.next_event() {
        fed.ahead.set(0);
        let (event, span) = event.map_err(|error| malformed(&error, fed.is_cut.get()))?;
        if fed.is_cut.get() {
            return Err(too_long(line_of(&span.start)));
        }
        composer.take(event, span)?;
    }
    composer.root.ok_or_else(|| whole("the list is empty"))
}

/// How far the parser has read ahead of what it has given. It holds a map or list in braces or
/// brackets whole before it gives the first of it.
#[derive(Default)]
struct Fed {
    ahead: Cell<usize>,
    is_cut: Cell<bool>,
}

impl Fed {
    /// The characters of a text, up to where the parser would hold too much.
    fn feed(&self, text: &str) -> impl Iterator<Item = char> {
        text.chars().map_while(|letter| {
            let ahead = self.ahead.get();
            self.ahead.set(ahead + 1);
            self.is_cut.set(self.is_cut.get() || ahead >= MAX_AHEAD);
            (!self.is_cut.get()).then_some(letter)
        })
    }
}

/// Builds the tree from the parser's events.
#[derive(Default)]
struct Composer {
    root: Option<Rc<Node>>,
    /// The maps and lists that are not at their end.
    open: Vec<Open>,
    anchors: HashMap<usize, Rc<Node>>,
    /// The number of parts, with those that maps have from others.
    parts: usize,
}

struct Open {
    line: u32,
    anchor: usize,
    parts: Parts,
}

enum Parts {
    List(Vec<Rc<Node>>),
    Map {
        members: Vec<Member>,
        /// The key whose value comes next.
        key: Option<Key>,
        merged: Vec<Rc<Node>>,
    },
}

struct Key {
    name: String,
    line: u32,
    is_merge: bool,
}

impl Composer {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Problem> {
        let line = line_of(&span.start);
        match event {
            Event::DocumentStart(_) if self.root.is_some() => {
                Err(at(line, "another document begins: expected one"))
            }
            Event::Scalar(text, style, anchor, tag) => {
                let quoted_by_tag = known_tag(tag.as_deref(), line)?;
                let is_quoted = style != ScalarStyle::Plain || quoted_by_tag;
                self.scalar(text.into_owned(), is_quoted, anchor, line)
            }
            Event::SequenceStart(anchor, tag) => {
                known_tag(tag.as_deref(), line)?;
                self.begin(line, anchor, Parts::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                known_tag(tag.as_deref(), line)?;
                let parts = Parts::Map {
                    members: Vec::new(),
                    key: None,
                    merged: Vec::new(),
                };
                self.begin(line, anchor, parts)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned();
                let node = node.ok_or_else(|| at(line, "an alias stands within its own anchor"))?;
                self.add(node, line)
            }
            _ => Ok(()),
        }
    }

    fn scalar(
        &mut self,
        text: String,
        is_quoted: bool,
        anchor: usize,
        line: u32,
    ) -> Result<(), Problem> {
        let is_merge = !is_quoted && text == MERGE;
        if let Some(Parts::Map { key, .. }) = self.open.last_mut().map(|open| &mut open.parts)
            && key.is_none()
        {
            *key = Some(Key {
                name: text,
                line,
                is_merge,
            });
            return Ok(());
        }
        let is_null = !is_quoted && ["", "~", "null", "Null", "NULL"].contains(&text.as_str());
        let kind = if is_null {
            Kind::Null
        } else {
            Kind::Text { text, is_quoted }
        };
        self.complete(Node::new(Some(line), kind), anchor, line)
    }

    fn begin(&mut self, line: u32, anchor: usize, parts: Parts) -> Result<(), Problem> {
        if self.open.len() == MAX_DEPTH {
            return Err(at(
                line,
                format_args!("more than {MAX_DEPTH} maps and lists are within each other"),
            ));
        }
        self.open.push(Open {
            line,
            anchor,
            parts,
        });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Problem> {
        let Some(Open {
            line,
            anchor,
            parts,
        }) = self.open.pop()
        else {
            return Ok(());
        };
        let kind = match parts {
            Parts::List(items) => Kind::List(items),
            Parts::Map {
                members, merged, ..
            } if merged.is_empty() => Kind::Map(members),
            Parts::Map {
                members, merged, ..
            } => {
                let own = members.len();
                let members = merge(members, &merged, line)?;
                self.count(members.len() - own, line)?;
                Kind::Map(members)
            }
        };
        self.complete(Node::new(Some(line), kind), anchor, line)
    }

    fn count(&mut self, parts: usize, line: u32) -> Result<(), Problem> {
        self.parts += parts;
        if self.parts <= MAX_PARTS {
            return Ok(());
        }
        Err(at(
            line,
            format_args!("the list has too many parts: expected at most {MAX_PARTS} values"),
        ))
    }

    fn complete(&mut self, node: Node, anchor: usize, line: u32) -> Result<(), Problem> {
        self.count(1, line)?;
        let node = bounded(Rc::new(node))?;
        if anchor != 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        self.add(node, line)
    }

    fn add(&mut self, node: Rc<Node>, line: u32) -> Result<(), Problem> {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut open.parts {
            Parts::List(items) => items.push(node),
            Parts::Map {
                members,
                key,
                merged,
            } => match key.take() {
                Some(key) if key.is_merge => merged.push(node),
                Some(key) => members.push(Member {
                    name: key.name,
                    line: Some(key.line),
                    value: node,
                }),
                None => return Err(at(line, "a key of a map must be a text")),
            },
        }
        Ok(())
    }
}

/// The members of a map with what merged maps have and the map itself has not. Of several, the
/// first wins.
fn merge(own: Vec<Member>, merged: &[Rc<Node>], line: u32) -> Result<Vec<Member>, Problem> {
    let mut known: HashSet<String> = own.iter().map(|member| member.name.clone()).collect();
    let mut members = Vec::new();
    for node in merged {
        let maps = match &node.kind {
            Kind::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        for map in maps {
            let Kind::Map(others) = &map.kind else {
                let line = map.line.unwrap_or(line);
                return Err(at(line, "<< takes a map, or a list of maps"));
            };
            for other in others {
                if known.insert(other.name.clone()) {
                    members.push(other.clone());
                }
            }
        }
    }
    members.extend(own);
    Ok(members)
}

/// Returns true if a tag makes a text of what it stands before. Tags that say more are refused.
fn known_tag(tag: Option<&Tag>, line: u32) -> Result<bool, Problem> {
    match tag {
        None => Ok(false),
        Some(tag) if tag.is_yaml_core_schema() => Ok(tag.suffix == "str"),
        Some(tag) if tag.handle.is_empty() && tag.suffix == "!" => Ok(true),
        Some(tag) => Err(at(
            line,
            format_args!("the tag {tag} has no meaning in a list"),
        )),
    }
}

fn bounded(node: Rc<Node>) -> Result<Rc<Node>, Problem> {
    if node.weight <= MAX_WEIGHT {
        return Ok(node);
    }
    let place = Place {
        line: node.line,
        ..Place::default()
    };
    Err(Problem::new(
        &place,
        format_args!(
            "the list is too large with its aliases written out: expected at most {MAX_WEIGHT} \
             bytes"
        ),
    ))
}

fn malformed(error: &ScanError, is_cut: bool) -> Problem {
    let line = line_of(error.marker());
    if is_cut {
        return too_long(line);
    }
    at(line, format_args!("malformed YAML: {}", error.info()))
}

fn too_long(line: u32) -> Problem {
    at(
        line,
        format_args!(
            "a text, or a list or map in brackets, is too long: expected at most {MAX_AHEAD} \
             characters; write it in lines, with \"- \" before each item"
        ),
    )
}

fn line_of(mark: &Marker) -> u32 {
    u32::try_from(mark.line()).unwrap_or(u32::MAX)
}

fn at(line: u32, text: impl std::fmt::Display) -> Problem {
    let place = Place {
        line: Some(line),
        ..Place::default()
    };
    Problem::new(&place, text)
}

fn whole(text: impl std::fmt::Display) -> Problem {
    Problem::new(&Place::default(), text)
}
