//! Boot loaders, kernels and systems on images.

use super::*;
use sdbuild_image::boot::{BootReport, LoaderKind};
use sdbuild_image::cluster_disk::disk_in;
use sdbuild_image::report::ImagePath;
use sdbuild_image::report::Layout;
use sdbuild_image::{DiskForm, InstalledSystem};

fn boot(image: Vec<u8>) -> BootReport {
    let layout = Layout::read(&section(image)).unwrap();
    assert_eq!(layout.problems, Vec::<String>::new());
    BootReport::find(&layout.volumes).unwrap()
}

#[test]
fn nixos_image_is_recognized() {
    needs!(have(&IMAGE_TOOLS));
    let boot = boot(image("", |_| {}));
    let kinds: Vec<_> = boot.loaders.iter().map(|l| (l.kind, l.partition)).collect();
    assert_eq!(kinds, [(LoaderKind::RaspberryPi, 1), (LoaderKind::Extlinux, 2)]);
    let files: Vec<_> = boot.loaders[0].files.iter().map(|f| f.to_lowercase()).collect();
    assert_eq!(files, ["config.txt", "start4.elf"]);
    let kernel = boot.kernel.unwrap();
    assert_eq!(kernel.path, "/boot/nixos/k-linux-6.6.6-Image");
    assert_eq!(kernel.format.name(), "arm64");
    assert_eq!(kernel.version.as_deref(), Some("6.6.6"));
    assert_eq!(boot.system.path.as_deref(), Some(TOP));
    assert_eq!(boot.system.nixos.as_deref(), Some("26.05.1234"));
    assert_eq!(boot.system.host_name.as_deref(), Some("berry"));
    assert_eq!(boot.problems, Vec::<String>::new());
    assert_eq!(boot.menu_problems, Vec::<String>::new());
}

#[test]
fn of_two_menus_the_one_that_u_boot_takes_is_reported_whole() {
    needs!(have(&IMAGE_TOOLS));
    let boot = boot(image("", |tree| {
        let menu = CONF.replace("  INITRD", "  FDTDIR ../nixos/dtbs\n  INITRD");
        fs::write(tree.join("boot/extlinux/extlinux.conf"), menu).unwrap();
        let first = "DEFAULT a\nLABEL a\n  LINUX ../other\n  APPEND init=/nix/store/o/init\n";
        fs::create_dir(tree.join("extlinux")).unwrap();
        fs::write(tree.join("extlinux/extlinux.conf"), first).unwrap();
        let mut kernel = noise(1000);
        kernel[0x38..0x3c].copy_from_slice(b"ARM\x64");
        fs::write(tree.join("other"), kernel).unwrap();
    }));
    let menu = boot.menu.unwrap();
    assert_eq!(menu.config, "/extlinux/extlinux.conf");
    assert_eq!((menu.initrd, menu.device_trees), (None, None));
    assert_eq!(menu.kernel.as_deref(), Some("/other"));
    assert_eq!(boot.kernel.unwrap().path, "/other");
    assert_eq!(boot.system.path.as_deref(), Some("/nix/store/o"));
    assert_eq!(boot.system.host_name, None);
}

/// The image of a disk that UEFI starts by systemd-boot, and whose root accepts a key.
fn systemd_boot_image(menu: &str, entries: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = image("", |tree| {
        fs::remove_dir_all(tree.join("boot")).unwrap();
        let keys = tree.join("nix/store/etc/etc/ssh/authorized_keys.d");
        fs::create_dir_all(&keys).unwrap();
        fs::write(keys.join("root"), "ssh-ed25519 AAAA me\n").unwrap();
    });
    let dir = tempfile::tempdir().unwrap();
    let fat = (1 << 20)..(3 << 20);
    fs::write(dir.path().join("fat"), &bytes[fat.clone()]).unwrap();
    run("mmd -i fat ::/loader ::/loader/entries", dir.path());
    let entries = entries.iter().map(|(name, text)| (format!("entries/{name}"), *text));
    for (name, text) in entries.chain([("loader.conf".to_owned(), menu)]) {
        fs::write(dir.path().join("text"), text).unwrap();
        run(&format!("mcopy -i fat text ::/loader/{name}"), dir.path());
    }
    bytes[fat].copy_from_slice(&fs::read(dir.path().join("fat")).unwrap());
    bytes
}

#[test]
fn system_of_systemd_boot_is_that_of_its_default_entry() {
    needs!(have(&IMAGE_TOOLS));
    let options = format!("title NixOS\noptions init={TOP}/init loglevel=4\n");
    let other = ("b.conf", "options init=/nix/store/o/init\n");
    let system =
        |menu: &str, entries: &[(&str, &str)]| boot(systemd_boot_image(menu, entries)).system;
    let found = system("", &[("a.conf", &options)]);
    assert_eq!(found.path.as_deref(), Some(TOP));
    assert_eq!(found.host_name.as_deref(), Some("berry"));
    let both = [("a.conf", options.as_str()), other];
    let found = system("timeout 3\ndefault b.conf\n", &both);
    assert_eq!(found.path.as_deref(), Some("/nix/store/o"));
    assert_eq!(system("default @saved\n", &both).path, None);
}

/// Before a boot the user's keys are compared with those that the image accepts.
#[test]
fn keys_are_found_on_disks_of_virtual_machines() {
    needs!(have(&IMAGE_TOOLS), have(&["qemu-img"]));
    let options = format!("options init={TOP}/init\n");
    let bytes = systemd_boot_image("default a.conf\n", &[("a.conf", &options)]);
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("raw"), &bytes).unwrap();
    for (arguments, form) in [
        ("-O raw", DiskForm::Raw),
        ("-O qcow2 -c", DiskForm::Qcow2),
        ("-O qcow2", DiskForm::Qcow2),
        ("-O qcow2 -o compat=0.10,cluster_size=4096", DiskForm::Qcow2),
        ("-O vmdk -o subformat=streamOptimized", DiskForm::Vmdk),
        ("-O vmdk", DiskForm::Vmdk),
    ] {
        let convert = format!("qemu-img convert -f raw {arguments} raw disk");
        run(&convert, dir.path());
        let file = || fs::File::open(dir.path().join("disk")).unwrap();
        let disk = disk_in(file(), form, &Cancel::new()).unwrap();
        let mut read = vec![0; bytes.len()];
        assert_eq!(disk.len(), bytes.len() as u64);
        disk.read(0, &mut read).unwrap();
        assert!(read == bytes, "{arguments}");
        let installed = InstalledSystem::read(file(), form, &Cancel::new()).unwrap();
        let expected = [("root".to_owned(), "ssh-ed25519 AAAA me\n".to_owned())];
        assert_eq!(installed.key_lists, expected.into(), "{arguments}");
    }
}

#[test]
fn damaged_disks_of_virtual_machines_are_errors_or_other_bytes() {
    needs!(have(&["qemu-img"]));
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("raw"), noise(300_000)).unwrap();
    for (arguments, form) in
        [("-O qcow2 -c", DiskForm::Qcow2), ("-O vmdk -o subformat=streamOptimized", DiskForm::Vmdk)]
    {
        let convert = format!("qemu-img convert -f raw {arguments} raw disk");
        run(&convert, dir.path());
        let whole = fs::read(dir.path().join("disk")).unwrap();
        let places = (0..600).chain((600..whole.len()).step_by(997));
        for at in places {
            let mut damaged = whole.clone();
            damaged[at] ^= 0xff;
            fs::write(dir.path().join("disk"), damaged).unwrap();
            let file = fs::File::open(dir.path().join("disk")).unwrap();
            if let Ok(disk) = disk_in(file, form, &Cancel::new()) {
                disk.read(0, &mut vec![0; 300_000]).ok();
                let end = disk.len().saturating_sub(512);
                disk.read(end, &mut [0; 512]).ok();
            }
        }
    }
}

#[test]
fn missing_files_of_the_loader_are_problems() {
    needs!(have(&IMAGE_TOOLS));
    let without = boot(image("", |tree| {
        fs::remove_dir_all(tree.join("boot/nixos")).unwrap();
        fs::remove_dir_all(tree.join(format!(".{TOP}"))).unwrap();
        fs::create_dir(tree.join("etc")).unwrap();
        fs::write(tree.join("etc/hostname"), "plain\n").unwrap();
    }));
    assert_eq!(
        without.menu_problems,
        [
            "/boot/extlinux/extlinux.conf names the kernel /boot/nixos/k-linux-6.6.6-Image, which is \
             missing",
            "/boot/extlinux/extlinux.conf names the initrd /boot/nixos/i-initrd, which is missing",
        ]
    );
    let system = format!("the boot loader names the system {TOP}, which is missing");
    assert_eq!(without.problems, [system]);
    assert_eq!(without.system.host_name.as_deref(), Some("plain"));
}

#[test]
fn compressed_kernel_has_the_version_of_its_name() {
    needs!(have(&IMAGE_TOOLS));
    let kernel = boot(image("", |tree| {
        fs::write(tree.join("boot/nixos/k-linux-6.6.6-Image"), [0x1f, 0x8b, 8, 0]).unwrap();
    }));
    let kernel = kernel.kernel.unwrap();
    assert_eq!((kernel.format.name(), kernel.version.as_deref()), ("gzip", Some("6.6.6")));
}

#[test]
fn path_is_on_the_root_or_the_first_file_system_that_has_it() {
    needs!(have(&IMAGE_TOOLS));
    let layout = Layout::read(&section(image("", |_| {}))).unwrap();
    let number = |text| ImagePath::find(text, &layout).unwrap().partition;
    // Both have it; the firmware's was taken.
    assert_eq!(number("/"), 2);
    assert_eq!(number("/overlays"), 1);
    assert_eq!(number("/nix/store"), 2);
    assert_eq!(number("2:/none"), 2);
    let error = ImagePath::find("/none", &layout).unwrap_err().to_string();
    assert_eq!(error, "no file system on it has /none");
    let place = ImagePath::find("3:/x", &layout).unwrap();
    let error = place.volume(&layout).unwrap_err().to_string();
    assert_eq!(error, "there is no partition 3");
}

#[test]
fn file_system_without_a_table_is_partition_zero() {
    needs!(have(&IMAGE_TOOLS));
    let whole = image("", |_| {});
    for (from, to, kind) in [(1, 3, "fat12"), (3, 9, "ext4")] {
        let layout = Layout::read(&section(whole[from << 20..to << 20].to_vec())).unwrap();
        assert_eq!(layout.partitions.len(), 1);
        assert_eq!(layout.partitions[0].partition.number, 0);
        assert_eq!(layout.partitions[0].file_system.as_ref().unwrap().kind, kind);
    }
    let error = Layout::read(&section(noise(1 << 20))).unwrap_err().to_string();
    assert_eq!(error, "there is no partition table and no known file system in it");
}
