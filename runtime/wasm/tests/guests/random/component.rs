//! Random components: every export calls the functions of some interfaces with random arguments, in a random order, and
//! answers at random. Now and then it loops, takes memory, keeps what it was lent, or traps.

use std::path::Path;

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, DataSection, EntityType, ExportKind, ExportSection, Function,
    FunctionSection, GlobalSection, GlobalType, ImportSection, InstructionSink, MemorySection, MemoryType,
    Module, TypeSection, ValType,
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{
    Resolve, SizeAlign, WorldItem,
    abi::{AbiVariant, WasmType},
};

use super::values::{DATA, Flat, Values};

/// What a random component is made of.
#[derive(Default)]
pub struct Recipe {
    /// The role, as its interface is called; perhaps `handover`, too.
    pub exports: Vec<&'static str>,
    /// Interfaces whose functions it calls.
    pub imports: Vec<&'static str>,
    /// Texts that mean something there.
    pub texts: Vec<String>,
    /// The manifest, if it has one.
    pub manifest: Option<&'static str>,
    /// How many events a batch has.
    pub rows: u32,
}

/// A function that a module can call.
struct Callee {
    index: u32,
    /// Where the batch's own handle goes.
    takes_batch: bool,
    parameters: Vec<wit_parser::Type>,
    indirect: bool,
    retptr: bool,
    returns: bool,
}

/// The interface, and a world with these imports and exports.
fn world(recipe: &Recipe) -> (Resolve, wit_parser::WorldId) {
    let mut resolve = Resolve { all_features: true, ..Resolve::default() };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    let (package, _) = resolve.push_dir(folder).unwrap();
    let version = resolve.packages[package].name.version.clone().unwrap();
    let name = |interface: &&str| format!("millrace:plugin/{interface}@{version};\n");
    let imports: String = recipe.imports.iter().map(|one| format!("import {}", name(one))).collect();
    let exports: String = recipe.exports.iter().map(|one| format!("export {}", name(one))).collect();
    let text = format!(
        "package random:plugin;\nworld plugin {{\nimport {}{imports}export {}{exports}}}\n",
        name(&"types"),
        name(&"lifecycle")
    );
    let package = resolve.push_source("random.wit", &text).unwrap();
    let world = resolve.select_world(&[package], Some("plugin")).unwrap();
    (resolve, world)
}

fn value_types(types: &[WasmType]) -> Vec<ValType> {
    let one = |ty: &WasmType| match ty {
        WasmType::I64 | WasmType::PointerOrI64 => ValType::I64,
        WasmType::F32 => ValType::F32,
        WasmType::F64 => ValType::F64,
        _ => ValType::I32,
    };
    types.iter().map(one).collect()
}

/// Whether the component of this seed neither drops nor splits events. All that it passes is well formed, or by accident
/// it could.
pub fn keeps_all(seed: u64) -> bool {
    !seed.is_multiple_of(2)
}

/// Makes a component out of a seed.
pub fn random(seed: u64, recipe: &Recipe) -> Vec<u8> {
    let (resolve, world) = world(recipe);
    let mut layout = SizeAlign::default();
    layout.fill(&resolve);
    let mut rng = StdRng::seed_from_u64(seed);
    // Half of all components are well behaved in what they pass, so that they get far.
    let keeps = keeps_all(seed);
    let hostile = if keeps { 0 } else { *[0, 5, 50].choose(&mut rng).unwrap() };
    let mut texts = recipe.texts.clone();
    texts.extend(["", "a", "key", "k", "host"].map(str::to_owned));
    let rows = recipe.rows;
    let mut values = Values { rng, resolve: &resolve, layout, data: Vec::new(), hostile, texts, keeps, rows };
    let mut module = module(&mut values, world);
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    let mut component = ComponentEncoder::default().module(&module).unwrap().validate(true).encode().unwrap();
    if let Some(manifest) = recipe.manifest {
        let section = wasm_encoder::CustomSection {
            name: "millrace:manifest".into(),
            data: manifest.as_bytes().into(),
        };
        let mut bytes = vec![0];
        wasm_encoder::Encode::encode(&section, &mut bytes);
        component.extend(bytes);
    }
    component
}

fn module(values: &mut Values<'_>, world: wit_parser::WorldId) -> Vec<u8> {
    let resolve = values.resolve;
    let (mut types, mut imports, mut functions) =
        (TypeSection::new(), ImportSection::new(), FunctionSection::new());
    let (mut exports, mut bodies, mut callees) = (ExportSection::new(), Vec::new(), Vec::new());
    types.ty().function([ValType::I32], []);
    let mut count = 0;
    for item in resolve.worlds[world].imports.values() {
        let WorldItem::Interface { id, .. } = item else { continue };
        let interface = resolve.id_of(*id).unwrap();
        for function in resolve.interfaces[*id].functions.values() {
            let signature = resolve.wasm_signature(AbiVariant::GuestImport, function);
            types.ty().function(value_types(&signature.params), value_types(&signature.results));
            imports.import(&interface, &function.name, EntityType::Function(types.len() - 1));
            callees.push(Callee {
                index: count,
                takes_batch: function.name.starts_with("[method]batch."),
                parameters: function.params.iter().map(|parameter| parameter.ty).collect(),
                indirect: signature.indirect_params,
                retptr: signature.retptr,
                returns: !signature.results.is_empty(),
            });
            count += 1;
        }
        if interface.contains("/types@") {
            imports.import(&interface, "[resource-drop]batch", EntityType::Function(0));
            callees.push(Callee {
                index: count,
                takes_batch: true,
                parameters: Vec::new(),
                indirect: false,
                retptr: false,
                returns: false,
            });
            count += 1;
        }
    }
    let drop_batch =
        callees.iter().find(|one| one.takes_batch && one.parameters.is_empty()).map_or(0, |one| one.index);
    callees.retain(|one| one.index != drop_batch);
    let mut code = CodeSection::new();
    let mut next = count;
    for item in resolve.worlds[world].exports.values() {
        let WorldItem::Interface { id, .. } = item else { continue };
        let interface = resolve.id_of(*id).unwrap();
        for function in resolve.interfaces[*id].functions.values() {
            let signature = resolve.wasm_signature(AbiVariant::GuestExport, function);
            types.ty().function(value_types(&signature.params), value_types(&signature.results));
            functions.function(types.len() - 1);
            exports.export(&format!("{interface}#{}", function.name), ExportKind::Func, next);
            let lends = ["intercept", "deliver", "encode"].contains(&function.name.as_str());
            let mut body = Function::new([(1, ValType::I32)]);
            let spare = signature.params.len() as u32;
            let mut sink = body.instructions();
            // `configure` gets through most of the time, or nothing else would ever be called.
            let is_careful = ["configure", "open", "restore"].contains(&function.name.as_str());
            if !is_careful || values.one_in(10) {
                statements(values, &mut sink, &callees, lends, spare);
            }
            if lends && !values.one_in(40) {
                sink.local_get(0).call(drop_batch);
            }
            if let Some(result) = &function.result {
                let size = values.layout.size(result).size_wasm32();
                let at = values.room(size, 8);
                if !is_careful || values.one_in(10) {
                    values.store(result, at);
                }
                sink.i32_const(if values.one_in(200) { -1 } else { at as i32 });
            }
            sink.end();
            bodies.push(body);
            next += 1;
        }
    }
    types.ty().function([ValType::I32; 4], [ValType::I32]);
    functions.function(types.len() - 1);
    exports.export("cabi_realloc", ExportKind::Func, next);
    bodies.push(realloc(if !values.keeps && values.one_in(50) { Some(values.rng.random()) } else { None }));
    bodies.iter().for_each(|body| {
        code.function(body);
    });
    let end = (DATA as usize + values.data.len()).next_multiple_of(16);
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: end.div_ceil(65_536) as u64 + 1,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    exports.export("memory", ExportKind::Memory, 0);
    let mut globals = GlobalSection::new();
    let heap = GlobalType { val_type: ValType::I32, mutable: true, shared: false };
    globals.global(heap, &ConstExpr::i32_const(end as i32));
    let mut data = DataSection::new();
    data.active(0, &ConstExpr::i32_const(DATA as i32), values.data.iter().copied());
    let mut module = Module::new();
    module.section(&types).section(&imports).section(&functions).section(&memories).section(&globals);
    module.section(&exports).section(&code).section(&data);
    module.finish()
}

/// What an export does before it answers.
fn statements(
    values: &mut Values<'_>,
    sink: &mut InstructionSink<'_>,
    callees: &[Callee],
    lends: bool,
    spare: u32,
) {
    for _ in 0..values.rng.random_range(0..6) {
        match values.rng.random_range(0..200) {
            0 => {
                sink.unreachable();
            }
            1 => {
                sink.loop_(BlockType::Empty).br(0).end();
            }
            2 => {
                sink.i32_const(values.rng.random_range(0..2000)).memory_grow(0).drop();
            }
            3 => {
                sink.loop_(BlockType::Empty).i32_const(1).memory_grow(0).drop().br(0).end();
            }
            4..20 => {
                let turns = values.rng.random_range(1..3000);
                sink.i32_const(turns).local_set(spare).loop_(BlockType::Empty);
                call(values, sink, callees, lends);
                sink.local_get(spare).i32_const(1).i32_sub().local_tee(spare).br_if(0).end();
            }
            _ => call(values, sink, callees, lends),
        }
    }
}

fn call(values: &mut Values<'_>, sink: &mut InstructionSink<'_>, callees: &[Callee], lends: bool) {
    // Without a batch its functions only trap.
    let fitting: Vec<&Callee> = callees.iter().filter(|one| lends || !one.takes_batch).collect();
    let Some(callee) = fitting.choose(&mut values.rng).copied() else { return };
    let mut arguments = Vec::new();
    if callee.indirect {
        let size = values.layout.params(callee.parameters.iter()).size.size_wasm32();
        let at = values.room(size, 8);
        let offsets: Vec<_> = values
            .layout
            .field_offsets(callee.parameters.iter())
            .into_iter()
            .map(|(offset, ty)| (offset.size_wasm32() as u32, *ty))
            .collect();
        offsets.into_iter().for_each(|(offset, ty)| values.store(&ty, at + offset));
        arguments.push(Flat::I32(at as i32));
    } else {
        callee.parameters.iter().for_each(|ty| values.flat(ty, &mut arguments));
    }
    for (number, argument) in arguments.into_iter().enumerate() {
        match argument {
            Flat::I32(_) if number == 0 && callee.takes_batch && !values.one_in(100) => sink.local_get(0),
            Flat::I32(value) => sink.i32_const(value),
            Flat::I64(value) => sink.i64_const(value),
            Flat::F64(value) => sink.f64_const(value.into()),
        };
    }
    if callee.retptr {
        sink.i32_const(if values.one_in(300) { -4 } else { 64 });
    }
    sink.call(callee.index);
    if callee.returns {
        sink.drop();
    }
}

/// Hands out ever new memory, or always the same place.
fn realloc(place: Option<i32>) -> Function {
    let mut function = Function::new([(1, ValType::I32)]);
    let mut code = function.instructions();
    if let Some(place) = place {
        code.i32_const(place).end();
        return function;
    }
    code.global_get(0).local_get(2).i32_add().i32_const(1).i32_sub();
    code.i32_const(0).local_get(2).i32_sub().i32_and();
    code.local_tee(4).local_get(3).i32_add().global_set(0);
    code.global_get(0).memory_size(0).i32_const(16).i32_shl().i32_gt_u().if_(BlockType::Empty);
    code.local_get(3).i32_const(16).i32_shr_u().i32_const(1).i32_add().memory_grow(0).drop().end();
    code.local_get(4).end();
    function
}
