//! What `millrace explain` and the reference pages print.
#![allow(clippy::disallowed_methods, reason = "tests look at files themselves")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use millrace_config::{Explained, OptionKind, OptionSpec, explain_markdown, explain_text};

const ROLL: &[OptionSpec] = &[
    OptionSpec::with_default("interval", OptionKind::Duration, "30s", "Time after which a file is closed"),
    OptionSpec::optional("events", OptionKind::Integer { min: 1, max: i64::MAX }, "Events in one file"),
];
const OPTIONS: &[OptionSpec] = &[
    OptionSpec::required("directory", OptionKind::Path, "Where the files go"),
    OptionSpec::with_default(
        "roll",
        OptionKind::Block(ROLL),
        "",
        "When a file is closed and the next one begins",
    ),
    OptionSpec::with_default(
        "compression",
        OptionKind::Choice(&["none", "gzip"]),
        "none",
        "How files are compressed: a|b",
    ),
    OptionSpec::optional("case", OptionKind::Cases(ROLL), "Cases"),
];
const EXPLAINED: Explained<'_> = Explained {
    name: "file-roll",
    summary: "Writes events into files",
    options: OPTIONS,
    example: Some("file-roll \"out\" channel=\"m\" {\n    directory \"/srv\"\n}\n"),
};

#[test]
fn the_terminal_form_fits_its_width() {
    let expected = "\
file-roll: Writes events into files

Options
  directory  path, required
      Where the files go
  roll  group of options
      When a file is closed and the next
      one begins
      interval  time span, such as
      \"30s\", default 30s
          Time after which a file is
          closed
      events  whole number, at least 1
          Events in one file
  compression  one of \"none\", \"gzip\",
  default none
      How files are compressed: a|b
  case  group of options, repeatable,
  with one or more names
      Cases
      interval  time span, such as
      \"30s\", default 30s
          Time after which a file is
          closed
      events  whole number, at least 1
          Events in one file

Example
  file-roll \"out\" channel=\"m\" {
      directory \"/srv\"
  }
";
    assert_eq!(explain_text(&EXPLAINED, false, 40), expected);
    assert!(explain_text(&EXPLAINED, true, 40).contains("\u{1b}[1mdirectory\u{1b}[0m"));
}

#[test]
fn the_reference_form_is_a_table() {
    let expected = "\
### `file-roll`

Writes events into files.

| option | value | default | what it does |
|---|---|---|---|
| `directory` | path | required | Where the files go |
| `roll` | group of options |  | When a file is closed and the next one begins |
| `roll interval` | time span, such as \"30s\" | `30s` | Time after which a file is closed |
| `roll events` | whole number, at least 1 |  | Events in one file |
| `compression` | one of \"none\", \"gzip\" | `none` | How files are compressed: a\\|b |
| `case` | group of options, repeatable, with one or more names |  | Cases |
| `case interval` | time span, such as \"30s\" | `30s` | Time after which a file is closed |
| `case events` | whole number, at least 1 |  | Events in one file |

```kdl
file-roll \"out\" channel=\"m\" {
    directory \"/srv\"
}
```
";
    assert_eq!(explain_markdown(&EXPLAINED, 3), expected);
}
