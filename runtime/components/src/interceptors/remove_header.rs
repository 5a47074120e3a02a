//! Removes headers by name, by a list of names, or by an expression on their names.

use async_trait::async_trait;
use millrace_config::{Diagnostic, Diagnostics, OptionKind, OptionSpec, Section};
use millrace_core::{Batch, BuildContext, Interceptor, InterceptorError, InterceptorFactory};
use regex::Regex;

const OPTIONS: &[OptionSpec] = &[
    OptionSpec::optional("with-name", OptionKind::Text, "Removes the header of exactly this name"),
    OptionSpec::optional(
        "from-list",
        OptionKind::Texts,
        "Removes the headers of these names; each text may hold several",
    ),
    OptionSpec::with_default(
        "from-list-separator",
        OptionKind::Regex,
        r"\s*,\s*",
        "What stands between several names in one text of `from-list`",
    ),
    OptionSpec::optional(
        "matching",
        OptionKind::Regex,
        "Removes the headers whose whole name matches this expression",
    ),
];

pub(super) const FACTORY: InterceptorFactory = InterceptorFactory {
    name: "remove-header",
    summary: "Removes headers by name, by list or by expression",
    options: OPTIONS,
    open: false,
    example: "remove-header matching=\"x-debug-.*\"",
    build,
};

fn build(section: &Section, _cx: &BuildContext) -> Result<Box<dyn Interceptor>, Diagnostics> {
    if !["with-name", "from-list", "matching"].iter().any(|option| section.has(option)) {
        return Err(Diagnostic::error(
            "components::nothing-to-remove",
            section.span(),
            "`remove-header` does not say which headers to remove",
        )
        .help("add `with-name`, `from-list` or `matching`")
        .into());
    }
    let separator = super::text_regex(section, "from-list-separator", section.text("from-list-separator"))?;
    let matching = section
        .optional_text("matching")
        .map(|name| super::text_regex(section, "matching", &format!(r"\A(?:{name})\z")))
        .transpose()?;
    let listed = section.texts("from-list").iter().flat_map(|text| separator.split(&text.value));
    let mut names: Vec<String> = listed.filter(|name| !name.is_empty()).map(str::to_owned).collect();
    names.extend(section.optional_text("with-name").map(str::to_owned));
    Ok(Box::new(RemoveHeaderInterceptor { names, matching }))
}

struct RemoveHeaderInterceptor {
    names: Vec<String>,
    matching: Option<Regex>,
}

#[async_trait]
impl Interceptor for RemoveHeaderInterceptor {
    async fn intercept(&self, mut batch: Batch) -> Result<Batch, InterceptorError> {
        let unwanted = |name: &str| {
            self.names.iter().any(|known| known == name)
                || self.matching.as_ref().is_some_and(|matching| matching.is_match(name))
        };
        batch.change_headers(|headers| {
            headers.remove_if(unwanted);
        });
        Ok(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::FACTORY;
    use crate::interceptors::testing::{build, event, headers, run};

    const FOUR: &[(&str, &str)] = &[("a", "1"), ("ab", "2"), ("b.c", "3"), ("bxc", "4")];

    async fn left(kdl: &str) -> Vec<String> {
        let out = run(&FACTORY, kdl, vec![event("body", FOUR)]).await;
        headers(&out)[0].iter().map(|(name, _)| (*name).to_owned()).collect()
    }

    #[tokio::test]
    async fn a_name_is_taken_literally_and_whole() {
        assert_eq!(left("remove-header with-name=\"a\"").await, ["ab", "b.c", "bxc"]);
        assert_eq!(left("remove-header with-name=\"b.c\"").await, ["a", "ab", "bxc"]);
        assert_eq!(left("remove-header with-name=\"A\"").await, ["a", "ab", "b.c", "bxc"]);
    }

    #[tokio::test]
    async fn a_list_is_split_at_its_separator() {
        assert_eq!(left("remove-header from-list=\"a , ab,none\"").await, ["b.c", "bxc"]);
        assert_eq!(left("remove-header { from-list \"a\" \"ab,bxc\" }").await, ["b.c"]);
        assert_eq!(left("remove-header from-list=\"a;ab\" from-list-separator=\";\"").await, ["b.c", "bxc"]);
    }

    #[tokio::test]
    async fn an_expression_has_to_match_the_whole_name_and_all_three_add_up() {
        assert_eq!(left("remove-header matching=\"a|b\"").await, ["ab", "b.c", "bxc"]);
        assert_eq!(left("remove-header matching=\"b.c\"").await, ["a", "ab"]);
        let all = "remove-header with-name=\"a\" from-list=\"ab\" matching=\"b\\\\.c\"";
        assert_eq!(left(all).await, ["bxc"]);
    }

    #[test]
    fn saying_nothing_to_remove_is_a_mistake() {
        let found = build(&FACTORY, "remove-header").err().unwrap();
        assert_eq!(found.iter().next().unwrap().code, "components::nothing-to-remove");
    }
}
