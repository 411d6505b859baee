//! The disk takes no more.

use std::process::Command;

use super::*;

/// When nothing can be written any more, cells still run and the workbench says
/// that it does not save; what was written before is sound.
#[test]
fn a_full_disk_is_said_and_stops_nothing() {
    let home = Home::new();
    // A limit on the size of files stands for a full disk: the shell ignores the
    // signal that comes with it, so that writing fails as on a full disk.
    let mut command = Command::new("/bin/bash");
    command.args(["-c", "trap '' XFSZ; ulimit -f 64; exec \"$0\" \"$@\""]);
    command.arg(workbench());
    let mut exec = Exec::spawn(&home, command, &["--new", "full"]);
    exec.cell("kept = 7");
    let saved = exec.done("health_check", json!({}));
    assert_eq!(saved["session"]["save"], "Saved", "{saved}");
    for n in 0..4 {
        exec.cell(&format!(
            "import random\nprint(random.Random({n}).randbytes(30000).hex())"
        ));
    }
    exec.cell("assert kept * 6 == 42");
    let health = exec.done("health_check", json!({}));
    let save = health["session"]["save"].to_string();
    assert!(
        save.contains("NotSaving") && save.contains("free some space"),
        "{save}"
    );
    exec.close();
    let text = home.dspex(&["replay", "full", "--plain"]);
    assert!(text.success().contains("kept = 7"));
}
