//! The macro that makes a plugin of a struct.
//!
//! Every interface has a rule of its own below, and a plugin gets those of its role and of its optional
//! parts, so that a component exports what it has and nothing else.

/// Exports a struct as the plugin of this crate, in one role and with optional parts. The crate must be a
/// `cdylib`, and it can export one plugin.
///
/// ```
/// # use millrace_plugin::{Batch, Edits, Failure, Handover, Instance, Interceptor, Issue, NoConfig, Snapshot};
/// # struct Mine;
/// # impl Interceptor for Mine {
/// #     type Config = NoConfig;
/// #     fn configure(_: NoConfig, _: &Instance) -> Result<Self, Vec<Issue>> { Ok(Self) }
/// #     fn intercept(&mut self, _: &Batch, _: &mut Edits) -> Result<(), Failure> { Ok(()) }
/// # }
/// # impl Handover for Mine {
/// #     fn save(&mut self) -> Result<Snapshot, String> { Ok(Snapshot::default()) }
/// #     fn restore(&mut self, _: Snapshot) -> Result<(), String> { Ok(()) }
/// # }
/// millrace_plugin::export!(Mine as interceptor + handover);
/// ```
///
/// | form | the struct implements |
/// |---|---|
/// | `export!(Mine)`, `export!(Mine as interceptor)` | [`Interceptor`](crate::Interceptor) |
/// | `export!(Mine as source)` | [`Source`](crate::Source) |
/// | `export!(Mine as sink)` | [`Sink`](crate::Sink) |
/// | `export!(Mine as codec)` | [`Codec`](crate::Codec) |
/// | `… + handover` | also [`Handover`](crate::Handover) |
/// | `export!(Mine as sink + two_phase)` | also [`TwoPhase`](crate::TwoPhase) |
///
/// What a component imports is what its code uses of [`state`](crate::state), [`clock`](crate::clock),
/// [`http`](crate::http), [`log`](crate::log) and [`metrics`](crate::metrics), and nothing else.
#[macro_export]
macro_rules! export {
    ($plugin:ty) => {
        $crate::__export_plugin!($plugin, Interceptor, interceptor);
    };
    ($plugin:ty as interceptor $(+ $part:ident)*) => {
        $crate::__export_plugin!($plugin, Interceptor, interceptor $(, $part)*);
    };
    ($plugin:ty as source $(+ $part:ident)*) => {
        $crate::__export_plugin!($plugin, Source, source $(, $part)*);
    };
    ($plugin:ty as sink $(+ $part:ident)*) => {
        $crate::__export_plugin!($plugin, Sink, sink $(, $part)*);
    };
    ($plugin:ty as codec $(+ $part:ident)*) => {
        $crate::__export_plugin!($plugin, Codec, codec $(, $part)*);
    };
    ($($other:tt)*) => {
        ::core::compile_error!(
            "expected `export!(Type as ROLE)`, with a role of interceptor, source, sink, codec, \
             and perhaps `+ handover` behind it"
        );
    };
}

/// Declares the slot and exports the lifecycle and every interface named.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_plugin {
    ($plugin:ty, $role:ident, $($part:ident),+) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            ::std::thread_local! {
                static SLOT: $crate::Slot<$plugin> = const { $crate::Slot::new() };
            }

            struct Exported;

            use $crate::bindings::lifecycle::exports::millrace::plugin::lifecycle;

            impl lifecycle::Guest for Exported {
                fn configure(
                    config: ::std::string::String,
                    instance: lifecycle::Instance,
                ) -> ::core::result::Result<(), ::std::vec::Vec<lifecycle::Issue>> {
                    SLOT.with(|slot| slot.configure(&config, instance, <$plugin as $crate::$role>::configure))
                }

                fn stop(deadline_ms: u32) {
                    SLOT.with(|slot| slot.stop(deadline_ms, <$plugin as $crate::$role>::stop))
                }
            }

            $crate::bindings::lifecycle::export!(Exported with_types_in $crate::bindings::lifecycle);
            $($crate::__export_part!($part);)+
        };
        // Elsewhere there is nothing to export to; this only checks that the traits are there.
        #[cfg(not(target_arch = "wasm32"))]
        const _: () = {
            $($crate::__check_part!($part, $plugin);)+
        };
    };
}

/// Exports one interface of the plugin in `SLOT`.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_part {
    (interceptor) => {
        const _: () = {
            use $crate::bindings::interceptor::exports::millrace::plugin::interceptor::Guest;
            use $crate::bindings::millrace::plugin::types;

            impl Guest for Exported {
                fn intercept(
                    batch: &types::Batch,
                ) -> ::core::result::Result<::std::vec::Vec<types::Edit>, types::Failure> {
                    SLOT.with(|slot| slot.intercept(batch))
                }
            }

    $crate::bindings::interceptor::export!(Exported with_types_in $crate::bindings::interceptor);
        };
    };
    (source) => {
        const _: () = {
            use $crate::bindings::millrace::plugin::types::Failure;
            use $crate::bindings::source::exports::millrace::plugin::source;

            impl source::Guest for Exported {
                fn open(
                    position: ::core::option::Option<::std::vec::Vec<u8>>,
                ) -> ::core::result::Result<(), Failure> {
                    SLOT.with(|slot| slot.open(position))
                }

                fn poll(events_max: u32, bytes_max: u32) -> ::core::result::Result<source::Polled, Failure> {
                    SLOT.with(|slot| slot.poll(events_max, bytes_max))
                }

                fn committed(position: ::std::vec::Vec<u8>) -> ::core::result::Result<(), Failure> {
                    SLOT.with(|slot| slot.committed(position))
                }
            }

    $crate::bindings::source::export!(Exported with_types_in $crate::bindings::source);
        };
    };
    (sink) => {
        const _: () = {
            use $crate::bindings::millrace::plugin::types::{Batch, Failure};
            use $crate::bindings::sink::exports::millrace::plugin::sink;

            impl sink::Guest for Exported {
                fn deliver(
                    batch: &Batch,
                    delivery: sink::Delivery,
                ) -> ::core::result::Result<sink::Outcome, Failure> {
                    SLOT.with(|slot| slot.deliver(batch, delivery))
                }
            }

    $crate::bindings::sink::export!(Exported with_types_in $crate::bindings::sink);
        };
    };
    (two_phase) => {
        const _: () = {
            use $crate::bindings::millrace::plugin::types::Failure;
            use $crate::bindings::two_phase::exports::millrace::plugin::two_phase;

            impl two_phase::Guest for Exported {
                fn prepare(
                    delivery: ::std::string::String,
                ) -> ::core::result::Result<::std::vec::Vec<u8>, Failure> {
                    SLOT.with(|slot| slot.prepare(&delivery))
                }

                fn commit(token: ::std::vec::Vec<u8>) -> ::core::result::Result<(), Failure> {
                    SLOT.with(|slot| slot.commit(&token))
                }

                fn abort(token: ::std::vec::Vec<u8>) -> ::core::result::Result<(), Failure> {
                    SLOT.with(|slot| slot.abort(&token))
                }

                fn recover(
                    tokens: ::std::vec::Vec<::std::vec::Vec<u8>>,
                ) -> ::core::result::Result<(), Failure> {
                    SLOT.with(|slot| slot.recover(tokens))
                }
            }

    $crate::bindings::two_phase::export!(Exported with_types_in $crate::bindings::two_phase);
        };
    };
    (codec) => {
        const _: () = {
            use $crate::bindings::codec::exports::millrace::plugin::codec;
            use $crate::bindings::millrace::plugin::types::{Batch, Failure, Packed};

            impl codec::Guest for Exported {
                fn frame(
                    bytes: ::std::vec::Vec<u8>,
                    at_end: bool,
                ) -> ::core::result::Result<codec::Cut, Failure> {
                    SLOT.with(|slot| slot.frame(&bytes, at_end))
                }

                fn decode(frames: Packed) -> ::core::result::Result<codec::Decoded, Failure> {
                    SLOT.with(|slot| slot.decode(frames))
                }

                fn encode(batch: &Batch) -> ::core::result::Result<Packed, Failure> {
                    SLOT.with(|slot| slot.encode(batch))
                }
            }

    $crate::bindings::codec::export!(Exported with_types_in $crate::bindings::codec);
        };
    };
    (handover) => {
        const _: () = {
            use $crate::bindings::handover::exports::millrace::plugin::handover;

            impl handover::Guest for Exported {
                fn save() -> ::core::result::Result<handover::Snapshot, ::std::string::String> {
                    SLOT.with(|slot| slot.save())
                }

                fn restore(
                    snapshot: handover::Snapshot,
                ) -> ::core::result::Result<(), ::std::string::String> {
                    SLOT.with(|slot| slot.restore(snapshot))
                }
            }

    $crate::bindings::handover::export!(Exported with_types_in $crate::bindings::handover);
        };
    };
}

/// Checks that the plugin has the trait of one interface.
#[doc(hidden)]
#[macro_export]
macro_rules! __check_part {
    (interceptor, $plugin:ty) => { $crate::__check_part!(@ Interceptor, $plugin); };
    (source, $plugin:ty) => { $crate::__check_part!(@ Source, $plugin); };
    (sink, $plugin:ty) => { $crate::__check_part!(@ Sink, $plugin); };
    (two_phase, $plugin:ty) => { $crate::__check_part!(@ TwoPhase, $plugin); };
    (codec, $plugin:ty) => { $crate::__check_part!(@ Codec, $plugin); };
    (handover, $plugin:ty) => { $crate::__check_part!(@ Handover, $plugin); };
    (@ $part:ident, $plugin:ty) => {
        const _: () = {
            const fn has_trait<T: $crate::$part>() {}
            has_trait::<$plugin>()
        };
    };
}
