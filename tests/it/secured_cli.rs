//! The command line with tokens and TLS.

use std::path::Path;
use std::process::{Output, Stdio};

use crate::authority::{Authority, replace};
use crate::recorded;
use crate::support::Server;
use crate::tokens::test_key;

fn boxoffice(arguments: &[&str], token: Option<&str>) -> Output {
    let mut command = recorded::boxoffice();
    command.args(arguments).stdin(Stdio::null()).env_remove("BOXOFFICE_TOKEN");
    if let Some(token) = token {
        command.env("BOXOFFICE_TOKEN", token);
    }
    recorded::output(&mut command)
}

fn printed(arguments: &[&str], token: Option<&str>) -> String {
    let output = boxoffice(arguments, token);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn refused(arguments: &[&str], token: Option<&str>) -> String {
    let output = boxoffice(arguments, token);
    assert!(!output.status.success(), "{arguments:?}");
    String::from_utf8(output.stderr).expect("text")
}

fn mint(key: &Path, role: &str, owner: &str) -> String {
    let key = key.to_str().expect("a path in UTF-8");
    let printed = printed(&["token", "mint", "--key", key, "--role", role, "--owner", owner, "--ttl", "5m"], None);
    let token = printed.trim().to_owned();
    recorded::token(&token);
    token
}

#[test]
fn operators_and_buyers_use_tokens_over_tls() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let authority = Authority::new("first");
    let (cert, key) = authority.server().write(dir.path());
    let ca = replace(dir.path(), "ca.pem", &authority.certificate);
    let mut command = Server::command();
    command.arg("--data").arg(dir.path().join("data")).arg("--auth-key").arg(test_key("rsa.public.pem"));
    command.arg("--tls-cert").arg(cert).arg("--tls-key").arg(key);
    let server = Server::spawn(command);
    let url = server.url().replace("127.0.0.1", "localhost");
    let secured = ["--server", &url, "--ca", ca.to_str().expect("a path in UTF-8")];
    let with = |arguments: &[&'static str]| [arguments, &secured[..]].concat();
    let signing = test_key("rsa.private.pem");

    let admin = replace(dir.path(), "admin.token", &mint(&signing, "admin", "root"));
    let file = ["--token-file", admin.to_str().expect("a path in UTF-8")];
    let create = with(&["admin", "create-event", "gala", "--allocation", "floor=10"]);
    printed(&[&create[..], &file].concat(), None);
    printed(&[&with(&["admin", "open", "gala"])[..], &file].concat(), None);
    let journal = printed(&[&with(&["admin", "changes", "gala", "--json"])[..], &file].concat(), None);
    assert!(journal.contains("admin:root"), "the token names the operator: {journal}");
    // Whoever is named is never left out without a word.
    printed(&[&with(&["admin", "pause", "gala", "--actor", "root"])[..], &file].concat(), None);
    let told = refused(&[&with(&["admin", "open", "gala", "--actor", "olga"])[..], &file].concat(), None);
    assert!(told.starts_with("error: PERMISSION_DENIED: "), "{told}");
    printed(&[&with(&["admin", "open", "gala"])[..], &file].concat(), None);

    let ann = mint(&signing, "buyer", "ann");
    let held = printed(&with(&["buy", "gala", "floor", "2"]), Some(&ann));
    assert!(held.contains("held for ann"), "{held}");
    assert!(
        held.contains("--ca ") && !held.contains(&ann),
        "the next lines reach the server and show no token: {held}"
    );
    let told = refused(&with(&["buy", "gala", "floor", "2", "--owner", "bob"]), Some(&ann));
    assert!(told.starts_with("error: PERMISSION_DENIED: "), "{told}");
    let told = refused(&with(&["admin", "pause", "gala"]), Some(&ann));
    assert!(told.starts_with("error: PERMISSION_DENIED: "), "{told}");
    let told = refused(&with(&["admin", "list"]), None);
    assert!(told.starts_with("error: UNAUTHENTICATED: no token"), "{told}");
    let gateway = mint(&signing, "gateway", "shop");
    let held = printed(&with(&["buy", "gala", "floor", "1", "--owner", "bob"]), Some(&gateway));
    assert!(held.contains("held for bob"), "{held}");

    // It was reached, so there is none to be started.
    let told = refused(&["admin", "list", "--server", &url], Some(&ann));
    assert!(told.contains("invalid peer certificate: ") && told.contains("\n  --ca names"), "{told}");
    assert!(!told.contains("is it running?"), "{told}");
}

#[test]
fn what_is_no_token_or_no_key_is_told_without_showing_it() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = replace(dir.path(), "file", "two wonders of the world");
    let file = file.to_str().expect("a path in UTF-8");
    let told = refused(&["admin", "list", "--token-file", file], None);
    assert!(told.contains("does not hold a token") && !told.contains("wonders"), "{told}");
    for (arguments, why) in [
        (["--auth-key", file], "neither PEM"),
        (["--auth-jwks", file], "not a JWK set"),
        (["--auth-key", "/none"], "No such file"),
    ] {
        let told = refused(&[&["serve", "--data", "/none"], &arguments[..]].concat(), None);
        assert!(told.contains(why) && !told.contains("wonders") && told.lines().count() == 1, "{told}");
    }
    let told = refused(&["token", "mint", "--key", file, "--role", "admin", "--owner", "root"], None);
    assert!(told.contains("neither a private key") && !told.contains("wonders"), "{told}");
}
