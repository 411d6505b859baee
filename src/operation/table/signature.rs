//! Operations on signatures and prompts.

use super::{FIELDS, INPUTS, SIGNATURE, may, need, side};
use crate::operation::{Kind, Operation};

pub(super) const ROWS: &[Operation] = &[
    side(
        "create_signature",
        "Builds a signature and answers its fields, with DSPy's own verdict; keeps it when named.",
        &[
            SIGNATURE,
            may("instructions", Kind::Text, "Instructions."),
            may("name", Kind::Text, "Keep it under this name."),
        ],
        FIELDS,
    ),
    side(
        "parse_signature",
        "Reads a signature that may be half typed, without a verdict.",
        &[SIGNATURE],
        FIELDS,
    ),
    side(
        "render_prompt",
        "Renders the exact messages DSPy would send.",
        &[
            SIGNATURE,
            may(
                "adapter",
                Kind::OneOf(&["chat", "json", "xml"]),
                "DSPy adapter (default chat).",
            ),
            may(
                "inputs",
                Kind::Object,
                "Values; missing ones are shown as placeholders.",
            ),
            may("demos", Kind::List, "Demonstrations: objects of fields."),
            may(
                "instructions",
                Kind::Text,
                "Instructions in place of the signature's.",
            ),
        ],
        &[need("messages", Kind::List, "`{role, content}` in order.")],
    ),
    side(
        "validate_inputs",
        "Reports all missing and wrong inputs at once.",
        &[
            may(
                "signature",
                Kind::Signature,
                "The signature to check against.",
            ),
            may("program", Kind::Program, "Or the program."),
            INPUTS,
        ],
        &[
            need("ok", Kind::Bool, "Whether nothing is wrong."),
            need("problems", Kind::List, "`{field, problem, expected, got}`."),
        ],
    ),
];
