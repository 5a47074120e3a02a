//! What a script may import: it is one file, so only what the engine itself has.

use rquickjs::loader::{ImportAttributes, Loader, Resolver};
use rquickjs::module::Declared;
use rquickjs::{Ctx, Exception, Module, Result};

/// The module that keeps state.
const NAME: &str = "millrace:state";

/// Finds the one module there may be.
pub(crate) struct Modules {
    /// Whether the agent keeps state for this script.
    pub(crate) has_state: bool,
}

impl Resolver for Modules {
    fn resolve<'js>(
        &mut self,
        cx: &Ctx<'js>,
        _base: &str,
        name: &str,
        _attributes: Option<ImportAttributes<'js>>,
    ) -> Result<String> {
        match name {
            NAME if self.has_state => Ok(name.to_owned()),
            NAME => {
                Err(Exception::throw_reference(cx, &format!("\"{NAME}\" is imported by its plain name only")))
            }
            _ => {
                let reason =
                    format!("there is no module \"{name}\": a script is one file, and may import \"{NAME}\"");
                Err(Exception::throw_reference(cx, &reason))
            }
        }
    }
}

impl Loader for Modules {
    fn load<'js>(
        &mut self,
        cx: &Ctx<'js>,
        name: &str,
        _attributes: Option<ImportAttributes<'js>>,
    ) -> Result<Module<'js, Declared>> {
        Module::declare_def::<super::state::State, _>(cx.clone(), name)
    }
}
