//! What never answers: a request of the kernel, a server. The next thing asked is done.

use super::*;

/// R102: an operation that hangs in the kernel is given up after its time; the kernel is
/// the same one afterwards, and does what it is asked next.
#[test]
fn r102_a_hung_operation_is_given_up_and_the_kernel_stays() {
    let mut home = Home::new();
    settings(&mut home, "[kernel]\nanswer_seconds = 1\n");
    let mut exec = Exec::start(&home, &["--new", "hung"]);
    exec.cell(
        "kept = 41\nimport threading\nfrom dspex_worker.operations import kernel, registry\n\
         registry._known['inspect'] = lambda arguments, job: threading.Event().wait()",
    );
    let kernel = exec.kernel_pid();
    for _ in 0..3 {
        let hung = exec.ask("inspect", json!({"source": "len", "cursor": 3}));
        let error = &hung["error"];
        assert_eq!(error["type"], "operation_timeout", "{hung}");
        assert_eq!(error["class"], "timeout");
        assert!(
            error["message"].as_str().unwrap().contains("within 1 s"),
            "{hung}"
        );
        assert!(!error["recovery"]["hint"].as_str().unwrap().is_empty());
        let known = exec.done("complete", json!({"source": "kep", "cursor": 3}));
        assert!(known.to_string().contains("kept"), "{known}");
    }
    exec.cell("assert kept == 41");
    assert_eq!(exec.kernel_pid(), kernel);
    exec.close();
}

/// R104: an LM server that takes connections and says nothing costs a run its profile's
/// deadline; the error says what to do, and another LM answers the next.
#[test]
fn r104_a_silent_lm_server_costs_the_profile_s_deadline() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}/v1", silent.local_addr().unwrap());
    let home = Home::new();
    let mut exec = Exec::start(&home, &["--new", "silent", "--workers", "1"]);
    set_up_qa(&mut exec, &base);
    exec.done(
        "configure_lm",
        json!({"provider": "openai", "name": "silent", "model": "m", "api_base": base,
               "num_retries": 0, "timeout": 1}),
    );
    let answer = exec.ask("execute_program", ask_qa("is anybody there?"));
    let error = &answer["error"];
    assert_eq!(error["class"], "lm", "{answer}");
    assert_eq!(error["recovery"]["strategy"], "retry", "{answer}");
    let said = error.to_string();
    assert!(said.contains("no answer within 1 s"), "{said}");
    assert!(said.contains("raise the time-out"), "{said}");
    let tested = exec.ask("test_lm", json!({"name": "silent"}));
    assert_eq!(tested["error"]["class"], "lm", "{tested}");
    exec.done("configure_lm", json!({"provider": "demo"}));
    let answer = exec.done("execute_program", ask_qa("What is 12*7?"));
    assert_eq!(answer["answer"], "84");
    exec.close();
}
