//! A plugin that keeps every event and looks at none, made here: what a plugin costs that does nothing.

use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, EntityType, ExportKind, ExportSection, Function, FunctionSection,
    GlobalSection, GlobalType, ImportSection, MemorySection, MemoryType, Module, TypeSection, ValType,
};
use wit_component::StringEncoding;
use wit_parser::{Resolve, SourceMap};

use crate::{component, error::BuildError, templates};

/// Where the answers lie: zeros, which mean "good" and "no edits".
const ANSWER: i32 = 64;
/// Where memory for the options begins.
const HEAP: i32 = 1024;

/// The component.
///
/// # Errors
/// The interface in this binary is damaged.
pub(crate) fn component() -> Result<Vec<u8>, BuildError> {
    let damaged = |error: String| BuildError::Component(format!("the constant plugin: {error}"));
    let mut sources = SourceMap::default();
    for (name, text) in templates::interface() {
        sources.push_str(name, text);
    }
    let mut resolve = Resolve::default();
    let group = sources.parse().map_err(|(_, error)| damaged(format!("{error:?}")))?;
    let package = resolve.push_group(group).map_err(|error| damaged(format!("{error:?}")))?;
    let world = resolve
        .select_world(&[package], Some("pure-interceptor"))
        .map_err(|error| damaged(format!("{error:?}")))?;
    let mut module = module();
    wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
        .map_err(|error| damaged(format!("{error:#}")))?;
    component::encode(module)
}

fn module() -> Vec<u8> {
    use ValType::{I32, I64};
    let mut types = TypeSection::new();
    types.ty().function([I32], []);
    types.ty().function([I32], [I32]);
    types.ty().function([I32, I32, I32, I32, I32, I32, I32, I32, I64], [I32]);
    types.ty().function([I32, I32, I32, I32], [I32]);
    let mut imports = ImportSection::new();
    imports.import("millrace:plugin/types@0.1.0", "[resource-drop]batch", EntityType::Function(0));
    let mut functions = FunctionSection::new();
    [2, 0, 1, 3].into_iter().for_each(|ty| {
        functions.function(ty);
    });
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: 1,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut globals = GlobalSection::new();
    globals.global(GlobalType { val_type: I32, mutable: true, shared: false }, &ConstExpr::i32_const(HEAP));
    let mut exports = ExportSection::new();
    exports.export("millrace:plugin/lifecycle@0.1.0#configure", ExportKind::Func, 1);
    exports.export("millrace:plugin/lifecycle@0.1.0#stop", ExportKind::Func, 2);
    exports.export("millrace:plugin/interceptor@0.1.0#intercept", ExportKind::Func, 3);
    exports.export("cabi_realloc", ExportKind::Func, 4);
    exports.export("memory", ExportKind::Memory, 0);
    let mut code = CodeSection::new();
    for function in [configure(), stop(), intercept(), realloc()] {
        code.function(&function);
    }
    let mut module = Module::new();
    module.section(&types).section(&imports).section(&functions).section(&memories).section(&globals);
    module.section(&exports).section(&code);
    module.finish()
}

fn configure() -> Function {
    let mut function = Function::new([]);
    function.instructions().i32_const(ANSWER).end();
    function
}

fn stop() -> Function {
    let mut function = Function::new([]);
    function.instructions().end();
    function
}

/// Gives the batch back and changes nothing.
fn intercept() -> Function {
    let mut function = Function::new([]);
    function.instructions().local_get(0).call(0).i32_const(ANSWER).end();
    function
}

/// Hands out ever new memory: it is asked for the options only.
fn realloc() -> Function {
    let mut function = Function::new([(1, ValType::I32)]);
    let mut code = function.instructions();
    code.global_get(0)
        .local_get(2)
        .i32_add()
        .i32_const(1)
        .i32_sub()
        .i32_const(0)
        .local_get(2)
        .i32_sub()
        .i32_and();
    code.local_tee(4).local_get(3).i32_add().global_set(0);
    // Grows where the end is behind the memory.
    code.global_get(0).memory_size(0).i32_const(16).i32_shl().i32_gt_u().if_(BlockType::Empty);
    code.local_get(3).i32_const(16).i32_shr_u().i32_const(1).i32_add().memory_grow(0).drop().end();
    code.local_get(4).end();
    function
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_is_an_interceptor_that_loads() {
        let component = super::component().unwrap();
        let inspection = crate::look(&component).unwrap();
        assert_eq!((inspection.role, inspection.problem), (Some("interceptor"), None));
        assert!(component.len() < 8192, "{}", component.len());
    }
}
