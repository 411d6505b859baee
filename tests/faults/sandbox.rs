//! The worker is killed while generated code runs.

use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::*;

/// A sandbox process and its working folder on this machine.
#[derive(Debug)]
struct Sandbox {
    pid: i32,
    folder: PathBuf,
}

impl Sandbox {
    fn is_gone(&self) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/stat", self.pid));
        let dead = status.map_or(true, |status| status.contains(") Z "));
        dead && !self.folder.exists()
    }
}

/// The sandboxes that a worker has started.
fn sandboxes_of(worker: i32) -> Vec<Sandbox> {
    let processes = Path::new("/proc").read_dir().unwrap().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let found = numbers.filter_map(|pid| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let parent = status.rsplit_once(") ")?.1.split(' ').nth(1)?.parse();
        let words = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
        let folder = words
            .split('\0')
            .find_map(|word| word.strip_prefix("--dspex-folder="))?;
        (parent == Ok(worker)).then(|| Sandbox {
            pid,
            folder: folder.into(),
        })
    });
    found.collect()
}

/// R119, R121: with the worker killed under it, code that never ends is ended, its
/// folder is removed, and the next worker runs code as before.
#[test]
fn a_killed_worker_leaves_no_sandbox() {
    let home = Home::new();
    let mut exec = Exec::start(&home, &["--new", "boxed"]);
    exec.cell("1");
    let kernel = exec.kernel_pid();
    let deaf = "open('begun', 'w').close()\nwhile True:\n    try:\n        while True: pass\n    except BaseException: pass";
    exec.submit("execute_code", &json!({"code": deaf, "timeout": 600}));
    let begun = || {
        let all = sandboxes_of(kernel);
        all.iter().any(|one| one.folder.join("begun").exists())
    };
    assert!(comes_true(PATIENCE, begun), "the code never ran");
    let sandboxes = sandboxes_of(kernel);
    kill(Pid::from_raw(kernel), Signal::SIGKILL).unwrap();
    let died = exec.answer();
    assert_eq!(died["error"]["class"], "process_crashed", "{died}");
    let gone = || sandboxes.iter().all(Sandbox::is_gone);
    assert!(comes_true(PATIENCE, gone), "{sandboxes:?}");
    let again = exec.done("execute_code", json!({"code": "6 * 7"}));
    assert_eq!(again["result"], 42, "{again}");
    exec.close();
}

/// R119, R121: with the whole workbench killed, the code ends too, and what it left
/// is removed at the next start.
#[test]
fn a_killed_workbench_leaves_no_sandbox() {
    let home = Home::new();
    let mut exec = Exec::start(&home, &["--new", "boxed"]);
    exec.cell("1");
    let kernel = exec.kernel_pid();
    exec.submit(
        "execute_code",
        &json!({"code": "open('begun', 'w').close()\nwhile True: pass", "timeout": 600}),
    );
    let begun = || {
        let all = sandboxes_of(kernel);
        all.iter().any(|one| one.folder.join("begun").exists())
    };
    assert!(comes_true(PATIENCE, begun), "the code never ran");
    let sandboxes = sandboxes_of(kernel);
    exec.kill();
    let _ = kill(Pid::from_raw(kernel), Signal::SIGKILL);
    let ended = |one: &Sandbox| {
        let status = std::fs::read_to_string(format!("/proc/{}/stat", one.pid));
        status.map_or(true, |status| status.contains(") Z "))
    };
    assert!(comes_true(PATIENCE, || sandboxes.iter().all(ended)));
    let mut exec = Exec::start(&home, &["--new", "after"]);
    exec.cell("1");
    assert!(comes_true(PATIENCE, || sandboxes
        .iter()
        .all(Sandbox::is_gone)));
    exec.close();
}

/// A limit of a process as Linux says it, soft.
fn limit_of(pid: i32, name: &str) -> String {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next())
        .unwrap_or_default()
        .to_owned()
}

/// R119, R126: where nothing is asked for, 30 s and 1024 MB hold: a list of 2 GB ends at
/// them, half a GB does not, the process has them from Linux while endless code runs, and
/// the worker is fine.
#[test]
fn the_default_limits_are_what_is_enforced() {
    let home = Home::new();
    let mut exec = Exec::start(&home, &["--new", "boxed"]);
    exec.cell("1");
    let kernel = exec.kernel_pid();
    let listed = exec.done(
        "execute_code",
        json!({"code": "x = [0] * (2 * 1024**3 // 8)"}),
    );
    assert_eq!(listed["status"], "memory", "{listed}");
    assert_eq!(
        listed["limits"],
        json!({"timeout": 30.0, "memory_mb": 1024})
    );
    exec.cell("'fine'");
    assert_eq!(exec.kernel_pid(), kernel);
    let inside = exec.done(
        "execute_code",
        json!({"code": "x = [0] * (512 * 1024**2 // 8)\nlen(x)"}),
    );
    assert_eq!(inside["status"], "ok", "half of it is allowed: {inside}");

    exec.submit(
        "execute_code",
        &json!({"code": "open('begun', 'w').close()\nwhile True: pass"}),
    );
    let running = || {
        let mut all = sandboxes_of(kernel).into_iter();
        all.find(|one| one.folder.join("begun").exists())
    };
    assert!(
        comes_true(PATIENCE, || running().is_some()),
        "the code never ran"
    );
    let sandbox = running().unwrap();
    // What Deno and Pyodide take themselves comes on top.
    let bytes: u64 = limit_of(sandbox.pid, "Max data size").parse().unwrap();
    assert!((1024..4096).contains(&(bytes >> 20)), "{} MB", bytes >> 20);
    assert_eq!(limit_of(sandbox.pid, "Max core file size"), "0");
    assert!(
        limit_of(sandbox.pid, "Max file size")
            .parse::<u64>()
            .is_ok()
    );
    exec.kill();
}

/// R126: children have limits of their own: a worker of a pool may hold so much, and
/// neither it nor the kernel leaves a core; one that is killed is replaced by another
/// with the same limits.
#[test]
fn children_have_limits_and_so_has_who_replaces_them() {
    let mut home = Home::new();
    let settings = home.work().join("settings.toml");
    std::fs::write(&settings, "[pool]\nmemory_mb = 700\n").unwrap();
    home.set("DSPEX_CONFIG", settings.display().to_string());
    let mut exec = Exec::start(&home, &["--new", "limited", "--workers", "1"]);
    exec.done("configure_lm", json!({"provider": "demo"}));
    exec.done(
        "create_program",
        json!({"name": "sums", "module": "Predict", "signature": "question -> answer"}),
    );
    exec.cell("1");
    let kernel = exec.kernel_pid();
    assert_eq!(limit_of(kernel, "Max core file size"), "0");
    assert_eq!(
        limit_of(kernel, "Max data size"),
        "unlimited",
        "a kernel is never ended for its memory"
    );
    let asked = json!({"program": "sums", "inputs": {"question": "What is 6*7?"}});
    let run = |exec: &mut Exec| {
        // Whoever comes before the death is known is told of it.
        let answered = || exec.ask("execute_program", asked.clone())["ok"] == true;
        assert!(comes_true(PATIENCE, answered), "no worker answers");
        let pools = exec.done("pools", json!({}));
        let pid = pools["pools"][0]["workers"][0]["pid"].as_i64().unwrap();
        i32::try_from(pid).unwrap()
    };
    let first = run(&mut exec);
    let most = ((700 + 1024) << 20).to_string();
    assert_eq!(limit_of(first, "Max data size"), most);
    assert_eq!(limit_of(first, "Max core file size"), "0");
    kill(Pid::from_raw(first), Signal::SIGKILL).unwrap();
    let second = run(&mut exec);
    assert_ne!(second, first);
    assert_eq!(limit_of(second, "Max data size"), most);
    assert_eq!(exec.kernel_pid(), kernel, "the notebook noticed nothing");
    exec.close();
}

/// R119, R120, R121: endless code, a list of 2 GB, a program, a socket and the home
/// folder: each is stopped as promised, while another program goes on being answered;
/// nothing is left.
#[test]
fn hostile_code_is_stopped_while_a_program_goes_on() {
    let mut home = Home::new();
    let scratch = home.root().join("scratch");
    std::fs::create_dir(&scratch).unwrap();
    home.set("TMPDIR", scratch.display().to_string());
    let secret = home.root().join("home/secret.txt");
    std::fs::write(&secret, "canary-4711").unwrap();
    let door = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    door.set_nonblocking(true).unwrap();
    let port = door.local_addr().unwrap().port();

    let mut hostile = Exec::start(&home, &["--new", "hostile", "--workers", "2"]);
    hostile.done("configure_lm", json!({"provider": "demo"}));
    hostile.done(
        "create_program",
        json!({"name": "sums", "module": "Predict", "signature": "question -> answer"}),
    );
    let mut beside = Exec::start(&home, &["--session", "hostile"]);
    let mut program = |number: usize| {
        let inputs = json!({"question": format!("What is {number}*7?")});
        let answer = beside.done(
            "execute_program",
            json!({"program": "sums", "inputs": inputs}),
        );
        let product = (number * 7).to_string();
        assert!(answer.to_string().contains(&product), "{answer}");
    };
    // Both workers are up before anything is to be seen.
    hostile.done("execute_code", json!({"code": "1"}));
    program(1);

    let secret = secret.display();
    let connect = format!("create_connection(('127.0.0.1', {port}))");
    let mut asked = 1;
    for (code, allowed) in [
        ("while True: pass".to_owned(), "timeout"),
        ("x = [0] * (2 * 1024**3 // 8)".to_owned(), "memory"),
        ("import os\nos.system('touch escaped')".to_owned(), "denied"),
        (format!("import socket\nsocket.{connect}"), "denied"),
        (
            format!("import importlib\nimportlib.import_module('socket').{connect}"),
            "denied",
        ),
        (format!("open('{secret}').read()"), "failed"),
        (
            format!(
                "import os\nos.listdir('{}')",
                home.root().join("home").display()
            ),
            "failed",
        ),
    ] {
        hostile.submit(
            "execute_code",
            &json!({"code": code, "timeout": 2, "memory_mb": 256}),
        );
        let mut meanwhile = 0;
        let stopped = loop {
            asked += 1;
            program(asked);
            match hostile.answered() {
                Some(answer) => break answer,
                None => meanwhile += 1,
            }
        };
        let told = &stopped["result"];
        assert_eq!(told["status"], allowed, "{code}: {stopped}");
        assert!(!stopped.to_string().contains("canary-4711"), "{stopped}");
        assert!(
            allowed != "timeout" || meanwhile > 0,
            "nothing went on beside it"
        );
    }
    assert!(
        door.accept().is_err(),
        "code reached a port of this machine"
    );
    beside.close();
    hostile.close();
    let left: Vec<_> = scratch.read_dir().unwrap().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
    let left: Vec<_> = home.work().read_dir().unwrap().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}
