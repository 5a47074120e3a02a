//! The bindings that wit-bindgen makes from `wit/`. Everything else in this crate is a view on them or
//! a builder for them; plugins that need exactly what is in the interface can use them as they are.
//!
//! What a plugin may import is one world here, and every interface that it may export is a world of its
//! own, because a component must export all of its world, while imports that are not used fall away. The
//! worlds of one plugin are put together when it becomes a component: `export!` names those it needs.
#![allow(missing_docs, clippy::all)]

wit_bindgen::generate!({
    inline: r#"
        package millrace:sdk;

        world imports {
            import millrace:plugin/types@0.1.0;
            import millrace:plugin/log@0.1.0;
            import millrace:plugin/metrics@0.1.0;
            import millrace:plugin/clock@0.1.0;
            import millrace:plugin/state@0.1.0;
            import millrace:plugin/http@0.1.0;
        }
    "#,
    path: "../../wit",
    world: "millrace:sdk/imports",
    generate_all,
});

/// Makes the bindings of one exported interface. `types` shares those of the world of imports.
macro_rules! exported {
    ($module:ident, $world:literal, $inline:literal $(, $types:ident)?) => {
        pub mod $module {
            wit_bindgen::generate!({
                inline: $inline,
                path: "../../wit",
                world: $world,
                $(with: { "millrace:plugin/types@0.1.0": crate::bindings::millrace::plugin::$types },)?
                pub_export_macro: true,
            });
        }
    };
}

exported! {
    lifecycle,
    "millrace:sdk/lifecycle-exports",
    r#"
        package millrace:sdk;
        world lifecycle-exports {
            export millrace:plugin/lifecycle@0.1.0;
        }
    "#
}

exported! {
    handover,
    "millrace:sdk/handover-exports",
    r#"
        package millrace:sdk;
        world handover-exports {
            export millrace:plugin/handover@0.1.0;
        }
    "#
}

exported! {
    interceptor,
    "millrace:sdk/interceptor-exports",
    r#"
        package millrace:sdk;
        world interceptor-exports {
            export millrace:plugin/interceptor@0.1.0;
        }
    "#,
    types
}

exported! {
    source,
    "millrace:sdk/source-exports",
    r#"
        package millrace:sdk;
        world source-exports {
            export millrace:plugin/source@0.1.0;
        }
    "#,
    types
}

exported! {
    sink,
    "millrace:sdk/sink-exports",
    r#"
        package millrace:sdk;
        world sink-exports {
            export millrace:plugin/sink@0.1.0;
        }
    "#,
    types
}

exported! {
    codec,
    "millrace:sdk/codec-exports",
    r#"
        package millrace:sdk;
        world codec-exports {
            export millrace:plugin/codec@0.1.0;
        }
    "#,
    types
}

exported! {
    two_phase,
    "millrace:sdk/two-phase-exports",
    r#"
        package millrace:sdk;
        world two-phase-exports {
            export millrace:plugin/two-phase@0.1.0;
        }
    "#,
    types
}
