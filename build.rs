//! Tells the linker how a Node.js addon is linked on each platform; nothing without the `node` feature.

fn main() {
    #[cfg(feature = "node")]
    napi_build::setup();
}
