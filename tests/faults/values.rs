//! Floods, giants and hostile objects.

use std::fmt::Write as _;

use dspex_tui::session::event::Output;

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

/// R57: a flood of prints is all there, in order, in few events, and the workbench
/// stays small.
#[test]
fn a_flood_of_prints_is_recorded_whole() {
    let home = Home::new();
    let mut exec = Exec::start(&home, &["--new", "flood"]);
    let flood = exec.cell("for n in range(30_000): print(f'line {n:05}', 'x' * 80)");
    let peak = peak_mib(exec.pid());
    exec.cell("'still here'");
    exec.close();
    let all = events(&home, "flood");
    let texts: Vec<&str> = all
        .iter()
        .filter(|event| event.cell.is_some_and(|id| id.0 == flood))
        .filter_map(|event| match &event.body {
            EventBody::CellOutput {
                output: Output::Stream { text, .. },
            } => Some(text.as_str()),
            _ => None,
        })
        .collect();
    let mut expected = String::new();
    for n in 0..30_000 {
        writeln!(expected, "line {n:05} {}", "x".repeat(80)).unwrap();
    }
    assert!(texts.concat() == expected, "lines are lost or out of order");
    println!(
        "30000 lines in {} events, the workbench had {peak} MiB at most",
        texts.len()
    );
    assert!(texts.len() < 10_000, "{} events", texts.len());
    assert!(peak < 200, "{peak} MiB");
}

/// R58: of a 1 GB result only a preview is made, and 5 MB fields pass through.
#[test]
fn giants_are_shown_in_part() {
    let home = Home::new();
    let mut exec = Exec::start(&home, &["--new", "giants"]);
    exec.done("configure_lm", json!({"provider": "demo"}));
    let (small, kernel) = (exec.cell("1"), exec.kernel_pid());
    let before = peak_mib(kernel);
    for (source, said) in [
        ("b'x' * 2**30", "1073741824 bytes in all"),
        ("[list(range(1000))] * 10_000", "the rest is left out"),
    ] {
        let giant = exec.cell(source);
        let shown = outputs(&home, "giants", giant);
        assert!(shown.contains(said), "{}", &shown[shown.len() - 200..]);
        assert!((100..100_000).contains(&shown.len()), "{} B", shown.len());
    }
    let (after, peak) = (peak_mib(kernel), peak_mib(exec.pid()));
    println!("the kernel: {before} MiB, then {after} MiB; the workbench: {peak} MiB at most");
    // The value itself, and no text of it.
    assert!(
        after < before + 1024 + 200,
        "{before} MiB, then {after} MiB"
    );
    assert!(peak < 200, "{peak} MiB");
    let big = "word ".repeat(1 << 20);
    let answer = exec.done(
        "execute_module",
        json!({"module": "Predict", "signature": "text -> summary", "inputs": {"text": big}}),
    );
    assert!(answer.to_string().contains("summary"));
    let long = exec.cell("big = 'y' * 5_000_000\nprint(len(big))\nbig");
    assert!(outputs(&home, "giants", long).contains("5000000 characters in all"));
    assert!(outputs(&home, "giants", small).contains('1'));
    exec.close();
    home.dspex(&["replay", "giants", "--plain"]).success();
}

/// R51: objects that raise, hang on to themselves or nest without end are a cell's own
/// affair: the kernel outlives each of them, with what it holds.
#[test]
fn hostile_objects_stay_in_their_cell() {
    let home = Home::new();
    let mut exec = Exec::start(&home, &["--new", "hostile"]);
    exec.cell("kept = 40");
    let kernel = exec.kernel_pid();
    for source in [
        "class Bad:\n    def __repr__(self): raise SystemExit('no')\nBad()",
        "class Bad:\n    def __repr__(self): return 7\nBad()",
        "class Bad:\n    def __len__(self): raise KeyboardInterrupt\n    def __getattr__(self, name): raise MemoryError(name)\n[Bad()]",
        "a = []\nfor _ in range(100_000): a = [a]\na",
        "def f(): return f()\nf()",
        "d = {}\nd['d'] = d\nd",
        "import os\nos.write(1, b'\\xff\\xfe\\x00 bytes\\n')\nprint('\\udcff \\x1b]0;title\\x07')",
        "raise type('Odd', (BaseException,), {'__str__': lambda self: 1/0})()",
        "float('nan'), float('-inf'), 10**5000, b'\\x00\\xff', '\\ud800'",
        "import sys\nkept_out, sys.stdout = sys.stdout, None",
        "sys.stdout = kept_out",
    ] {
        let answer = exec.ask("run_cell", json!({"source": source}));
        assert_eq!(answer["ok"], json!(true), "{source}: {answer}");
    }
    assert_eq!(exec.kernel_pid(), kernel, "the kernel died of something");
    let answer = exec.cell("kept + 2");
    assert!(outputs(&home, "hostile", answer).contains("42"));
    let (_, said) = exec.close();
    assert!(!said.contains("panicked"), "{said}");
    let text = home.dspex(&["replay", "hostile", "--plain"]);
    assert!(!text.success().contains('\x1b') && !text.stdout.contains('\x07'));
}

/// R126: junk on the descriptors above 2, the workbench's own among them, costs the
/// kernel at most; the next cell works.
#[test]
fn junk_on_every_descriptor_costs_the_kernel_at_most() {
    let home = Home::new();
    let mut exec = Exec::start(&home, &["--new", "junk"]);
    let junk = "import os\nfor n in range(3, 64):\n    try: os.write(n, b'junk')\n    except OSError: pass";
    let answer = exec.ask("run_cell", json!({"source": junk}));
    assert!(
        answer["ok"] == json!(true) || answer["error"]["type"] == "link_broken",
        "{answer}"
    );
    let answer = exec.cell("40 + 2");
    assert!(outputs(&home, "junk", answer).contains("42"));
    let (_, said) = exec.close();
    assert!(!said.contains("panicked"), "{said}");
}
