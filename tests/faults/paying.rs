//! No answered call is paid for twice.

use std::collections::HashMap;

use dspex_tui::session::event::AnswerSource;

use super::*;
use crate::support::stub_lm::{Scripted, StubLm};

/// Examples of the work; each makes one call that may be cached and two equal ones
/// that may not.
const EXAMPLES: usize = 40;

/// How often the workbench is killed; `DSPEX_KILLS` sets another number.
fn kills() -> usize {
    let wanted = std::env::var("DSPEX_KILLS").ok();
    wanted.and_then(|n| n.parse().ok()).unwrap_or(4)
}

fn work(base: &str) -> String {
    format!(
        r#"
import dspy
kept = dspy.LM("openai/stub", api_base="{base}", api_key="local", cache=True, num_retries=0)
fresh = dspy.LM("openai/stub", api_base="{base}", api_key="local", cache=False, num_retries=0)
class Work(dspy.Module):
    def __init__(self):
        self.ask = dspy.Predict("question -> answer")
    def forward(self, question):
        said = [self.ask(question=question, lm=kept).answer]
        said += [self.ask(question=question + "!", lm=fresh).answer for _ in range(2)]
        return dspy.Prediction(answer=" ".join(said))
devset = [dspy.Example(question=f"q{{n}}", answer="").with_inputs("question") for n in range({EXAMPLES})]
result = dspy.Evaluate(devset=devset, metric=lambda *_: 1.0, num_threads=8, display_progress=False)(Work())
sorted(row[1].answer for row in result.results)
"#
    )
}

/// What a request asks for: its whole body.
fn bodies(stub: &StubLm, from: usize) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for request in stub.received().iter().skip(from) {
        *counts.entry(request.json.to_string()).or_default() += 1;
    }
    counts
}

/// How many good answers of the server the session has recorded.
fn recorded(home: &Home, name: &str) -> usize {
    let good = |event: &Event| {
        matches!(&event.body, EventBody::Exchange(exchange)
            if exchange.source == AnswerSource::Server && exchange.status == 200 && exchange.error.is_none())
    };
    events(home, name).into_iter().filter(good).count()
}

/// R61: eight threads call, the workbench is killed at any moment, the same work is
/// resumed: what was answered and recorded is never asked again.
#[tokio::test]
async fn resumed_work_repeats_no_answered_call() {
    let stub = StubLm::start(|number, _| {
        Scripted::chat(&format!(
            "[[ ## answer ## ]]\nanswer {number}\n\n[[ ## completed ## ]]"
        ))
    });
    let home = Home::new();
    let source = work(&stub.base());
    let kills = kills();
    let all = EXAMPLES * 3;
    for life in 0..kills {
        let already = stub.received().len();
        let arguments: &[&str] = if life == 0 {
            &["--new", "paid"]
        } else {
            &["--session", "paid", "--cassette", "resume"]
        };
        let mut exec = Exec::start(&home, arguments);
        exec.submit("run_cell", &json!({"source": source}));
        // Any moment will do; the number only has to leave work for later lives.
        let most = (all / (kills + 1)).max(2);
        stub.wait_for(already + 1 + rand::random_range(0..most))
            .await;
        exec.kill();
        stub.wait_idle().await;
    }
    let before = stub.received().len();
    let known = recorded(&home, "paid");
    let mut exec = Exec::start(&home, &["--session", "paid", "--cassette", "resume"]);
    let first = exec.cell(&source);
    let asked: usize = bodies(&stub, before).values().sum();
    println!("{kills} kills, {all} calls, {known} recorded before the end, {asked} asked then");
    // No more and no less than what was not recorded yet.
    assert_eq!(known + asked, all);
    assert_eq!(
        recorded(&home, "paid"),
        all,
        "a call was answered and paid twice"
    );
    exec.close();

    // And now that all is recorded, nothing at all goes out.
    let before = stub.received().len();
    let mut exec = Exec::start(&home, &["--session", "paid", "--cassette", "strict"]);
    let again = exec.cell(&source);
    assert_eq!(bodies(&stub, before), HashMap::new());
    // What was printed has the time in it; what was answered has not.
    let answered = |cell| {
        let all = outputs(&home, "paid", cell);
        let (_, result) = all.split_once(r#""output":"result""#).unwrap();
        result.to_owned()
    };
    assert!(answered(first).contains("answer 1"));
    assert_eq!(answered(first), answered(again));
}

/// `BestOfN` asks for different answers, and gets the same different ones from the
/// record, strictly replayed as well as resumed.
#[test]
fn best_of_four_gets_four_answers_live_replayed_and_resumed() {
    let home = Home::new();
    let source = r"
import dspy
seen = []
def reward(args, prediction):
    seen.append(prediction.answer)
    return 0.0
best = dspy.BestOfN(dspy.Predict('topic -> answer'), N=4, reward_fn=reward, threshold=1.0)
best(topic='Write a line about rain')
print(seen)
assert len(set(seen)) == 4, seen
";
    let mut said = Vec::new();
    for arguments in [
        &["--new", "best"][..],
        &["--session", "best", "--cassette", "strict"],
        &["--session", "best", "--cassette", "resume"],
    ] {
        let mut exec = Exec::start(&home, arguments);
        if said.is_empty() {
            exec.done("configure_lm", json!({"provider": "demo"}));
        }
        let cell = exec.cell(source);
        said.push(outputs(&home, "best", cell));
        exec.close();
    }
    assert_eq!(said[0], said[1]);
    assert_eq!(said[0], said[2]);
    let live = events(&home, "best")
        .iter()
        .filter(
            |event| matches!(&event.body, EventBody::Exchange(e) if e.source == AnswerSource::Demo),
        )
        .count();
    assert_eq!(live, 4);
}
