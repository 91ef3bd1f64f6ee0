//! A plug-in: what other examples add in a program, added to the tool.
//!
//! ```sh
//! cargo build -p acme-plugin
//! orogen compile swish.onnx -o swish.so --opt-in dataflow-ir --plugin target/debug/libacme.so
//! ```

use orogen::prelude::*;

fn register(builder: &mut Builder) {
    builder.converter("com.acme", "Swish", 1.., |cx| {
        let x = cx.input(0)?;
        let scaled = cx.with_number("mul", x, cx.float("alpha").unwrap_or(1.0))?;
        let gate = cx.unary("sigmoid", scaled)?;
        Ok(vec![cx.binary("mul", x, gate)?])
    });
}

orogen::plugin!(register);
