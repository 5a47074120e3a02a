//! The inert part of WASI 0.2: what tool-chains link in although the plugin never asked for it.
//!
//! | interface | what it does here |
//! |---|---|
//! | `cli/environment` | no variables, no arguments, no folder |
//! | `cli/stdout`, `cli/stderr` | lines in the plugin's log, `info` and `error` |
//! | `cli/stdin`, `cli/terminal-*` | at its end; not there |
//! | `cli/exit` | ends the call with a trap |
//! | `clocks/wall-clock` | stands still at the time the batch was formed, so that answers repeat |
//! | `clocks/monotonic-clock` | stands still at 0; waiting ends the call with a trap |
//! | `random/insecure`, `random/insecure-seed` | the same numbers every time |
//! | `random/random` | ends the call with a trap: numbers that are not random would mislead |
//! | `filesystem/preopens` | no folders, hence no files |
//! | everything else of these packages | ends the call with a trap |
//!
//! `wasmtime-wasi` is not used for these: its pollables wait inside the host, which takes a stack of its own for every
//! call.

use wasmtime::{
    StoreContextMut,
    component::{
        Component, ComponentType, Linker, LinkerInstance, Lower, Resource, ResourceType, types::ComponentItem,
    },
};

use crate::{bindings::Level, component::Offer, state::GuestState};

type Cx<'a> = StoreContextMut<'a, GuestState>;
type Instance<'a> = LinkerInstance<'a, GuestState>;

/// Bytes that a guest may write to an output stream at once, as it is told.
const WRITE_BYTES_MAX: u64 = 4096;

enum InputStream {}
enum OutputStream {}
enum IoError {}
enum TerminalInput {}
enum TerminalOutput {}
enum Descriptor {}
enum DirectoryEntries {}
enum Pollable {}

#[derive(ComponentType, Lower)]
#[component(variant)]
enum StreamError {
    #[expect(dead_code, reason = "belongs to the type; nothing here fails that way")]
    #[component(name = "last-operation-failed")]
    LastOperationFailed(Resource<IoError>),
    #[component(name = "closed")]
    Closed,
}

#[derive(ComponentType, Lower)]
#[component(record)]
struct Datetime {
    seconds: u64,
    nanoseconds: u32,
}

/// Adds what the component imports of it, in the versions that it imports.
pub(super) fn add_to_linker(linker: &mut Linker<GuestState>, component: &Component) -> wasmtime::Result<()> {
    let engine = linker.engine().clone();
    for (name, import) in component.component_type().imports(&engine) {
        let ComponentItem::ComponentInstance(ty) = import.ty else { continue };
        if !name.starts_with("wasi:") {
            continue;
        }
        let mut instance = linker.instance(name)?;
        resources(&mut instance, ty.exports(&engine).map(|(name, _)| name))?;
        match name.split('@').next().unwrap_or(name) {
            "wasi:cli/environment" => environment(&mut instance)?,
            "wasi:cli/exit" => {
                instance.func_wrap("exit", |_: Cx<'_>, (_,): (Result<(), ()>,)| -> wasmtime::Result<()> {
                    wasmtime::bail!("the plugin called exit")
                })?
            }
            "wasi:cli/stdin" => {
                instance
                    .func_wrap("get-stdin", |_: Cx<'_>, ()| Ok((Resource::<InputStream>::new_own(0),)))?;
            }
            "wasi:cli/stdout" => {
                instance
                    .func_wrap("get-stdout", |_: Cx<'_>, ()| Ok((Resource::<OutputStream>::new_own(1),)))?;
            }
            "wasi:cli/stderr" => {
                instance
                    .func_wrap("get-stderr", |_: Cx<'_>, ()| Ok((Resource::<OutputStream>::new_own(2),)))?;
            }
            "wasi:cli/terminal-stdin" => no_terminal::<TerminalInput>(&mut instance, "get-terminal-stdin")?,
            "wasi:cli/terminal-stdout" => {
                no_terminal::<TerminalOutput>(&mut instance, "get-terminal-stdout")?
            }
            "wasi:cli/terminal-stderr" => {
                no_terminal::<TerminalOutput>(&mut instance, "get-terminal-stderr")?
            }
            "wasi:clocks/wall-clock" => wall_clock(&mut instance)?,
            "wasi:clocks/monotonic-clock" => {
                instance.func_wrap("now", |_: Cx<'_>, ()| Ok((0_u64,)))?;
                instance.func_wrap("resolution", |_: Cx<'_>, ()| Ok((1_u64,)))?;
            }
            "wasi:filesystem/preopens" => instance.func_wrap("get-directories", |_: Cx<'_>, ()| {
                Ok((Vec::<(Resource<Descriptor>, String)>::new(),))
            })?,
            "wasi:io/streams" => streams(&mut instance)?,
            "wasi:random/random" => random(&mut instance)?,
            "wasi:random/insecure" => insecure(&mut instance)?,
            "wasi:random/insecure-seed" => insecure_seed(&mut instance)?,
            _ => {}
        }
    }
    linker.define_unknown_imports_as_traps(component)
}

/// Puts the inert functions in the place of real ones that were not granted, in the versions that the component imports.
/// Only interfaces without resources: those would not be the same types any more.
pub(super) fn shadow(
    linker: &mut Linker<GuestState>,
    component: &Component,
    offer: Offer,
) -> wasmtime::Result<()> {
    let engine = linker.engine().clone();
    for (name, _) in component.component_type().imports(&engine) {
        match name.split('@').next().unwrap_or(name) {
            "wasi:clocks/wall-clock" if !offer.clocks => wall_clock(&mut linker.instance(name)?)?,
            "wasi:random/random" if !offer.random => random(&mut linker.instance(name)?)?,
            "wasi:random/insecure" if !offer.random => insecure(&mut linker.instance(name)?)?,
            "wasi:random/insecure-seed" if !offer.random => insecure_seed(&mut linker.instance(name)?)?,
            _ => {}
        }
    }
    Ok(())
}

/// Defines the resources that an interface has, or takes over from another one: the same type everywhere.
fn resources<'a>(instance: &mut Instance<'_>, names: impl Iterator<Item = &'a str>) -> wasmtime::Result<()> {
    for name in names {
        match name {
            "descriptor" => resource::<Descriptor>(instance, name)?,
            "directory-entry-stream" => resource::<DirectoryEntries>(instance, name)?,
            "error" => resource::<IoError>(instance, name)?,
            "input-stream" => resource::<InputStream>(instance, name)?,
            "output-stream" => resource::<OutputStream>(instance, name)?,
            "pollable" => resource::<Pollable>(instance, name)?,
            "terminal-input" => resource::<TerminalInput>(instance, name)?,
            "terminal-output" => resource::<TerminalOutput>(instance, name)?,
            _ => {}
        }
    }
    Ok(())
}

fn resource<T: 'static>(instance: &mut Instance<'_>, name: &str) -> wasmtime::Result<()> {
    instance.resource(name, ResourceType::host::<T>(), |_, _| Ok(()))
}

fn environment(instance: &mut Instance<'_>) -> wasmtime::Result<()> {
    instance.func_wrap("get-environment", |_: Cx<'_>, ()| Ok((Vec::<(String, String)>::new(),)))?;
    instance.func_wrap("get-arguments", |_: Cx<'_>, ()| Ok((Vec::<String>::new(),)))?;
    instance.func_wrap("initial-cwd", |_: Cx<'_>, ()| Ok((None::<String>,)))
}

fn no_terminal<T: 'static>(instance: &mut Instance<'_>, name: &str) -> wasmtime::Result<()> {
    instance.func_wrap(name, |_: Cx<'_>, ()| Ok((None::<Resource<T>>,)))
}

fn wall_clock(instance: &mut Instance<'_>) -> wasmtime::Result<()> {
    instance.func_wrap("now", |cx: Cx<'_>, ()| {
        let nanos = cx.data().batch.as_ref().and_then(millrace_core::Batch::formed_at).unwrap_or(0);
        let nanoseconds = u32::try_from(nanos % 1_000_000_000).unwrap_or(0);
        Ok((Datetime { seconds: nanos / 1_000_000_000, nanoseconds },))
    })?;
    instance.func_wrap("resolution", |_: Cx<'_>, ()| Ok((Datetime { seconds: 0, nanoseconds: 1 },)))
}

fn insecure_seed(instance: &mut Instance<'_>) -> wasmtime::Result<()> {
    instance.func_wrap("insecure-seed", |_: Cx<'_>, ()| Ok(((0_u64, 0_u64),)))
}

/// Numbers that are not random would mislead.
fn random(instance: &mut Instance<'_>) -> wasmtime::Result<()> {
    let refused = "random numbers are not granted: grant { random }";
    instance.func_wrap("get-random-u64", move |_: Cx<'_>, ()| -> wasmtime::Result<(u64,)> {
        wasmtime::bail!("{refused}")
    })?;
    instance.func_wrap("get-random-bytes", move |_: Cx<'_>, (_,): (u64,)| -> wasmtime::Result<(Vec<u8>,)> {
        wasmtime::bail!("{refused}")
    })
}

fn insecure(instance: &mut Instance<'_>) -> wasmtime::Result<()> {
    instance.func_wrap("get-insecure-random-u64", |_: Cx<'_>, ()| Ok((0_u64,)))?;
    instance.func_wrap("get-insecure-random-bytes", |_: Cx<'_>, (length,): (u64,)| {
        let length = usize::try_from(length).ok().filter(|length| *length <= 1 << 20);
        let length = length.ok_or_else(|| wasmtime::format_err!("too many random bytes asked for"))?;
        Ok((vec![0_u8; length],))
    })
}

type Output = Resource<OutputStream>;
type Input = Resource<InputStream>;

fn streams(instance: &mut Instance<'_>) -> wasmtime::Result<()> {
    for name in ["read", "blocking-read"] {
        instance.func_wrap(&format!("[method]input-stream.{name}"), |_: Cx<'_>, (_, _): (Input, u64)| {
            Ok((Err::<Vec<u8>, _>(StreamError::Closed),))
        })?;
    }
    for name in ["skip", "blocking-skip"] {
        instance.func_wrap(&format!("[method]input-stream.{name}"), |_: Cx<'_>, (_, _): (Input, u64)| {
            Ok((Err::<u64, _>(StreamError::Closed),))
        })?;
    }
    instance.func_wrap("[method]output-stream.check-write", |_: Cx<'_>, (_,): (Output,)| {
        Ok((Ok::<_, StreamError>(WRITE_BYTES_MAX),))
    })?;
    for name in ["write", "blocking-write-and-flush"] {
        instance.func_wrap(
            &format!("[method]output-stream.{name}"),
            |mut cx: Cx<'_>, (stream, bytes): (Output, Vec<u8>)| {
                let level = if stream.rep() == 2 { Level::Error } else { Level::Info };
                cx.data_mut().log.print(level, &String::from_utf8_lossy(&bytes));
                Ok((Ok::<_, StreamError>(()),))
            },
        )?;
    }
    for name in ["flush", "blocking-flush"] {
        instance.func_wrap(&format!("[method]output-stream.{name}"), |_: Cx<'_>, (_,): (Output,)| {
            Ok((Ok::<_, StreamError>(()),))
        })?;
    }
    Ok(())
}
