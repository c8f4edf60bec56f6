//! The flags of `sdbuild seed`.

use std::path::PathBuf;

use clap::Args;

/// `sdbuild seed`.
#[derive(Debug, Args)]
pub struct Seed {
    /// Configuration (#cloud-config), script (#!) or another kind of user-data that cloud-init knows
    #[arg(long, value_name = "FILE")]
    pub user_data: PathBuf,

    /// Meta-data in YAML [default: generated, with an instance-id derived from the other files]
    #[arg(long, value_name = "FILE")]
    pub meta_data: Option<PathBuf>,

    /// Network configuration in YAML; without it, the machine uses DHCP
    #[arg(long, value_name = "FILE")]
    pub network_config: Option<PathBuf>,

    /// Vendor-data; user-data overrides it
    #[arg(long, value_name = "FILE")]
    pub vendor_data: Option<PathBuf>,

    /// Host name in the generated meta-data [default: that of the user-data]
    #[arg(long, value_name = "NAME", conflicts_with = "meta_data")]
    pub hostname: Option<String>,

    /// File to write; sdbuild does not replace a file with other content
    #[arg(short, long, value_name = "FILE", default_value = "seed.img")]
    pub output: PathBuf,

    /// Print one JSON object instead of the path of the seed
    #[arg(long)]
    pub json: bool,
}
