//! The waiting room by the command line.

use super::alone;
use crate::cli::boxoffice;

#[tokio::test]
async fn a_buyer_waits_and_buys_by_the_command_line() {
    let sale = alone();
    let boxoffice = |arguments: &[&str]| {
        let output = boxoffice(&[arguments, &["--server", sale.servers[0].url()]].concat());
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, told, _) = boxoffice(&["admin", "waiting-room", "demo", "--rate", "100", "--inside-max", "1"]);
    assert!(code == Some(0) && told.contains("100 a second, at most 1 inside"), "{told}");
    let (code, _, told) = boxoffice(&["buy", "demo", "floor", "1", "--owner", "ann"]);
    assert!(code == Some(1) && told.contains("WAITING_ROOM_REQUIRED"), "{told}");
    let (code, pass, told) = boxoffice(&["join", "demo", "--owner", "ann"]);
    assert!(code == Some(0) && told.contains("let in, until"), "{told}");
    let (code, told, _) = boxoffice(&["buy", "demo", "floor", "1", "--owner", "ann", "--pass", pass.trim()]);
    assert!(code == Some(0) && told.contains("held for"), "{told}");
    let (code, told, _) = boxoffice(&["leave", "demo", "--owner", "ann"]);
    assert!(code == Some(0) && told.contains("left"), "{told}");
    let (code, told, way) = boxoffice(&["buy", "demo", "floor", "1", "--owner", "bob", "--wait"]);
    assert!(code == Some(0) && told.contains("held for") && way.contains("let in"), "{told} {way}");
    let (code, file, _) = boxoffice(&["admin", "export", "demo"]);
    assert!(code == Some(0) && file.contains("[event.waiting_room]"), "{file}");
    let (code, told, _) = boxoffice(&["admin", "waiting-room", "demo", "--off"]);
    assert!(code == Some(0) && told.contains("waiting room     none"), "{told}");
    let path = sale.files.path().join("demo.toml");
    // The file is older than the edit; without its etags it says what shall be.
    let file: String = file.lines().filter(|line| !line.starts_with("etag")).map(|line| format!("{line}\n")).collect();
    std::fs::write(&path, file).expect("written");
    let (code, told, error) = boxoffice(&["admin", "apply", path.to_str().expect("UTF-8"), "--yes"]);
    assert!(code == Some(0) && told.contains("waiting_room"), "{told} {error}");
    let (_, told, _) = boxoffice(&["admin", "show", "demo"]);
    assert!(told.contains("100 a second, at most 1 inside"), "{told}");
}
