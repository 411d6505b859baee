//! Other processes of the same user want the key out of the workbench's memory.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;

use nix::unistd::{Gid, Uid};

use super::*;

const KEY: &str = "sk-canary-neighbour-0123456789abcdef";

/// An ordinary user without anything.
const NOBODY: u32 = 65534;

/// Says which of a process's files open, and in which of them the key is. Memory is
/// read where a process has its environment: on its stack.
const SPY: &str = r#"
begun() {
    until tr '\0' ' ' <"/proc/$1/cmdline" | grep -q '^sleep'; do :; done
}
spy() {
    for file in environ maps mem; do
        if (: <"/proc/$1/$file") 2>/dev/null; then echo "$file opens"; else echo "$file refused"; fi
    done
    if tr '\0' '\n' <"/proc/$1/environ" | grep -q "$2"; then echo "environ tells"; fi
    stack=$(grep -F '[stack]' "/proc/$1/maps") || return 0
    stack=${stack%% *}
    from=$((0x${stack%-*} / 4096)) to=$((0x${stack#*-} / 4096))
    if dd if="/proc/$1/mem" bs=4096 skip=$from count=$((to - from)) | grep -q -a "$2"; then echo "mem tells"; fi
}
"#;

/// What the spy says of a process that keeps its memory to itself.
const NOTHING: &str = "environ refused\nmaps refused\nmem refused\n";
/// And of one that does not.
const EVERYTHING: &str = "environ opens\nmaps opens\nmem opens\nenviron tells\nmem tells\n";

/// Runs the spy as this user and answers what it says.
fn spy(user: Option<u32>, script: &str, environment: &[(&str, &str)]) -> String {
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", &format!("{SPY}\n{script}")])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .envs(environment.iter().copied());
    if let Some(user) = user {
        command.uid(user).gid(user);
    }
    String::from_utf8(command.output().unwrap().stdout).unwrap()
}

/// The home and all folders in it become this user's.
fn give(dir: &Path, user: u32) {
    let (user, group) = (Uid::from_raw(user), Gid::from_raw(user));
    nix::unistd::chown(dir, Some(user), Some(group)).unwrap();
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            give(&entry.path(), user.as_raw());
        }
    }
}

/// R5: a process of the same user can read neither the environment nor the memory of a
/// workbench that holds a key; of any other process it can. Root may read all, so as
/// root this is done as nobody.
#[test]
fn no_process_of_the_same_user_reads_the_key_out_of_the_workbench() {
    let user = nix::unistd::geteuid().is_root().then_some(NOBODY);
    let mut home = Home::new();
    home.set("OPENAI_API_KEY", KEY);
    // A copy where everybody may go: the project may lie where nobody else may.
    let program = home.root().join("dspex-tui");
    std::fs::copy(workbench(), &program).unwrap();
    std::fs::set_permissions(home.root(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(program);
    if let Some(user) = user {
        give(home.root(), user);
        command.uid(user).gid(user);
    }
    let mut exec = Exec::spawn(&home, command, &["--new", "kept"]);
    exec.done(
        "configure_lm",
        json!({"model": "openai/stub", "name": "mine"}),
    );
    let lms = exec.done("list_lms", json!({})).to_string();
    assert!(
        lms.contains("OPENAI_API_KEY") && !lms.contains(KEY),
        "{lms}"
    );

    let script = format!("spy {} {KEY}", exec.pid());
    assert_eq!(spy(user, &script, &[]), NOTHING);
    // The spy is good at it, where it may.
    let script = format!("sleep 60 & begun $!; spy $! {KEY}; kill $!");
    assert_eq!(spy(user, &script, &[("OPENAI_API_KEY", KEY)]), EVERYTHING);
    exec.close();
}

/// R5: nor can what a cell starts. Python often lies where only its user may go, so as
/// root this is done as a root without any capability, who for reading other processes
/// is a user like any other.
#[test]
fn no_child_of_a_cell_reads_the_key_out_of_the_workbench() {
    let mut home = Home::new();
    home.set("OPENAI_API_KEY", KEY);
    let mut command = Command::new(workbench());
    if nix::unistd::geteuid().is_root() {
        command = Command::new("setpriv");
        command.args(["--bounding-set=-all", "--inh-caps=-all"]);
        command.arg(workbench());
    }
    let mut exec = Exec::spawn(&home, command, &["--new", "child"]);
    let spied = |exec: &mut Exec, script: &str, key: &str| {
        let script = format!("{SPY}\n{script}");
        let source = format!(
            "import os, subprocess\nprint(subprocess.run(['sh', '-c', {script:?}.replace('PARENT', str(os.getppid()))], env={{'PATH': os.environ['PATH'], 'OTHER_KEY': {key:?}}}, capture_output=True, text=True).stdout)"
        );
        let cell = exec.cell(&source);
        outputs(&home, "child", cell)
    };
    let said = spied(&mut exec, &format!("spy PARENT {KEY}"), "");
    assert!(said.contains(&NOTHING.replace('\n', "\\n")), "{said}");
    assert!(!said.contains("opens") && !said.contains("tells"), "{said}");
    let said = spied(
        &mut exec,
        "sleep 60 & begun $!; spy $! canary-other; kill $!",
        "canary-other",
    );
    assert!(said.contains(&EVERYTHING.replace('\n', "\\n")), "{said}");
    let workbench = exec.pid();
    let cell = exec.cell("import os\nos.getppid()");
    assert!(outputs(&home, "child", cell).contains(&workbench.to_string()));
    exec.close();
}
