//! Floods, giants and hostile objects.

use super::*;

/// Most resident memory a process ever had, MiB.
fn peak_mib(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib / 1024
}

/// R56, R57, R58: 10 MB of prints, a 1 GB result and 5 MB fields pass through without
/// harm, and the workbench stays small.
#[test]
fn floods_and_giants_do_no_harm() {
    let home = Home::new();
    let mut exec = Exec::start(&home, &["--new", "giants"]);
    exec.done("configure_lm", json!({"provider": "demo"}));
    exec.cell("for n in range(100_000): print('x' * 99)");
    for source in ["b'x' * 2**30", "[list(range(1000))] * 10_000"] {
        let giant = exec.cell(source);
        let shown = outputs(&home, "giants", giant);
        assert!((100..100_000).contains(&shown.len()), "{} B", shown.len());
    }
    let peak = peak_mib(exec.pid());
    println!("peak of the workbench: {peak} MiB");
    assert!(peak < 250, "{peak} MiB");
    let big = "word ".repeat(1 << 20);
    let answer = exec.done(
        "execute_module",
        json!({"module": "Predict", "signature": "text -> summary", "inputs": {"text": big}}),
    );
    assert!(answer.to_string().contains("summary"), "{answer}");
    let long = exec.cell("big = 'y' * 5_000_000\nprint(len(big))\nbig");
    assert!(outputs(&home, "giants", long).contains("5000000"));
    exec.cell("'still here'");
    exec.close();
    home.dspex(&["replay", "giants", "--plain"]).success();
}

/// R59: objects that raise, hang on to themselves or nest without end, and junk on
/// descriptor 3, are a cell's own affair.
#[test]
fn hostile_objects_stay_in_their_cell() {
    let home = Home::new();
    let mut exec = Exec::start(&home, &["--new", "hostile"]);
    for source in [
        "class Bad:\n    def __repr__(self): raise SystemExit('no')\nBad()",
        "class Bad:\n    def __repr__(self): return 7\nBad()",
        "class Bad:\n    def __len__(self): raise KeyboardInterrupt\n    def __getattr__(self, name): raise MemoryError(name)\n[Bad()]",
        "a = []\nfor _ in range(100_000): a = [a]\na",
        "def f(): return f()\nf()",
        "import sys\nsys.setrecursionlimit(10**6)\nd = {}\nd['d'] = d\nd",
        "import os\nfor n in range(3, 12):\n    try: os.write(n, b'junk')\n    except OSError: pass",
        "import os\nos.write(1, b'\\xff\\xfe\\x00 bytes\\n')\nprint('\\udcff \\x1b]0;title\\x07')",
        "import sys\nsys.stdout = None",
        "raise type('Odd', (BaseException,), {'__str__': lambda self: 1/0})()",
    ] {
        exec.ask("run_cell", json!({"source": source}));
    }
    let answer = exec.cell("40 + 2");
    assert!(outputs(&home, "hostile", answer).contains("42"));
    let (_, said) = exec.close();
    assert!(!said.contains("panicked"), "{said}");
    let text = home.dspex(&["replay", "hostile", "--plain"]);
    assert!(!text.success().contains('\x1b') && !text.stdout.contains('\x07'));
}
