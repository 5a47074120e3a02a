//! The bindings that wit-bindgen makes from `wit/`. Everything else in this crate is a view on them or
//! a builder for them; plugins that need exactly what is in the interface can use them as they are.
#![allow(missing_docs, clippy::all)]

wit_bindgen::generate!({
    path: "../../wit",
    world: "pure-interceptor",
    pub_export_macro: true,
    default_bindings_module: "millrace_plugin::bindings",
});
