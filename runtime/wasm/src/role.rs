//! What a component can be: its exports, found and compared with the package when the file is loaded.

use wasmtime::component::{
    Component, ComponentExportIndex, ComponentNamedList, Lift, Linker, Lower,
    types::{Component as ComponentTypes, ComponentItem},
};

use crate::{
    bindings::{
        CommittedParams, ConfigureParams, ConfigureParamsV2, ConfigureResults, DecodeParams, DecodeResults,
        DeliverParams, DeliverResults, DoneResults, EncodeParams, EncodeResults, FrameParams, FrameResults,
        InterceptParams, InterceptResults, OpenParams, PollParams, PollResults, PrepareParams,
        PrepareResults, RecoverParams, RestoreParams, RestoreResults, SaveResults, StopParams, TokenParams,
        interface::{self, Version},
    },
    engine::PluginEngine,
    error::HostError,
    imports::Names,
    signature,
    state::GuestState,
};

/// What a component is used as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    Interceptor,
    Source,
    Sink,
    Codec,
}

impl Role {
    pub(crate) const ALL: [Self; 4] = [Self::Interceptor, Self::Source, Self::Sink, Self::Codec];

    /// As people say it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Interceptor => "interceptor",
            Self::Source => "source",
            Self::Sink => "sink",
            Self::Codec => "codec",
        }
    }

    /// What stands before the name.
    pub(crate) fn article(self) -> &'static str {
        if self == Self::Interceptor { "an" } else { "a" }
    }

    /// The interface that such a component exports.
    pub(crate) fn interface(self) -> &'static str {
        match self {
            Self::Interceptor => interface::INTERCEPTOR,
            Self::Source => interface::SOURCE,
            Self::Sink => interface::SINK,
            Self::Codec => interface::CODEC,
        }
    }

    /// Whether a component exports it, by name alone.
    pub(crate) fn is_in(self, names: &Names) -> bool {
        names.export(self.interface()).is_some()
    }
}

/// Where the functions of a component are.
#[derive(Clone)]
pub(crate) struct Exports {
    pub(crate) configure: ConfigureExport,
    pub(crate) stop: ComponentExportIndex,
    pub(crate) intercept: Option<ComponentExportIndex>,
    pub(crate) handover: Option<HandoverExports>,
    pub(crate) source: Option<SourceExports>,
    pub(crate) deliver: Option<ComponentExportIndex>,
    pub(crate) two_phase: Option<TwoPhaseExports>,
    pub(crate) codec: Option<CodecExports>,
}

impl Exports {
    /// Whether the component can be used as that.
    pub(crate) fn has(&self, role: Role) -> bool {
        match role {
            Role::Interceptor => self.intercept.is_some(),
            Role::Source => self.source.is_some(),
            Role::Sink => self.deliver.is_some(),
            Role::Codec => self.codec.is_some(),
        }
    }
}

/// `configure` in the shape of the version that the component was built for.
#[derive(Clone, Copy)]
pub(crate) struct ConfigureExport {
    pub(crate) index: ComponentExportIndex,
    pub(crate) version: Version,
}

#[derive(Clone, Copy)]
pub(crate) struct HandoverExports {
    pub(crate) save: ComponentExportIndex,
    pub(crate) restore: ComponentExportIndex,
}

#[derive(Clone, Copy)]
pub(crate) struct SourceExports {
    pub(crate) open: ComponentExportIndex,
    pub(crate) poll: ComponentExportIndex,
    pub(crate) committed: ComponentExportIndex,
}

#[derive(Clone, Copy)]
pub(crate) struct TwoPhaseExports {
    pub(crate) prepare: ComponentExportIndex,
    pub(crate) commit: ComponentExportIndex,
    pub(crate) abort: ComponentExportIndex,
    pub(crate) recover: ComponentExportIndex,
}

#[derive(Clone, Copy)]
pub(crate) struct CodecExports {
    pub(crate) frame: ComponentExportIndex,
    pub(crate) decode: ComponentExportIndex,
    pub(crate) encode: ComponentExportIndex,
}

/// Exports that the role must have, by name, before the compiler gets to see the file.
pub(crate) fn check_names(names: &Names, role: Role) -> Result<(), HostError> {
    for wanted in [interface::LIFECYCLE, role.interface()] {
        if names.export(wanted).is_some() {
            continue;
        }
        let is_unserved = |name: &&String| {
            name.split_once('@').is_some_and(|(base, _)| {
                base.starts_with(interface::PACKAGE) && Version::find(name, base).is_none()
            })
        };
        let similar = names.exports.iter().find(is_unserved);
        let found = match similar {
            Some(other) => format!("{other}; this agent serves {}", interface::served()),
            None if names.exports.is_empty() => "no exports at all".to_owned(),
            None => format!("only {}", names.exports.join(", ")),
        };
        let expected = Version::V0_1.of(wanted);
        return Err(HostError::Export { name: wanted.to_owned(), expected, found });
    }
    Ok(())
}

/// Finds every function and compares its type.
pub(crate) fn check_exports(
    engine: &PluginEngine,
    linker: &Linker<GuestState>,
    component: &Component,
    names: &Names,
) -> Result<Exports, HostError> {
    let types = linker
        .substituted_component_type(component)
        .map_err(|error| HostError::Invalid(format!("{error:#}")))?;
    let finder = Finder { engine, component, names, types };
    let has = |interface| names.export(interface).is_some();
    Ok(Exports {
        configure: finder.configure()?,
        stop: finder.find::<StopParams, ()>(interface::LIFECYCLE, "stop", signature::STOP)?,
        intercept: has(interface::INTERCEPTOR)
            .then(|| {
                finder.find::<InterceptParams, InterceptResults>(
                    interface::INTERCEPTOR,
                    "intercept",
                    signature::INTERCEPT,
                )
            })
            .transpose()?,
        handover: has(interface::HANDOVER).then(|| finder.handover()).transpose()?,
        source: has(interface::SOURCE).then(|| finder.source()).transpose()?,
        deliver: has(interface::SINK)
            .then(|| {
                finder.find::<DeliverParams, DeliverResults>(interface::SINK, "deliver", signature::DELIVER)
            })
            .transpose()?,
        two_phase: has(interface::TWO_PHASE).then(|| finder.two_phase()).transpose()?,
        codec: has(interface::CODEC).then(|| finder.codec()).transpose()?,
    })
}

struct Finder<'a> {
    engine: &'a PluginEngine,
    component: &'a Component,
    names: &'a Names,
    types: ComponentTypes,
}

impl Finder<'_> {
    fn configure(&self) -> Result<ConfigureExport, HostError> {
        let (of, name) = (interface::LIFECYCLE, "configure");
        let version =
            self.names.export(of).and_then(|export| Version::find(export, of)).unwrap_or(Version::V0_1);
        let index = match version {
            Version::V0_1 => {
                self.find::<ConfigureParams, ConfigureResults>(of, name, signature::CONFIGURE)?
            }
            Version::V0_2 => {
                self.find::<ConfigureParamsV2, ConfigureResults>(of, name, signature::CONFIGURE)?
            }
        };
        Ok(ConfigureExport { index, version })
    }

    fn handover(&self) -> Result<HandoverExports, HostError> {
        let of = interface::HANDOVER;
        Ok(HandoverExports {
            save: self.find::<(), SaveResults>(of, "save", signature::SAVE)?,
            restore: self.find::<RestoreParams, RestoreResults>(of, "restore", signature::RESTORE)?,
        })
    }

    fn source(&self) -> Result<SourceExports, HostError> {
        let of = interface::SOURCE;
        Ok(SourceExports {
            open: self.find::<OpenParams, DoneResults>(of, "open", signature::OPEN)?,
            poll: self.find::<PollParams, PollResults>(of, "poll", signature::POLL)?,
            committed: self.find::<CommittedParams, DoneResults>(of, "committed", signature::COMMITTED)?,
        })
    }

    fn two_phase(&self) -> Result<TwoPhaseExports, HostError> {
        let of = interface::TWO_PHASE;
        Ok(TwoPhaseExports {
            prepare: self.find::<PrepareParams, PrepareResults>(of, "prepare", signature::PREPARE)?,
            commit: self.find::<TokenParams, DoneResults>(of, "commit", signature::COMMIT)?,
            abort: self.find::<TokenParams, DoneResults>(of, "abort", signature::ABORT)?,
            recover: self.find::<RecoverParams, DoneResults>(of, "recover", signature::RECOVER)?,
        })
    }

    fn codec(&self) -> Result<CodecExports, HostError> {
        let of = interface::CODEC;
        Ok(CodecExports {
            frame: self.find::<FrameParams, FrameResults>(of, "frame", signature::FRAME)?,
            decode: self.find::<DecodeParams, DecodeResults>(of, "decode", signature::DECODE)?,
            encode: self.find::<EncodeParams, EncodeResults>(of, "encode", signature::ENCODE)?,
        })
    }

    /// One function of one interface; it must have these types.
    fn find<Params, Results>(
        &self,
        interface: &str,
        function: &str,
        expected: &str,
    ) -> Result<ComponentExportIndex, HostError>
    where
        Params: ComponentNamedList + Lower,
        Results: ComponentNamedList + Lift,
    {
        let name = format!("{interface}.{function}");
        let wrong =
            |found: String| HostError::Export { name: name.clone(), expected: expected.into(), found };
        let wasmtime = self.engine.wasmtime();
        let export = self.names.export(interface).unwrap_or(interface);
        let item = self.types.get_export(wasmtime, export).map(|item| item.ty);
        let Some(ComponentItem::ComponentInstance(instance)) = item else {
            return Err(wrong("no such interface".into()));
        };
        let item = instance.get_export(wasmtime, function).map(|item| item.ty);
        let Some(ComponentItem::ComponentFunc(found)) = item else {
            return Err(wrong("no such function".into()));
        };
        if found.typecheck::<Params, Results>(&self.types.instance_type()).is_err() {
            return Err(wrong(signature::render(&found)));
        }
        self.component
            .get_export_index(None, export)
            .and_then(|instance| self.component.get_export_index(Some(&instance), function))
            .ok_or_else(|| wrong("no such function".into()))
    }
}
