//! An interceptor that sets a header on every event whose body contains a text.
//!
//! A place to begin: change the options, change `intercept`, run `cargo test`.

use millrace_plugin::{Batch, Edits, Failure, Finder, Instance, Interceptor, Issue};
use serde::Deserialize;

/// The options, as they stand in the configuration of the agent.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Config {
    contains: String,
    #[serde(default = "default_header")]
    header: String,
}

fn default_header() -> String {
    "found".to_owned()
}

struct MyInterceptor {
    needle: Finder,
    header: String,
}

impl Interceptor for MyInterceptor {
    type Config = Config;

    fn configure(config: Config, _instance: &Instance) -> Result<Self, Vec<Issue>> {
        if config.contains.is_empty() {
            return Err(vec![Issue::new("/contains", "must not be empty")]);
        }
        Ok(Self { needle: Finder::new(config.contains), header: config.header })
    }

    fn intercept(&mut self, batch: &Batch, edits: &mut Edits) -> Result<(), Failure> {
        edits.set_header_rows(self.needle.rows(batch.bodies()), &self.header, "yes");
        Ok(())
    }
}

millrace_plugin::export!(MyInterceptor);

#[cfg(test)]
mod tests {
    use millrace_plugin::testing::{self, Event};

    use super::*;

    #[test]
    fn events_that_contain_the_text_get_the_header() {
        let mut plugin = testing::configure::<MyInterceptor>(r#"{"contains": "error"}"#).unwrap();
        let outcome = testing::run(&mut plugin, vec![Event::new("an error"), Event::new("fine")]).unwrap();
        assert_eq!(outcome.kept, [Event::new("an error").with_header("found", "yes"), Event::new("fine")]);
    }
}
