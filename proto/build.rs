//! Compiles the protos with `protox`, so that no system `protoc` is needed.

use prost::Message as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = [
        "boxoffice/v1/inventory_service.proto",
        "boxoffice/v1/admin_service.proto",
        "boxoffice/v1/waiting_room_service.proto",
    ];
    for directory in ["boxoffice", "google"] {
        println!("cargo::rerun-if-changed={directory}");
    }
    let descriptors = protox::compile(files, ["."])?;
    let out = std::path::PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    let mut config = tonic_prost_build::Config::new();
    config.enable_type_names();
    tonic_prost_build::configure()
        .extern_path(".google.rpc.Status", "::tonic_types::Status")
        .codec_path("crate::codec::Codec")
        .compile_fds_with_config(descriptors, config)?;
    Ok(())
}
