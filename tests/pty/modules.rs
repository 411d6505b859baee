//! A program made and run with the forms of F11, on the real binary.

use std::fs;

use crate::support::Home;
use crate::support::terminal::{Terminal, keys};

/// R10, R14, R15, R36: module, signature and options by a form; what the worker refuses
/// stands at its field; then the inputs, and the answer with its steps in the notebook.
#[test]
fn a_module_is_made_and_run_with_forms() {
    let home = Home::new();
    let mut terminal = Terminal::dspex(&home, &[], 80, 24);
    terminal.wait_for("● ready");
    let cell = "def double(n: int) -> int: return 2 * n";
    terminal.send(cell).send(keys::F9).wait_for("[1]");
    terminal.send(keys::F11).wait_for("Asks the LM");
    terminal.send("jj").wait_for("most steps");
    terminal.send(keys::ENTER).wait_for("A program of ReAct");
    terminal.send(keys::TAB).send("question -> answr:");
    terminal
        .send(keys::TAB)
        .send("doubl")
        .send(keys::TAB)
        .send("0");
    // Each is refused at its field, the cursor in it.
    terminal.send(keys::CTRL_S).wait_for("→");
    terminal.wait_for("signature");
    terminal.send(keys::BACKSPACE).send(keys::CTRL_S);
    terminal.wait_for("`max_iters` of ReAct must be");
    terminal.send(keys::BACKSPACE).send("4").send(keys::CTRL_S);
    terminal
        .wait_for("there is no tool called `doubl`")
        .wait_for("did you mean");
    terminal.send("e").send(keys::CTRL_S).wait_for("Run react");
    terminal
        .send("Use double with n=21. What is 2*21?")
        .send(keys::ENTER);
    terminal
        .wait_for("answr")
        .wait_for("42")
        .wait_gone("Ctrl-C stop");
}

const COUNTER: &str = "import dspy\n\nclass Counter(dspy.Module):\n    \
    'Answers so many times.'\n    def __init__(self, times=2):\n        \
    super().__init__()\n        self.times = times\n        \
    self.ask = dspy.ChainOfThought('question -> answer')\n    \
    def forward(self, question):\n        \
    said = [self.ask(question=question).answer for _ in range(self.times)]\n        \
    return dspy.Prediction(answer=said[0], said=f'{len(said)} times')\n";

/// R34, R35, R36: a module of a file of one's own has its form too: its options by the
/// names of its constructor, its inputs by those of `forward`.
#[test]
fn a_module_of_a_file_is_made_and_run_with_forms() {
    let home = Home::new();
    fs::write(home.work().join("counter.py"), COUNTER).unwrap();
    let mut terminal = Terminal::dspex(&home, &[], 80, 24);
    terminal.wait_for("● ready");
    terminal
        .send(":module add counter counter.py")
        .send(keys::ENTER)
        .wait_for("Counter");
    // The user's own stand at the end of the list.
    terminal.send(keys::F11).wait_for("Asks the LM").send("G");
    terminal.wait_for("Answers so many times.");
    terminal
        .send(keys::ENTER)
        .wait_for("A program of counter")
        .wait_for("times");
    terminal.send(keys::TAB).send("3").send(keys::CTRL_S);
    terminal.wait_for("Run counter").wait_for("question");
    terminal.send("What is 12*7?").send(keys::ENTER);
    terminal
        .wait_for("3 times")
        .wait_for("84")
        .wait_gone("Ctrl-C stop");
}
