use super::*;

mod plan {
    use super::*;
    use sdbuild_boot::Login;
    use sdbuild_core::system::System;
    use sdbuild_image::board;

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
