//! The inert part of WASI 0.2: what tool-chains link in although the plugin never asked for it.
