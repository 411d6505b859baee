//! Agents and jobs, as they are seen while they run and afterwards.

use crate::support::readme::{Step, capture_section};
use crate::support::terminal::{Terminal, keys};
use crate::support::{Home, TELLER, venv};

/// Whether a line of the screen holds all of these.
fn a_line(screen: &vt100::Screen, parts: &[&str]) -> bool {
    let text = screen.contents();
    text.lines()
        .any(|line| parts.iter().all(|part| line.contains(part)))
}

/// R28, R37, R73: an agent on a real MCP server over stdio; its tool's span stands in the
/// trace while it still runs, and its steps in the notebook afterwards. Under `UPDATE=1`
/// its screens go to the README.
#[test]
fn an_agent_on_an_mcp_server_is_watched() {
    let mut home = Home::new();
    // The person's shell has the environment of the server in front.
    let path = std::env::var("PATH").unwrap_or_default();
    home.set("PATH", format!("{}:{path}", venv().join("bin").display()));
    let mut steps = Vec::new();
    // Each LM call takes its time, so that there is something to watch.
    let mut terminal = Terminal::dspex(&home, &["--fault", "latency=700ms"], 120, 36);
    terminal.wait_for("● ready");
    let add = ":mcp add time python -m mcp_server_time approval=allow";
    terminal
        .send(add)
        .send(keys::ENTER)
        .wait_for("get_current_time(");
    let run = ":run ReAct question -> answer tools=[\"get_current_time\"] max_iters=3 \
               question='Call get_current_time with timezone=\"UTC\". What time is it?'";
    terminal.send(run).send(keys::ENTER);
    terminal.wait_until("the tool's span in a running trace", |screen| {
        a_line(screen, &["tool get_current_time"]) && a_line(screen, &["Ctrl-C stop"])
    });
    let text = format!("`{add}`, then `{run}`. Each call stands in the trace while it runs.");
    steps.push(Step::of(&mut terminal, "Watch it work", &text));
    terminal.wait_gone("Ctrl-C stop");
    terminal
        .wait_for("answer")
        .wait_for("tool get_current_time");
    // The tool's own tab: what it was called with, and what it said.
    terminal.send(keys::F4).wait_for("Messages");
    terminal.send("/tool get_current_time").send(keys::ENTER);
    // The span that is called so, before those that only speak of it.
    terminal.wait_until("the tool's own tab", |screen| {
        a_line(screen, &["timezone", "UTC"]) && !a_line(screen, &["user ───"])
    });
    steps.push(Step::of(
        &mut terminal,
        "Look at a call",
        "F4 is the trace at full size, with the exact messages of each call; `/` filters its calls.",
    ));
    // The steps, as the notebook tells them.
    terminal.send(keys::F4).send(keys::F8);
    terminal
        .wait_for("step 1")
        .wait_for("get_current_time(timezone=\"UTC\")");
    capture_section("agent", &steps);
}

/// The number that follows `label` on the screen.
fn number(terminal: &Terminal, label: &str) -> u32 {
    let text = terminal.screen();
    let (_, rest) = text
        .split_once(label)
        .unwrap_or_else(|| panic!("no `{label}` in\n{text}"));
    let digits: String = rest
        .chars()
        .skip_while(|ch| !ch.is_ascii_digit())
        .take_while(char::is_ascii_digit)
        .collect();
    digits.parse().unwrap()
}

/// R86, R92: what a cell defines runs as a job of the pool when a person asks for it on
/// the screen; what cannot be pickled runs in the kernel, and its span says why.
#[test]
fn what_cells_define_runs_as_jobs_from_the_screen() {
    let home = Home::new();
    let sums = (0..12).fold(String::new(), |lines, n| {
        let answer = n + 1;
        format!("{lines}{{\"question\": \"What is {n}+1?\", \"answer\": \"{answer}\"}}\n")
    });
    std::fs::write(home.work().join("sums.jsonl"), sums).unwrap();
    let mut terminal = Terminal::dspex(&home, &[], 120, 40);
    terminal.wait_for("● ready");
    let defined = format!("{TELLER}print('kernel', os.getpid(), sep='-')");
    terminal.paste(&defined).send(keys::F9).wait_for("kernel-");
    let kernel = number(&terminal, "kernel-");
    // What the cell made is known when it has ended.
    terminal.wait_for("· teller");

    // The module.
    let mut run = |line: &str, wait: &str| {
        terminal
            .send(":clear")
            .send(keys::ENTER)
            .wait_gone("│ process");
        terminal.send(line).send(keys::ENTER).wait_for(wait);
        terminal.wait_gone("Ctrl-C stop");
        number(&terminal, wait)
    };
    let general = run(":run teller question='What is 12*7?'", "│ process");
    assert_ne!(general, kernel, "it ran in the kernel");
    // What cannot go along stays, and says why.
    let stayed = run(":run locked question='What is 12*7?'", "│ process");
    assert_eq!(stayed, kernel, "it ran elsewhere");
    terminal.wait_for("in the kernel");
    terminal.send(keys::F4).wait_for("in the kernel");
    terminal
        .send("g")
        .wait_for("`locked` cannot be pickled:")
        .wait_for("lock");
    terminal.send(keys::F4).wait_for("Explorer");
    // The metric, where the program is: each example was scored in its process.
    terminal
        .send(":data load sums.jsonl")
        .send(keys::ENTER)
        .wait_for("12 examples");
    terminal
        .send(":eval teller sums metric=elsewhere num_threads=4")
        .send(keys::ENTER)
        .wait_for("score 100");
    // The tool.
    terminal.send(
        ":run ReAct question -> answer tools=[\"where\"] max_iters=2 \
         question='Call where with question=\"x\". In which process does it run?'",
    );
    terminal
        .send(keys::ENTER)
        .wait_for("tool where")
        .wait_gone("Ctrl-C stop");
    terminal.send(keys::F8).wait_for("→ ");
    let tool = number(&terminal, "→ ");
    assert_ne!(tool, kernel, "the tool ran in the kernel");
}
