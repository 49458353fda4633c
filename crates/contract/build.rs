//! Compiles `plugin.proto` with protox, so that no `protoc` has to be installed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=plugin.proto");
    let descriptors = protox::compile(["plugin.proto"], ["."])?;
    // Pixels are the bulk of what crosses the socket: as `Bytes` they are not copied on the way.
    tonic_prost_build::configure()
        .bytes(".sensorium.plugin.v1.Image.rgb")
        .bytes(".sensorium.plugin.v1.Mask.plane")
        .compile_fds(descriptors)?;
    Ok(())
}
