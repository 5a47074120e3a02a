//! An interceptor built for another version of the package, which this agent does not serve.

wit_bindgen::generate!({
    inline: r#"
        package millrace:plugin@0.3.0;

        interface interceptor {
            intercept: func(events: list<list<u8>>) -> list<u32>;
        }

        world interceptor-of-tomorrow {
            export interceptor;
        }
    "#,
});

use exports::millrace::plugin::interceptor::Guest as Interceptor;

struct Tomorrow;

impl Interceptor for Tomorrow {
    fn intercept(_: Vec<Vec<u8>>) -> Vec<u32> {
        vec![]
    }
}

export!(Tomorrow);
