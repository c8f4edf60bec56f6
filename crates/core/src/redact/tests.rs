use super::*;

#[test]
fn values_of_secret_options_are_hidden() {
    for (text, shown) in [
        (
            "write a string in quotes: users.users.ann.initialPassword = \"5318008\";",
            "write a string in quotes: users.users.ann.initialPassword = \"…\";",
        ),
        ("a.psk = 12345678; b = 1;", "a.psk = …; b = 1;"),
        ("a.psk = p@ss; b = 1;", "a.psk = …; b = 1;"),
        (
            "networking.wireless.networks.\"My Net\" = \"x\";",
            "networking.wireless.networks.\"My Net\" = \"…\";",
        ),
        (
            "a.password = [ \"x\" ]; b = \"c\";",
            "a.password = [ \"…\" ]; b = \"c\";",
        ),
        ("--set a.password=word", "--set a.password=…"),
        (
            "Environment = \"DB_PASS=x\";",
            "Environment = \"DB_PASS=…\";",
        ),
        ("\"API_TOKEN\" = \"x\";", "\"API_TOKEN\" = \"…\";"),
        ("a --password=x1 -h ${HOST", "a --password=… -h ${HOST"),
        ("a.passwrod = \"x\";", "a.passwrod = \"…\";"),
        ("password: \"x\"", "password: \"…\""),
        ("password \"x\\\"y\";", "password \"…\";"),
        ("password = \"x y;", "password = \"…"),
        ("password = ''x'' y", "password = ''…'' y"),
        ("psk = 'x y';", "psk = '…';"),
        ("psk = `x`; a", "psk = `…`; a"),
        ("psk = “x”; a", "psk = “…”; a"),
        ("psk = ”x”; a", "psk = ”…”; a"),
        ("psk = „x“; a", "psk = „…“; a"),
        ("a.hash = $6$abcd$efgh/i.; b", "a.hash = …; b"),
        ("a.psk = lib.mkForce \"x\";", "a.psk = lib.mkForce \"…\";"),
        ("a.password = { \"x\" };", "a.password = { \"…\" };"),
        ("a.password = (b, \"x\");", "a.password = (b, \"…\");"),
        ("a.password += \"x\";", "a.password += \"…\";"),
        ("a.password => \"x\";", "a.password => \"…\";"),
        ("a.psk = f (\"x\");", "a.psk = f (\"…\");"),
        (
            "a.psk = \"x\" + y.z + \"w\"; b = \"c\";",
            "a.psk = \"…\" + y.z + \"…\"; b = \"c\";",
        ),
        (
            "a.tokens = [ \"x\" \"y\", \"z\" ];",
            "a.tokens = [ \"…\" \"…\", \"…\" ];",
        ),
        (
            "a.hashedPasswrd = \"$6$ab$cd\"; psk = \"x\";",
            "a.hashedPasswrd = \"…\"; psk = \"…\";",
        ),
    ] {
        assert_eq!(redacted(text), shown);
    }
}

#[test]
fn values_in_or_instead_of_a_set_of_secrets_are_hidden() {
    for (text, shown) in [
        (
            "networking.wireless.networks = { Home = \"x\"; };",
            "networking.wireless.networks = { Home = \"…\"; };",
        ),
        (
            "networking.wireless.networks = \"Home:x\";",
            "networking.wireless.networks = \"…\";",
        ),
        (
            "wireless.networks = ''x''; b",
            "wireless.networks = ''…''; b",
        ),
        (
            "networking.wireless.networks = [ \"Home\" \"x\" ];",
            "networking.wireless.networks = [ \"…\" \"…\" ];",
        ),
        ("a.password.value = \"x\";", "a.password.value = \"…\";"),
        (
            "a.password = { value = \"x\"; };",
            "a.password = { value = \"…\"; };",
        ),
    ] {
        assert_eq!(redacted(text), shown);
    }
}

#[test]
fn what_is_no_secret_is_shown() {
    for text in [
        "security.sudo.wheelNeedsPassword = \"never\";",
        "security.sudo.wheelNeedsPassword = false;",
        "locations.\"/\".proxyPass = \"http://localhost:3000\";",
        "a.password = lib.mkForce null;",
        "a.psk = \"…\";",
        "a.hashedPassword = \"$y$…\";",
        "a.passwordFile = \"/etc/pw\";",
        "a.privateKey = \"/etc/wg.key\";",
        "a.psk = \"ext:home\"; b.psk = \"@HOME@\"; c.psk = \"${d}\";",
        "a.secret = { owner = \"grafana\"; };",
        "a.password = config.b;",
        "a.password = annsPassword;",
        "a.password = (b, c); d = \"e\";",
        "a.secret = config.b.\"c\".d;",
        "unexpected token: did you mean \"x\"?",
        "PasswordAuthentication = \"maybe\";",
        "if password == x",
        "if password != x && y",
        "a.wireless.networks.Home.hidden = true; b = \"c\";",
        "a.wireless.networks = { \"My Net\".hidden = true; };",
        "a.wireless.networks.Home = { authProtocols = [ \"SAE\" ]; };",
        "unexpected token 'x'",
        "a = $b; c=$d$e",
        "elem name [ \"secret\" ];",
        "script = \"$HOME/a $b\";",
    ] {
        assert_eq!(redacted(text), text);
    }
}

#[test]
fn a_line_with_a_secret_is_hidden_with_its_caret() {
    let lines = |value: &str| {
        let above = "8|   password =".to_owned();
        let lines = [above, format!("9|     {value}"), " |     ^".to_owned()];
        excerpt(&lines, false).0.split_off(1)
    };
    assert_eq!(lines("\"x\"; b"), ["9|   …"]);
    assert_eq!(lines("b = \"c\";"), ["9|     b = \"c\";", " |     ^"]);
    assert_eq!(lines("psk = \"hunter22xyz\"; b"), ["9|   …"]);
}

#[test]
fn no_line_of_a_secret_definition_is_shown() {
    let lines = [
        "8|   b = \"c\";",
        "9|   x.\"My Net\" = { n = \"x y\";",
        " |   ^",
        "10|     m = \"w\"; }",
    ];
    let (shown, secrets) = excerpt(&lines.map(str::to_owned), true);
    assert_eq!(shown, [lines[0], "9|   …", lines[3]]);
    assert_eq!(secrets, ["x y"]);
    assert_eq!(
        redacted_with("a set, not \"x y\"", &secrets),
        "a set, not \"…\""
    );
    let text = ["8|   x.psk = ''", " |   ^", "9|     topsecret", "10|   '';"];
    let (shown, _) = excerpt(&text.map(str::to_owned), true);
    assert_eq!(shown, ["8|   …", "9|   …", "10|   …"]);
    for option in [
        "a.wireless.networks.Home",
        "a.tokens.\"[definition 1-entry 1]\"",
        "a.wireless.networks",
    ] {
        assert!(is_option_of_secret(option), "{option}");
    }
    assert!(!is_option_of_secret("networking.hostName"));
}

#[test]
fn the_content_of_a_key_is_hidden() {
    let one = "values: \"-----BEGIN OPENSSH PRIVATE KEY-----\\nb3Bl\\n-----END OPENSSH PRIVATE KEY-----\\n\", and";
    let shown = "values: \"-----BEGIN OPENSSH PRIVATE KEY-----***\", and";
    assert_eq!(hide_private_keys(one), shown);
    let two = format!("{one} {one}");
    assert_eq!(hide_private_keys(&two), format!("{shown} {shown}"));
    let cut = "\"-----BEGIN PRIVATE KEY-----\nMC4C\nAQ…";
    assert_eq!(hide_private_keys(cut), "\"-----BEGIN PRIVATE KEY-----***");
    assert!(matches!(
        hide_private_keys("a PRIVATE KEY"),
        Cow::Borrowed(_)
    ));
}

#[test]
fn the_lines_of_a_key_are_hidden() {
    let key = "a = ''\n-----BEGIN PRIVATE KEY-----\n MC4C\n AQAw\n-----END PRIVATE KEY-----\n'';\nb = 1;\n";
    let shown = without_private_keys(key);
    assert!(
        !shown.contains("MC4C") && !shown.contains("AQAw"),
        "{shown}"
    );
    assert_eq!(shown.lines().count(), key.lines().count());
    assert!(shown.ends_with("'';\nb = 1;\n"), "{shown}");
}
