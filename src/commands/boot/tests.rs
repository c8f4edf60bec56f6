use super::*;

mod plan {
    use super::*;
    use sdbuild_boot::Login;
    use sdbuild_core::system::System;
    use sdbuild_image::board;
    use sdbuild_image::board::BoardName;

    fn request(login: Option<Login>, port: Option<u16>) -> BootRequest {
        BootRequest {
            scratch: "/nowhere".into(),
            board: board::generic_machine(System::Aarch64Linux),
            model: board::generic_machine(System::Aarch64Linux)
                .qemu
                .as_ref()
                .unwrap(),
            prompt: None,
            seed: None,
            firmware: None,
            method: BootMethod::default(),
            kvm: true,
            memory_mib: 1024,
            port,
            ssh_port: boot::DEFAULT_SSH_PORT,
            home: None,
            path: "/nowhere".into(),
            login,
        }
    }

    #[test]
    fn a_boot_is_repeated_with_its_board_and_its_key() {
        let flags = |request| {
            PreparedBoot {
                request,
                engine: None,
                state_dir: "/nowhere".into(),
            }
            .flags()
        };
        let login = |key: Option<&str>| Login {
            key: key.map(Into::into),
            user: "root".into(),
            is_default_user: false,
            timeout: std::time::Duration::from_secs(1),
            command: None,
        };
        assert_eq!(flags(request(Some(login(None)), None)), "--until-ssh");
        let keyed = request(Some(login(Some("/my keys/id"))), None);
        assert_eq!(flags(keyed), "--until-ssh --login-key '/my keys/id'");
        let BoardName(rpi4) = "rpi4".parse().unwrap();
        let on_board = BootRequest {
            board: rpi4,
            ..request(None, None)
        };
        assert_eq!(flags(on_board), "--board rpi4 --until-login");
    }

    #[test]
    fn requested_port_is_needed_at_the_console_too() {
        let login = Login {
            key: None,
            user: "root".into(),
            is_default_user: false,
            timeout: std::time::Duration::from_secs(1),
            command: None,
        };
        assert!(needs_port(&request(None, Some(2222))));
        let or_prompt = BootRequest {
            prompt: Some(login.timeout),
            ..request(Some(login.clone()), None)
        };
        assert!(!needs_port(&or_prompt));
        assert!(needs_port(&request(Some(login), None)));
        assert!(!needs_port(&request(None, None)));
    }
}

mod next {
    use super::*;

    #[test]
    fn an_image_that_has_booted_is_written() {
        let next = |image: &str| {
            let next = next_commands_after_boot(Path::new(image));
            let commands = next.into_iter().map(|(command, _)| command);
            commands.collect::<Vec<_>>()
        };
        assert_eq!(next("/x/pi.img.zst"), ["sdbuild flash /x/pi.img.zst"]);
        assert_eq!(next("/x/pi.qcow2"), [""; 0]);
        let amazon = "/x/nixos-pi-amazon-26.05.img";
        assert_eq!(next(amazon), [format!("sdbuild publish aws {amazon}")]);
        assert_eq!(next("/x/pi"), [""; 0]);
    }
}
