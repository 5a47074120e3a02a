//! Selectors: which channels an event goes to.

use millrace_config::{Diagnostic, Diagnostics, Spanned, closest};
use millrace_core::{SelectorContext, SelectorFactory};

mod load_balancing;
mod multiplexing;
mod replicating;

#[cfg(test)]
mod testing;

/// All of them.
pub fn factories() -> Vec<SelectorFactory> {
    vec![load_balancing::FACTORY, multiplexing::FACTORY, replicating::FACTORY]
}

/// The places of channels named by an option, ascending and once each; a name that is not there is reported.
fn places(names: &[Spanned<String>], cx: &SelectorContext, found: &mut Diagnostics) -> Vec<usize> {
    let mut places = Vec::new();
    for name in names {
        match cx.channels.iter().position(|known| *known == name.value) {
            Some(place) => places.push(place),
            None => found.push(no_channel(name, &cx.channels)),
        }
    }
    places.sort_unstable();
    places.dedup();
    places
}

fn no_channel(name: &Spanned<String>, known: &[String]) -> Diagnostic {
    let reason = format!("there is no channel `{}`", name.value);
    let finding = Diagnostic::error("config::unknown-channel", name.span, reason).label("not defined");
    if known.is_empty() {
        return finding.help("declare it in the `channels` block");
    }
    let list = format!("known: {}", known.join(", "));
    match closest(&name.value, known.iter().map(String::as_str)) {
        Some(word) => finding.help(format!("did you mean `{word}`? {list}")),
        None => finding.help(list),
    }
}
