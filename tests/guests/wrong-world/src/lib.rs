//! A plugin of another kind: it has a `lifecycle`, and in the place of an interceptor a codec, which the agent does not
//! know as a role of an interceptor.

wit_bindgen::generate!({
    inline: r#"
        package test:wrong-world;

        interface codec {
            decode: func(frames: list<u8>) -> list<list<u8>>;
        }

        world frame-codec {
            include millrace:plugin/base@0.1.0;
            export codec;
        }
    "#,
    path: "../../../wit",
    world: "test:wrong-world/frame-codec",
    generate_all,
});

use exports::millrace::plugin::lifecycle::{Guest as Lifecycle, Instance, Issue};
use exports::test::wrong_world::codec::Guest as Codec;

struct WrongWorld;

impl Lifecycle for WrongWorld {
    fn configure(_: String, _: Instance) -> Result<(), Vec<Issue>> {
        Ok(())
    }

    fn stop(_: u32) {}
}

impl Codec for WrongWorld {
    fn decode(frames: Vec<u8>) -> Vec<Vec<u8>> {
        vec![frames]
    }
}

export!(WrongWorld);
