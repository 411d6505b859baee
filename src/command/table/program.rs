//! Signatures and programs.

use super::{
    INPUTS, LM, OPTIONS, PROGRAM, SIGNATURE, aka, argument, key, option, pairs, row, word,
};
use crate::command::Becomes::{Operation, With};
use crate::command::Group::Program;
use crate::command::meaning::{module, predictor, program_new, prompt, run, validate};
use crate::command::{Command, Completer, Local, Parsed, Shape};

pub(super) const ROWS: &[Command] = &[
    key(
        "F3",
        aka(
            &["signature", "compile_signature"],
            row(
                "sig",
                Program,
                "Builds a signature with DSPy's verdict, and keeps it when named.",
                &[
                    SIGNATURE,
                    option("name", Completer::None, "keep it under this name"),
                    option("instructions", Completer::None, "its instructions"),
                ],
                ":sig question -> answer: int name=QA",
                Operation("create_signature"),
            ),
        ),
    ),
    aka(
        &["sigs"],
        row(
            "sig list",
            Program,
            "Lists the named signatures.",
            &[],
            ":sig list",
            With(|_, _| Ok(Parsed::Local(Local::Signatures))),
        ),
    ),
    row(
        "prompt",
        Program,
        "Shows the exact messages DSPy would send.",
        &[
            SIGNATURE,
            option(
                "adapter",
                Completer::OneOf(&["chat", "json", "xml"]),
                "DSPy adapter",
            ),
            option("demos", Completer::None, "demonstrations, a JSON array"),
            option(
                "instructions",
                Completer::None,
                "in place of the signature's",
            ),
            INPUTS,
        ],
        r#":prompt question -> answer question="why is the sky blue?""#,
        With(prompt),
    ),
    row(
        "validate",
        Program,
        "Reports all missing and wrong inputs of a program or signature.",
        &[
            argument(
                "target",
                Shape::Text,
                true,
                Completer::Program,
                "a program or signature",
            ),
            INPUTS,
        ],
        ":validate question -> answer question=why",
        With(validate),
    ),
    row(
        "modules",
        Program,
        "Lists DSPy's modules.",
        &[],
        ":modules",
        Operation("list_dspy_modules"),
    ),
    aka(
        &["programs", "program list"],
        row(
            "program",
            Program,
            "Lists the programs.",
            &[],
            ":program",
            Operation("list_programs"),
        ),
    ),
    row(
        "program new",
        Program,
        "Makes a program of a module, or of several joined by commas.",
        &[
            word("name", Completer::None, "its name"),
            word(
                "modules",
                Completer::Module,
                "a module, or several: BM25,ChainOfThought",
            ),
            argument(
                "signature",
                Shape::Text,
                false,
                Completer::Signature,
                "its signature",
            ),
            OPTIONS,
            pairs(
                "pairs",
                Completer::ModuleOption,
                "options; each goes to the module that has it",
            ),
        ],
        ":program new qa ChainOfThought question -> answer",
        With(program_new),
    ),
    row(
        "predictor",
        Program,
        "Makes a program of `Predict`.",
        &[
            word("name", Completer::None, "its name"),
            SIGNATURE,
            OPTIONS,
            pairs("pairs", Completer::ModuleOption, "options of `Predict`"),
        ],
        ":predictor qa question -> answer",
        With(predictor),
    ),
    aka(
        &["program remove"],
        row(
            "program rm",
            Program,
            "Forgets a program.",
            &[word("name", Completer::Program, "its name")],
            ":program rm qa",
            Operation("remove_program"),
        ),
    ),
    row(
        "program save",
        Program,
        "Writes a program to a file of plain JSON.",
        &[
            word("program", Completer::Program, "its name"),
            word("path", Completer::File, "the file"),
        ],
        ":program save qa qa.json",
        Operation("save_program"),
    ),
    row(
        "program load",
        Program,
        "Reads a program from a file.",
        &[
            word("path", Completer::File, "the file"),
            option("name", Completer::None, "its name"),
            option("module", Completer::Module, "for a state saved by DSPy"),
            option(
                "signature",
                Completer::Signature,
                "for a state saved by DSPy",
            ),
            OPTIONS,
            option(
                "trust",
                Completer::None,
                "hash of a pickle that may run its code",
            ),
        ],
        ":program load qa.json",
        Operation("load_program"),
    ),
    aka(
        &["pipeline"],
        row(
            "run",
            Program,
            "Runs a program, or over a signature a module, or several: `:run BM25,ChainOfThought …`.",
            &[
                word(
                    "target",
                    Completer::Runnable,
                    "a program, a DSPy module, or several joined by commas",
                ),
                argument(
                    "signature",
                    Shape::Text,
                    false,
                    Completer::Signature,
                    "for modules",
                ),
                LM,
                OPTIONS,
                INPUTS,
            ],
            r#":run ChainOfThought question -> answer question="What is 12*7?""#,
            With(run),
        ),
    ),
    row(
        "predict",
        Program,
        "Runs `Predict` over a signature.",
        &[SIGNATURE, LM, OPTIONS, INPUTS],
        r#":predict question -> answer question="What is 12*7?""#,
        With(|bound, context| module("Predict", bound, context)),
    ),
    aka(
        &["chain_of_thought"],
        row(
            "cot",
            Program,
            "Runs `ChainOfThought` over a signature.",
            &[SIGNATURE, LM, OPTIONS, INPUTS],
            r#":cot question -> answer question="What is 12*7?""#,
            With(|bound, context| module("ChainOfThought", bound, context)),
        ),
    ),
    row(
        "react",
        Program,
        "Runs `ReAct`, an agent with tools, over a signature.",
        &[SIGNATURE, LM, OPTIONS, INPUTS],
        r#":react question -> answer tools=["add"] question="What is 12*7?""#,
        With(|bound, context| module("ReAct", bound, context)),
    ),
    row(
        "batch",
        Program,
        "Runs a program over the rows of a file; started again, it goes on where it ended.",
        &[
            PROGRAM,
            word("input", Completer::File, "a .jsonl or .csv file of inputs"),
            option(
                "output",
                Completer::File,
                "where the answers go, a line a row",
            ),
            option("num_threads", Completer::None, "rows run at once"),
            option("rate", Completer::None, "most rows started a minute"),
            option(
                "keep",
                Completer::None,
                "fields to repeat: id, or [\"id\", \"source\"]",
            ),
            option("max_errors", Completer::None, "stop after more failed rows"),
            option(
                "overwrite",
                Completer::OneOf(&["true", "false"]),
                "start again",
            ),
            LM,
        ],
        ":batch qa questions.jsonl num_threads=16 keep=id",
        Operation("run_batch"),
    ),
    aka(
        &["ask"],
        row(
            "generate",
            Program,
            "Answers a prompt with `Predict`, or with another module.",
            &[
                argument("prompt", Shape::Text, true, Completer::None, "the prompt"),
                option("module", Completer::Module, "a DSPy module"),
                option("signature", Completer::Signature, "its signature"),
                option("instructions", Completer::None, "instructions"),
                LM,
            ],
            ":generate What is ML?",
            Operation("generate"),
        ),
    ),
    row(
        "sandbox",
        Program,
        "Runs Python code in the sandbox; what follows the options is the code, lines and all.",
        &[
            option("timeout", Completer::None, "seconds it may take"),
            option("memory_mb", Completer::None, "megabytes it may take"),
            option(
                "interpreter",
                Completer::None,
                "`sandbox`, `local` (unsafe) or a factory of a cell",
            ),
            argument("code", Shape::Code, true, Completer::None, "the code"),
        ],
        ":sandbox timeout=5 sum(range(10))",
        Operation("execute_code"),
    ),
];
