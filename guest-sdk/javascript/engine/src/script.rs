//! One script: loaded and configured once, then called once per batch.

use std::mem::ManuallyDrop;

use millrace_plugin::{Batch, Edits, Failure, Instance, Interceptor, Issue, log};
use rquickjs::{
    Array, Context, Ctx, Error, Exception, Function, Module, Object, Persistent, Promise, Result, Runtime,
    Value,
};
use serde::Deserialize;

use crate::thrown::{Text, Thrown};
use crate::{api, call};

/// How deep scripts may call, in bytes of stack. The rest of the stack is for what the engine calls between two looks;
/// with a quarter of a MiB, deep recursion traps instead of throwing.
const STACK_BYTES_MAX: usize = 64 << 10;

/// Bytes of the instance's memory that are not for the script: the engine itself.
const OWN_BYTES: u64 = 2 << 20;

/// What the agent passes.
#[derive(Debug, Deserialize)]
pub(crate) struct Config {
    script: Source,
    options: serde_json::Value,
}

/// The script, as the agent has read it.
#[derive(Debug, Deserialize)]
struct Source {
    /// What it is called in errors.
    name: String,
    source: String,
    /// Linear memory that the instance may have.
    #[serde(rename = "memory-bytes")]
    memory_bytes: u64,
    /// Whether the agent keeps state for it.
    #[serde(default)]
    state: bool,
}

/// A script that is ready.
pub(crate) struct Script {
    text: Text,
    /// Never dropped: the whole instance goes when the script does, and the engine checks on the way out for what
    /// a script may well leave behind.
    running: ManuallyDrop<Running>,
}

struct Running {
    handler: Persistent<Function<'static>>,
    /// The arguments of the handler.
    batch: Persistent<Object<'static>>,
    edits: Persistent<Object<'static>>,
    each_event: Option<Persistent<Function<'static>>>,
    failure: Persistent<Function<'static>>,
    context: Context,
}

impl Interceptor for Script {
    type Config = Config;

    fn configure(config: Config, instance: &Instance) -> std::result::Result<Self, Vec<Issue>> {
        let Config { script: Source { name, source, memory_bytes, state: has_state }, options } = config;
        let text = Text { name, source };
        let engine =
            |error: Error| vec![Issue::new("/script", format!("the engine does not start: {error}"))];
        let runtime = Runtime::new().map_err(engine)?;
        runtime.set_max_stack_size(STACK_BYTES_MAX);
        // The script gets an exception that says so before the agent ends the call; what is left over is for batches.
        runtime.set_memory_limit(
            usize::try_from(memory_bytes.saturating_sub(OWN_BYTES) / 4 * 3).unwrap_or(usize::MAX),
        );
        runtime.set_loader(api::Modules { has_state }, api::Modules { has_state });
        let context = Context::full(&runtime).map_err(engine)?;
        let running = context.with(|cx| {
            let prelude = api::install(&cx).map_err(|error| {
                let thrown = Thrown::catch(&cx, error, &text, None);
                vec![Issue::new("/script", format!("the engine does not start: {}", thrown.reason))]
            })?;
            let exports = load(&cx, &text).map_err(|error| at_place(&cx, error, &text))?;
            configure(&cx, &exports, &options, instance)
                .map_err(|error| at_place(&cx, error, &text))
                .and_then(|issues| if issues.is_empty() { Ok(()) } else { Err(issues) })?;
            let (handler, is_event) = handler(&exports, &text.name)?;
            Ok::<_, Vec<Issue>>(Running {
                handler: Persistent::save(&cx, handler),
                batch: Persistent::save(&cx, prelude.batch),
                edits: Persistent::save(&cx, prelude.edits),
                each_event: is_event.then(|| Persistent::save(&cx, prelude.each_event)),
                failure: Persistent::save(&cx, prelude.failure),
                context: context.clone(),
            })
        })?;
        Ok(Self { text, running: ManuallyDrop::new(running) })
    }

    fn intercept(&mut self, batch: &Batch, edits: &mut Edits) -> std::result::Result<(), Failure> {
        let running = &self.running;
        call::begin(batch);
        api::begin_call();
        let result = running.context.with(|cx| {
            running.call(&cx).map_err(|error| {
                let failure = running.failure.clone().restore(&cx).ok();
                Thrown::catch(&cx, error, &self.text, failure.as_ref())
            })
        });
        let noted = call::finish();
        match result {
            Ok(()) => {
                *edits = noted;
                Ok(())
            }
            Err(Thrown { failure: Some(failure), .. }) => Err(failure),
            Err(thrown) => break_call(&thrown.told(&self.text.name), thrown.stack),
        }
    }
}

impl Running {
    fn call<'js>(&self, cx: &Ctx<'js>) -> Result<()> {
        let handler = self.handler.clone().restore(cx)?;
        let answer: Value<'js> = match &self.each_event {
            Some(each) => each.clone().restore(cx)?.call((handler,))?,
            None => handler.call((self.batch.clone().restore(cx)?, self.edits.clone().restore(cx)?))?,
        };
        settled(cx, answer).map(drop)
    }
}

/// Ends the call as a fault. The agent takes the last line of level `error` for the reason.
fn break_call(reason: &str, stack: String) -> ! {
    log::emit(log::Level::Error, reason, &[("backtrace".to_owned(), stack)]);
    trap()
}

#[cfg(target_arch = "wasm32")]
fn trap() -> ! {
    core::arch::wasm32::unreachable()
}

#[cfg(not(target_arch = "wasm32"))]
fn trap() -> ! {
    std::process::abort()
}

/// Compiles the module and runs its top level.
fn load<'js>(cx: &Ctx<'js>, text: &Text) -> Result<Object<'js>> {
    let module = Module::declare(cx.clone(), text.name.as_str(), text.source.as_str())?;
    let (module, done) = module.eval()?;
    settled(cx, done.into_value())?;
    module.namespace()
}

/// Runs what was put off, and gives what a promise came to. What is no promise stays as it is.
fn settled<'js>(cx: &Ctx<'js>, value: Value<'js>) -> Result<Value<'js>> {
    while cx.execute_pending_job() {}
    match Promise::from_value(value.clone()) {
        Ok(promise) => promise.result().unwrap_or_else(|| {
            Err(Exception::throw_message(cx, "waits for a promise that nothing will ever settle"))
        }),
        Err(_) => Ok(value),
    }
}

/// An exception as an issue. The place is put behind the pointer to the text, where the agent looks for it.
fn at_place(cx: &Ctx<'_>, error: Error, text: &Text) -> Vec<Issue> {
    let thrown = Thrown::catch(cx, error, text, None);
    let path = match thrown.place {
        Some((line, column)) => format!("/script/source/{line}/{column}"),
        None => "/script/source".to_owned(),
    };
    vec![Issue::new(path, thrown.reason)]
}

/// Calls the script's own `configure`, if it has one.
fn configure<'js>(
    cx: &Ctx<'js>,
    exports: &Object<'js>,
    options: &serde_json::Value,
    instance: &Instance,
) -> Result<Vec<Issue>> {
    let configure: Value<'js> = exports.get("configure")?;
    let Some(configure) = configure.as_function() else {
        return Ok(unwanted(options));
    };
    let who = Object::new(cx.clone())?;
    who.set("agent", instance.agent.as_str())?;
    who.set("component", instance.component.as_str())?;
    who.set("lane", instance.lane)?;
    who.set("lanes", instance.lanes)?;
    who.set("generation", instance.generation as f64)?;
    let answer = configure.call::<_, Value<'js>>((cx.json_parse(options.to_string())?, who))?;
    let answer = settled(cx, answer)?;
    if answer.is_undefined() || answer.is_null() {
        return Ok(Vec::new());
    }
    let Some(list) = answer.as_array() else {
        let reason = format!(
            "configure returned {}; expected nothing or an array of issues",
            crate::value::kind(&answer)
        );
        return Err(Exception::throw_type(cx, &reason));
    };
    issues(cx, list)
}

/// Options that nobody reads are mistakes.
fn unwanted(options: &serde_json::Value) -> Vec<Issue> {
    let names = options.as_object().map(|options| options.keys()).into_iter().flatten();
    names
        .map(|name| {
            let pointer = name.replace('~', "~0").replace('/', "~1");
            Issue::new(
                format!("/options/{pointer}"),
                "the script exports no configure(config), so it has no options",
            )
        })
        .collect()
}

fn issues<'js>(cx: &Ctx<'js>, list: &Array<'js>) -> Result<Vec<Issue>> {
    let mut issues = Vec::new();
    for item in list.iter::<Value<'js>>() {
        let item = item?;
        let (path, reason) = match item.as_object() {
            Some(object) => {
                (object.get::<_, Option<String>>("path")?, object.get::<_, Value<'js>>("reason")?)
            }
            None => (None, item),
        };
        let reason = crate::value::text(cx, &reason, "the reason of an issue")?;
        issues.push(Issue::new(format!("/options{}", path.unwrap_or_default()), reason));
    }
    Ok(issues)
}

/// The function to call, and whether it is the one for single events.
fn handler<'js>(exports: &Object<'js>, name: &str) -> std::result::Result<(Function<'js>, bool), Vec<Issue>> {
    let issue = |reason: String| vec![Issue::new("/script/source", reason)];
    let find = |export: &str| exports.get::<_, Value<'js>>(export).ok()?.as_function().cloned();
    match (find("intercept"), find("event")) {
        (Some(intercept), None) => Ok((intercept, false)),
        (None, Some(event)) => Ok((event, true)),
        (Some(_), Some(_)) => {
            Err(issue(format!("{name} exports both intercept and event; one of them is called")))
        }
        (None, None) => Err(issue(format!("{name} exports no function intercept(batch, edits) or event(e)"))),
    }
}
