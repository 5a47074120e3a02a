//! A configuration document as a neutral tree, with the place of every part.
//!
//! KDL's own types stay in `document`; everything after it works on these nodes. `${env:…}` and `${file:…}`
//! are already expanded in the scalars.

use crate::diagnostic::Span;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// A value at a place.
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

/// A plain value of KDL.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// A string.
    Text(String),
    /// A whole number.
    Integer(i128),
    /// A number with a fraction or an exponent.
    Float(f64),
    /// `#true` or `#false`.
    Boolean(bool),
    /// `#null`.
    Null,
}

/// `name=value` on a node.
#[derive(Debug, Clone, PartialEq)]
pub struct Property {
    /// The name.
    pub name: Spanned<String>,
    /// The value.
    pub value: Spanned<Scalar>,
}

/// A node: `name argument property=value { children }`.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The node's name.
    pub name: Spanned<String>,
    /// Values without a name, in order.
    pub arguments: Vec<Spanned<Scalar>>,
    /// Values with a name, in order of writing, repetitions included.
    pub properties: Vec<Property>,
    /// The nodes between the braces.
    pub children: Vec<Node>,
    /// The whole node.
    pub span: Span,
}

impl Node {
    /// The property of this name; the last one where it is repeated, as KDL says.
    pub fn property(&self, name: &str) -> Option<&Property> {
        self.properties.iter().rev().find(|property| property.name.value == name)
    }

    /// The children of this name, in order.
    pub fn children_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Node> {
        self.children.iter().filter(move |child| child.name.value == name)
    }

    /// A copy without the options that somebody else has already read.
    #[must_use]
    pub fn without(&self, names: &[&str]) -> Self {
        let mut node = self.clone();
        node.properties.retain(|property| !names.contains(&property.name.value.as_str()));
        node.children.retain(|child| !names.contains(&child.name.value.as_str()));
        node
    }

    /// A copy with these options only: the counterpart of [`Node::without`].
    #[must_use]
    pub fn only(&self, names: &[&str]) -> Self {
        let mut node = self.clone();
        node.properties.retain(|property| names.contains(&property.name.value.as_str()));
        node.children.retain(|child| names.contains(&child.name.value.as_str()));
        node
    }

    /// Whether two nodes say the same, wherever they stand: what a reload compares.
    pub fn same_meaning(&self, other: &Self) -> bool {
        self.name.value == other.name.value
            && self.arguments.len() == other.arguments.len()
            && self.arguments.iter().zip(&other.arguments).all(|(mine, theirs)| mine.value == theirs.value)
            && self.properties.len() == other.properties.len()
            && self.properties.iter().zip(&other.properties).all(|(mine, theirs)| {
                mine.name.value == theirs.name.value && mine.value.value == theirs.value.value
            })
            && self.children.len() == other.children.len()
            && self.children.iter().zip(&other.children).all(|(mine, theirs)| mine.same_meaning(theirs))
    }
}
