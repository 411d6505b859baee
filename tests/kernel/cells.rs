//! Cells: what IPython can, shown and credited to the right cell.

use dspex_tui::session::event::Output;
use serde_json::{Value, json};

use super::Lines;

/// R26: plain, awaited and gathered calls, and results with their fields.
#[test]
fn cells_call_dspy() {
    let mut lines = Lines::new();
    let made =
        lines.cell("qa = dspy.ChainOfThought('question -> answer')\nqa(question='What is 12*7?')");
    let gathered = lines.cell(
        "import asyncio\nr = await asyncio.gather(*(qa.acall(question=f'What is {i}*7?') for i in range(4)))\n[p.answer for p in r]",
    );
    let by_name = lines.ask(
        "execute_program",
        json!({"program": "qa", "inputs": {"question": "What is 2+3?"}}),
    );
    let configured = lines.cell("dspy.configure(lm=dspy.LM('demo/demo'))\ndspy.settings.lm.model");
    let within = lines.cell(
        "async def go():\n    dspy.configure(lm=dspy.LM('demo/demo'))\n    return (await qa.acall(question='What is 3*3?')).answer\nawait go()",
    );
    let run = lines.cell("import asyncio\nasyncio.run(go())");
    let lived = lines.live();
    let Some(Output::Result { data }) = lived.cell(made).outputs.last() else {
        panic!("{:?}", lived.cell(made).outputs);
    };
    let fields = &data["application/vnd.dspex.prediction+json"];
    assert_eq!(fields, &json!({"reasoning": "12*7 = 84.", "answer": "84"}));
    assert_eq!(lived.value(gathered), "['0', '7', '14', '21']");
    assert_eq!(
        lived.result(by_name)["answer"],
        "5",
        "a program of a cell has its name"
    );
    assert_eq!(lived.value(configured), "'demo/demo'");
    assert_eq!(
        (lived.value(within), lived.value(run)),
        ("'9'".into(), "'9'".into())
    );
    let names: Vec<(&str, &str, bool)> = lived
        .state
        .names
        .iter()
        .map(|n| (n.name.as_str(), n.kind.as_str(), n.registered))
        .collect();
    assert!(names.contains(&("qa", "program", true)), "{names:?}");
    assert!(names.contains(&("go", "function", false)), "{names:?}");
}

/// Magics, shell, displays with ids, help.
#[test]
fn cells_have_magics_and_displays() {
    let mut lines = Lines::new();
    let timed = lines.cell("%time 1+1");
    let shell = lines.cell("!echo from a shell");
    let bash = lines.cell("%%bash\necho from bash");
    let pip = lines.cell("%pip --version");
    let display = lines.cell(
        "from IPython.display import display, HTML\nh = display(HTML('<b>a</b>'), display_id='k')\nh.update(HTML('<b>b</b>'))",
    );
    let table =
        lines.cell("class Table:\n    def _repr_html_(self): return '<table></table>'\nTable()");
    let help = lines.cell("len?");
    let lived = lines.live();
    assert_eq!(lived.value(timed), "2");
    for (place, text) in [
        (timed, "Wall time"),
        (shell, "from a shell"),
        (bash, "from bash"),
        (pip, "pip "),
        (help, "Return the number of items"),
    ] {
        assert!(
            lived.printed(place).contains(text),
            "{:?}",
            lived.cell(place)
        );
    }
    let shown: Vec<&Output> = lived.cell(display).outputs.iter().collect();
    let [
        Output::Display {
            data, display_id, ..
        },
    ] = shown[..]
    else {
        panic!("an update replaces what it updates: {shown:?}");
    };
    assert_eq!(
        (&data["text/html"], display_id.as_deref()),
        (&json!("<b>b</b>"), Some("k"))
    );
    lived.value(table);
    let Some(Output::Result { data }) = lived.cell(table).outputs.last() else {
        panic!("{:?}", lived.cell(table).outputs);
    };
    assert!(data["text/html"].as_str().unwrap().contains("<table"));
}

/// R57: what threads and descriptors write is credited to its cell, in order.
#[test]
fn all_that_is_printed_belongs_to_its_cell() {
    let mut lines = Lines::new();
    let first = lines.cell(
        "import threading, os\ndef work():\n    print('from a thread')\nt = threading.Thread(target=work); t.start(); t.join()\nprint('one'); os.write(1, b'raw\\n'); print('two')",
    );
    let second = lines.cell("import sys\nsys.stderr.write('complaint\\n')\nprint('three', end='')");
    let lived = lines.live();
    let printed = lived.printed(first);
    assert!(
        printed.starts_with("from a thread\none\n") && printed.contains("two\n"),
        "{printed:?}"
    );
    assert!(printed.contains("raw\n"), "{printed:?}");
    let printed = lived.printed(second);
    assert!(
        printed.contains("complaint\n") && printed.contains("three"),
        "{printed:?}"
    );
}

/// R97: errors carry coloured, short tracebacks; nothing ends the kernel.
#[test]
fn errors_in_cells_are_answers() {
    let mut lines = Lines::new();
    let divided = lines.cell("def f(x):\n    return 1/x\nf(0)");
    let syntax = lines.cell("1 +");
    let missing = lines.cell("import no_such_package");
    let system = lines.cell("raise SystemExit(3)");
    let exit = lines.cell("exit()");
    let asked = lines.cell("input('name? ')");
    let secret = lines.cell("import getpass\ngetpass.getpass()");
    let debugger = lines.cell("breakpoint()");
    let deep = lines.cell("dspy.Predict('q -> a')(q='x', config={'temprature': 1})");
    let after = lines.cell("40 + 2");
    let lived = lines.live();
    let error = lived.raised(divided);
    assert_eq!(
        (&error["type"], &error["message"]),
        (&json!("ZeroDivisionError"), &json!("division by zero"))
    );
    let traceback = error["traceback"].to_string();
    assert!(
        traceback.contains("\\u001b[") && traceback.contains("1/x") || traceback.contains("return"),
        "{traceback}"
    );
    assert_eq!(lived.raised(syntax)["message"], "invalid syntax (line 1)");
    let hint = lived.raised(missing)["recovery"]["hint"].as_str().unwrap();
    assert!(hint.contains("%pip install no_such_package"), "{hint}");
    assert_eq!(lived.raised(system)["type"], "SystemExit");
    assert!(lived.printed(exit).contains(":quit"));
    for place in [asked, secret] {
        let error = lived.raised(place);
        assert_eq!(error["type"], "EOFError");
        assert!(
            error["message"].as_str().unwrap().contains("headless"),
            "{error}"
        );
        assert!(
            !error["traceback"].to_string().contains("dspex_worker"),
            "{error}"
        );
    }
    lived.raised(debugger);
    let frames = lived.raised(deep)["traceback"].as_array().map(Vec::len);
    assert!(
        frames.is_some_and(|lines| lines < 80),
        "a wall of {frames:?} lines"
    );
    assert_eq!(lived.value(after), "42");
}

/// Signatures and modules are made, used and made anew in cells.
#[test]
fn classes_live_in_cells() {
    let mut lines = Lines::new();
    let signature = lines.cell(
        "class Tone(dspy.Signature):\n    '''Name the tone.'''\n    text: str = dspy.InputField()\n    tone: str = dspy.OutputField(desc='the tone')\nclass M(dspy.Module):\n    def __init__(self):\n        super().__init__()\n        self.p = dspy.Predict(Tone)\n    def forward(self, text):\n        return self.p(text=text)\nm = M()\nm(text='I love it').tone",
    );
    let anew = lines.cell("class M(dspy.Module):\n    def forward(self, text):\n        return dspy.Prediction(tone='new')\nm = M()\nm(text='x').tone");
    let own = lines.ask(
        "execute_program",
        json!({"program": "m", "inputs": {"text": "x"}}),
    );
    let by_name = lines.ask(
        "execute_module",
        json!({"module": "Predict", "signature": "Tone", "inputs": {"text": "I hate it"}}),
    );
    let refined = lines.cell(
        "def reward(args, pred):\n    return 1.0 if pred.tone else 0.0\ndspy.Refine(dspy.Predict(Tone), N=2, reward_fn=reward, threshold=2.0)(text='I love it').tone",
    );
    let placed = lines.ask("run_cell", json!({"source": "import sys\n(__file__.endswith('made.py'), sys.argv)", "file": "made.py"}));
    let lived = lines.live();
    assert_eq!(lived.value(signature), "'positive'");
    assert_eq!(lived.value(anew), "'new'");
    assert_eq!(lived.result(own)["tone"], "new");
    assert_eq!(lived.result(by_name)["tone"], "negative");
    assert_eq!(lived.value(refined), "'positive'");
    assert_eq!(lived.value(placed), "(True, ['made.py'])");
    assert_eq!(
        lived.state.signatures["Tone"].instructions,
        "Name the tone."
    );
}

/// Completion and inspection answer beside cells.
#[test]
fn names_are_completed_and_explained() {
    let mut lines = Lines::new();
    lines.cell("qa = dspy.Predict('question -> answer')");
    let source = "dspy.Chain";
    let completed = lines.ask(
        "complete",
        json!({"source": source, "cursor": source.len()}),
    );
    let found = lines.ask("inspect", json!({"source": "qa(", "cursor": 3}));
    let nothing = lines.ask("inspect", json!({"source": "nope", "cursor": 2}));
    let lived = lines.live();
    let matches: &Value = &lived.result(completed)["matches"];
    assert!(matches.to_string().contains("ChainOfThought"), "{matches}");
    let text = lived.result(found)["data"]["text/plain"].as_str().unwrap();
    assert!(text.contains("Predict"), "{text}");
    assert_eq!(lived.result(nothing)["found"], false);
}
