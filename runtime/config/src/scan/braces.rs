//! Braces: which one lacks its partner.
//!
//! The text alone cannot tell; indentation nearly always can. A `}` that stands further left than the line
//! that opened the innermost block closes an outer one, so the inner one was forgotten, and the line where
//! the text returned to the inner block's own indentation is where it should have been closed.

use super::{Before, DEPTH_MAX, Edit, Scanner};

/// An open block.
#[derive(Debug, Clone, Copy)]
pub(super) struct Open {
    /// Where its `{` stands.
    at: usize,
    /// Bytes of blank space at the start of that line.
    indent: usize,
    /// The first later line that is not indented further, should the block prove to be unclosed.
    dedent: Option<usize>,
    /// What stands before the place after its `}`.
    after: Before,
}

impl Scanner<'_> {
    pub(super) fn open_block(&mut self) {
        let at = self.at;
        self.at += 1;
        let commented_out = self.slashdash.take().is_some();
        if self.blocks.len() >= DEPTH_MAX {
            return self.too_deep(at, "blocks");
        }
        if let Before::Equals(_) = self.before {
            self.end_node();
        }
        let nameless = match self.before {
            Before::Start | Before::Equals(_) => true,
            Before::Block => !commented_out,
            Before::Name | Before::Value | Before::Property => false,
        };
        if nameless {
            let finding = self
                .finding("config::brace", at..at + 1, "a block without a name")
                .label("belongs to no node")
                .help("write the name before `{`, on the same line");
            self.guess(finding, at..at, "\nblock ");
        }
        let after = if commented_out && !nameless { self.before } else { Before::Block };
        let (indent, _) = self.line_of(at);
        self.blocks.push(Open { at, indent, dedent: None, after });
        self.before = Before::Start;
    }

    pub(super) fn close_block(&mut self) {
        let at = self.at;
        self.end_slashdash();
        self.end_node();
        self.at += 1;
        self.before = Before::Block;
        let (indent, first) = self.line_of(at);
        if first && self.blocks.iter().any(|open| open.indent == indent) {
            while let Some(open) = self.blocks.pop_if(|open| open.indent > indent) {
                self.forgotten(open, at);
            }
        }
        if let Some(open) = self.blocks.pop() {
            self.before = open.after;
        } else {
            let finding = self
                .finding("config::brace", at..at + 1, "`}` without a `{` before it")
                .label("nothing to close")
                .help("delete it, or look above for a block that was closed too early");
            self.guess(finding, at..at + 1, " ");
        }
    }

    /// At the end of the text: blocks that are still open.
    pub(super) fn close_all(&mut self) {
        let end = self.text.len();
        while let Some(open) = self.blocks.pop() {
            self.forgotten(open, end);
            self.scan.guessed |= open.dedent.is_none();
        }
    }

    /// Notes where a line begins that could only belong outside of the innermost block.
    pub(super) fn note_dedent(&mut self, at: usize) {
        let (indent, first) = self.line_of(at);
        if !first {
            return;
        }
        for open in self.blocks.iter_mut().rev().take_while(|open| open.indent >= indent) {
            open.dedent.get_or_insert(at);
        }
    }

    fn forgotten(&mut self, open: Open, at: usize) {
        let finding = self
            .finding("config::brace", open.at..open.at + 1, "the block is never closed")
            .label("this `{` has no `}`")
            .help("add the missing `}`");
        self.scan.findings.push(finding);
        let at = open.dedent.unwrap_or(at);
        self.scan.edits.push(Edit { range: at..at, text: "\n}\n".into() });
    }

    /// The indentation of the line at `at`, and whether `at` is the first thing on it.
    fn line_of(&self, at: usize) -> (usize, bool) {
        let line = self.text.get(self.line_start..at).unwrap_or_default();
        let indent = line.find(|c| c != ' ' && c != '\t').unwrap_or(line.len());
        (indent, self.line_start + indent == at)
    }
}
